"""Hot queries use an index, on both databases: shown by the database's own plan of the very statement that ran."""

import re

import pytest

from tests import make
from tests.sql import plan, recording
from tests.world import World

READS = [
    "/v1/incidents",
    "/v1/incidents?active_only=true",
    "/v1/incidents?sort=number",
    "/v1/incidents?sort=-updated_at",
    "/v1/incidents?sort=severity",
    "/v1/incidents/1",
    "/v1/incidents/1/timeline",
    "/v1/incidents/1/alerts",
    "/v1/alerts",
    "/v1/audit",
]
WRITES = [
    ("/v1/alerts", make.alert()),
    ("/v1/alerts", make.alert(status="resolved")),
    ("/v1/alerts", make.alert(external_id="1")),
    ("/v1/incidents/1/acknowledge", {}),
    ("/v1/incidents/1/resolve", {"resolved_by": "ada", "notes": ""}),
]


# Not what a statement is given (json_each), finds by words (M: MATCH), or has gathered itself.
GATHERED = r"json_each|CONSTANT ROW|\(subquery|(?:[cgh]|chain|held|known)$"
SCAN = re.compile(
    rf"^.*(?:Seq Scan|\bSCAN (?!{GATHERED}|.*(?:USING|VIRTUAL TABLE INDEX \d+:M))).*$",
    re.MULTILINE,
)
SORT = re.compile(r"^.*(?:TEMP B-TREE FOR ORDER BY|(?<!Incremental )\bSort  \().*$", re.MULTILINE)


async def plans(world: World, method: str, path: str, body: object = None) -> str:
    """Return the plans of what a request runs, but for a list's count, which reads at most 10,000 rows of an index."""
    with recording(world.parts.database) as statements:
        response = await world.http.request(method, path, json=body)
    assert response.is_success, response.text
    planned = [pair for pair in statements if re.match(r"\s*(?!SELECT count\()(?:SELECT|UPDATE|WITH|INSERT)", pair[0])]
    return "\n".join([await plan(world.parts.database, *pair) for pair in planned])


@pytest.mark.parametrize("path", READS)
async def test_what_people_read_comes_from_an_index_in_its_order(world: World, path: str) -> None:
    await world.alert()
    found = await plans(world, "GET", path)
    assert SCAN.findall(found) + SORT.findall(found) == []


@pytest.mark.parametrize(("path", "body"), WRITES)
async def test_what_is_locked_or_changed_is_found_by_an_index(world: World, path: str, body: object) -> None:
    await world.alert()
    assert SCAN.findall(await plans(world, "POST", path, body)) == []


async def test_an_order_without_an_index_would_be_seen(world: World) -> None:
    assert SORT.findall(await plans(world, "GET", "/v1/incidents?sort=last_seen_at"))


async def test_a_scan_would_be_seen(world: World) -> None:
    assert SCAN.findall(await plan(world.parts.database, "SELECT title FROM incidents WHERE title = 'x'", ()))
