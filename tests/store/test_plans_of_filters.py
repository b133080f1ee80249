"""The hot reads come from an index, however much is stored: each by the database's own plan of the very statement that ran.

tests/store/test_plans.py holds the plain lists and what is written; here are the filters, the search, and what lies deep.
"""

import asyncio
import re

import pytest

from incident_manager.settings import Settings
from incident_manager.store import incident_lists
from tests.bench.filling import fill
from tests.sql import plan, recording
from tests.world import World

# A page is cut from what a search found, so one sort is right there; the table itself is never read from end to end.
SCAN = re.compile(
    r"^.*(?:Seq Scan on|\bSCAN (?:incidents|alerts|timeline|incident_search_ids)\b(?!.*USING)).*$", re.MULTILINE
)
# What each is found by, on SQLite and on PostgreSQL. Values are rare: of common ones the order of a list is the better index.
TAGS = ("incident_search_tags VIRTUAL TABLE", "ix_incidents_search_tags")
INDEXES = {
    "/v1/incidents?states=Investigating": ("ix_incidents_active",) * 2,
    "/v1/incidents?severities=P2&active_only=true": ("ix_incidents_active",) * 2,
    "/v1/incidents?sources=nobody": ("ix_incidents_source",) * 2,
    "/v1/incidents?types=Security": ("ix_incidents_type",) * 2,
    "/v1/incidents?severities=P0": ("ix_incidents_severity",) * 2,
    "/v1/incidents?services=nobody": TAGS,
    "/v1/incidents?labels=cluster:nowhere": TAGS,
    "/v1/incidents?assignees=nobody": TAGS,
    "/v1/incidents?q=nothing": ("incident_search VIRTUAL TABLE", "ix_incidents_search"),
    "/v1/incidents/7": ("sqlite_autoindex_incidents_2", "uq_incidents_tenant_id_number"),
}


async def planned(world: World, path: str) -> list[str]:
    """Return the plans of what a request reads of incidents, alerts and timelines."""
    with recording(world.parts.database) as statements:
        assert (await world.http.get(path)).status_code == 200
    return [await plan(world.parts.database, *pair) for pair in statements if re.match("SELECT|WITH found", pair[0])]


@pytest.fixture
async def stored(world: World, settings: Settings) -> World:
    """A service with enough incidents that an index pays, and statistics."""
    for _ in range(3):
        await world.alert(labels={"cluster": "prod"}, affected_services=["checkout"])
    await asyncio.to_thread(fill, settings.database_url, 2_000)
    return world


async def test_what_is_rare_is_found_by_its_index(stored: World) -> None:
    engine = 0 if stored.parts.database.is_sqlite else 1
    found = {path: "\n".join(await planned(stored, path)) for path in INDEXES}
    assert [path for path, indexes in INDEXES.items() if indexes[engine] not in found[path]] == []
    assert [path for path in INDEXES if SCAN.findall(found[path])] == []


@pytest.mark.parametrize("path", ["/v1/incidents", "/v1/incidents/1/timeline", "/v1/incidents/1/alerts", "/v1/alerts"])
async def test_a_page_that_goes_on_from_a_cursor_is_found_by_an_index(world: World, path: str) -> None:
    for title in ("one", "one", "another"):
        await world.alert(title=title)
    cursor = (await world.get(path, page_size=1))["next_cursor"]
    assert cursor is not None
    assert SCAN.findall("\n".join(await planned(world, f"{path}?page_size=1&cursor={cursor}"))) == []


async def test_what_a_search_meets_often_is_looked_up_along_the_order_of_the_list(
    stored: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incident_lists, "COUNT_LIMIT", 0)
    found = (await planned(stored, "/v1/incidents?q=disk"))[-1]
    assert "ix_incidents_created" in found
    assert SCAN.findall(found) == []
