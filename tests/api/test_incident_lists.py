"""Lists of incidents: every filter, every sort, every way of paging."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from incident_manager.schemas.incidents import IncidentSort
from incident_manager.store import incident_lists
from tests import make
from tests.api.answers import fields
from tests.world import World

# Each a minute after the one before; what is not said is P2, Performance, from the desk.
MADE: dict[str, dict[str, Any]] = {
    "a": {"severity": "P0", "source": "desk", "labels": {"team": "db", "env": "prod"}, "assignees": ["ada"]},
    "b": {"severity": "P1", "source": "desk", "labels": {"team": "web", "env": "prod"}, "assignees": ["ada", "grace"]},
    "c": {"severity": "P1", "source": "phone", "labels": {"a:b": "c", "url": "http"}, "affected_resources": ["cart"]},
    "d": {
        "severity": "P2",
        "source": "a:b,c",
        "labels": {"team": "db", "env": "test"},
        "description": "Disk ÄRGER full",
    },
    "e": {"severity": "P3", "source": "phone", "incident_type": "Data", "affected_resources": ["cart", "disk"]},
    "f": {"severity": "P4", "source": "desk", "incident_type": "Security", "labels": {"team": "db%_"}},
}


@pytest.fixture
async def listed(world: World) -> World:
    """Six incidents: a Triaged, b Investigating, c Resolved, d Closed, e and f Detected; f is the newest."""
    for name, given in MADE.items():
        await world.post("/v1/incidents", make.incident(title=f"{name} is broken", **given), status=201)
        world.forward(minutes=1)
    moves = [(1, "Triaged"), (2, "Investigating"), (3, "Resolved"), (4, "Resolved"), (4, "Closed")]
    for number, state in moves:
        await world.http.patch(f"/v1/incidents/{number}", json={"state": state})
    await world.http.patch("/v1/incidents/1", json={"service": "checkout"})
    return world


async def found(world: World, query: str) -> str:
    """Return the first letters of the titles that a query finds, in order."""
    response = await world.http.get(f"/v1/incidents?{query}")
    assert response.status_code == 200, response.text
    page = response.json()
    assert page["total"] == len(page["incidents"])
    return "".join(incident["title"][0] for incident in page["incidents"])


QUERIES = [
    ("", "fedcba"),
    ("states=Detected", "fe"),
    ("states=Resolved&states=Closed", "dc"),
    ("severities=P1", "cb"),
    ("severities=P0&severities=P4", "fa"),
    ("sources=phone", "ec"),
    ("sources=phone&sources=desk", "fecba"),
    ("sources=a:b,c", "d"),
    ("sources=des", ""),
    ("types=Data", "e"),
    ("types=Data&types=Security", "fe"),
    ("assignees=ada", "ba"),
    ("assignees=grace", "b"),
    ("assignees=grace&assignees=ada", "ba"),
    ("assignees=ad", ""),
    ("services=cart", "ec"),
    ("services=checkout", "a"),
    ("services=disk&services=checkout", "ea"),
    ("labels=team:db", "da"),
    ("labels=team:db&labels=team:web", "dba"),
    ("labels=team:db&labels=env:prod", "a"),
    ("labels=team:db&labels=env:prod&labels=env:test", "da"),
    ("labels=a:b:c", "c"),
    ("labels=team:", ""),
    ("labels=team:db%25_", "f"),
    ("labels=team:d%25", ""),
    ("active_only=true", "feba"),
    ("active_only=false", "fedcba"),
    ("q=broken", "fedcba"),
    ("q=BROKEN%20disk", "d"),
    ("q=%20%20disk%20%20full", "d"),
    ("q=%C3%A4rger", "d"),
    ("q=disk%20nothing", ""),
    ("q=%25", ""),
    ("q=_", ""),
    ("q=", "fedcba"),
    ("since=2026-03-01T12:03:00Z", "fed"),
    ("until=2026-03-01T12:03:00Z", "cba"),
    ("since=2026-03-01T12:01:00Z&until=2026-03-01T12:03:00Z", "cb"),
    ("since=2026-03-01T14:03:00%2B02:00", "fed"),
    ("since=2026-03-01T12:03:00.000001Z", "fe"),
    ("states=Detected&severities=P3&sources=phone&types=Data&services=disk&q=broken&active_only=true", "e"),
    ("states=Detected&severities=P0", ""),
]


async def test_what_each_filter_finds(listed: World) -> None:
    assert {query: await found(listed, query) for query, _ in QUERIES} == dict(QUERIES)


async def test_every_sort_orders_both_ways_and_ties_by_age(listed: World) -> None:
    for sort in IncidentSort:
        name, sign = sort.lstrip("-"), -1 if sort.startswith("-") else 1
        keys = [(incident[name], incident["number"]) for incident in await listed.incidents(sort=sort)]
        assert keys == sorted(keys, reverse=sign < 0), sort
        assert len(keys) == len(MADE)


async def pages(world: World, **query: Any) -> AsyncIterator[list[int]]:
    """Follow a list's cursors to its end."""
    cursor: dict[str, str] = {}
    while True:
        page = await world.get("/v1/incidents", **query, **cursor)
        yield [incident["number"] for incident in page["incidents"]]
        if page["next_cursor"] is None:
            return
        cursor = {"cursor": page["next_cursor"]}


async def test_the_pages_of_every_sort_are_the_whole_list(listed: World) -> None:
    for sort in IncidentSort:
        whole = [incident["number"] for incident in await listed.incidents(sort=sort)]
        for size in (1, 2, 4, 6):
            read = [page async for page in pages(listed, sort=sort, page_size=size)]
            assert [number for page in read for number in page] == whole, (sort, size)
            assert {len(page) for page in read[:-1]} <= {size}


async def test_numbered_pages_are_the_whole_list_too(listed: World) -> None:
    read = [await listed.incidents(page=page, page_size=4) for page in range(3)]
    assert [len(page) for page in read] == [4, 2, 0]
    assert [one["number"] for page in read for one in page] == [6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize("sort", IncidentSort)
async def test_no_row_comes_twice_and_none_is_missed_while_others_are_inserted(listed: World, sort: str) -> None:
    seen: list[int] = []
    async for page in pages(listed, sort=sort, page_size=2):
        seen += page
        if len(seen) <= 6:
            await listed.post("/v1/incidents", make.incident(title=f"{len(seen)} is new"), status=201)
            listed.forward(seconds=1)
    assert len(seen) == len(set(seen))
    assert set(seen) >= set(range(1, 7))


async def test_a_page_says_which_it_is(listed: World) -> None:
    page = await listed.get("/v1/incidents", page=1, page_size=4, active_only=True)
    assert page.keys() == {"incidents", "total", "page", "page_size", "next_cursor", "total_capped"}
    assert (page["total"], page["page"], page["page_size"], page["total_capped"]) == (4, 1, 4, False)


async def test_the_total_is_exact_up_to_a_limit(listed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, total, capped in ((5, 5, True), (6, 6, False), (7, 6, False)):
        monkeypatch.setattr(incident_lists, "COUNT_LIMIT", limit)
        page = await listed.get("/v1/incidents", page_size=2)
        assert (page["total"], page["total_capped"]) == (total, capped)


def test_the_limit_is_ten_thousand() -> None:
    assert incident_lists.COUNT_LIMIT == 10_000


BAD = {
    "page": ["-1", "1.5", "x", "", str(10**20), "10001", "0x1"],
    "page_size": ["-1", "0", "101", "x", "", str(10**20)],
    "cursor": ["x", "AAAA", "%F0%9F%94%A5", "a" * 1_001, "=", "../.."],
    "states": ["Sad", "", "detected"],
    "severities": ["P5", "p0", "0"],
    "types": ["Disk", ""],
    "sort": ["title", "", "--number", "number,severity", "created_at%20desc"],
    "active_only": ["maybe", "2", ""],
    "since": [
        "yesterday",
        "2026-03-01",
        "2026-03-01T12:00:00",
        "1772366400",
        "",
        "2026-13-01T00:00:00Z",
        "0001-01-01T00:00:00%2B14:00",
    ],
    "until": ["tomorrow", "1772366400.5"],
    "labels": ["team", ":db", ""],
    "q": ["x" * 201, "%20".join("abcdefghijk")],
    "sources": ["x" * 256],
}


async def test_a_bad_value_is_refused_by_name(listed: World) -> None:
    for name, values in BAD.items():
        for value in values:
            assert fields(await listed.http.get(f"/v1/incidents?{name}={value}")) == [name], (name, value)


async def test_too_many_values_are_refused(listed: World) -> None:
    for name in ("sources", "assignees", "services", "labels"):
        query = "&".join(f"{name}=a:{number}" for number in range(51))
        assert fields(await listed.http.get(f"/v1/incidents?{query}")) == [name]


async def test_what_is_asked_for_once_may_not_be_given_twice(listed: World) -> None:
    for name, value in {"page": 1, "page_size": 5, "sort": "number", "q": "x", "active_only": "true"}.items():
        assert fields(await listed.http.get(f"/v1/incidents?{name}={value}&{name}={value}")) == [name]


async def test_a_cursor_is_worth_nothing_for_another_list(listed: World) -> None:
    cursor = (await listed.get("/v1/incidents", page_size=1, sort="number"))["next_cursor"]
    forged = cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB")
    for query in (
        f"cursor={cursor}",
        f"cursor={cursor}&sort=-number",
        f"cursor={cursor}&sort=number&q=x",
        f"cursor={forged}&sort=number",
        f"cursor={cursor[4:]}&sort=number",
    ):
        assert fields(await listed.http.get(f"/v1/incidents?{query}")) == ["cursor"], query
    for path in ("/v1/alerts", "/v1/incidents/1/timeline", "/v1/keys", "/v1/audit"):
        assert fields(await listed.http.get(f"{path}?cursor={cursor}")) == ["cursor"], path


async def test_a_page_number_and_a_cursor_exclude_each_other(listed: World) -> None:
    cursor = (await listed.get("/v1/incidents", page_size=1))["next_cursor"]
    assert fields(await listed.http.get(f"/v1/incidents?page=1&cursor={cursor}")) == ["page"]


async def test_the_other_lists_are_bounded_alike(listed: World) -> None:
    for path in ("/v1/alerts", "/v1/keys", "/v1/audit", "/v1/integrations", "/v1/incidents/1/alerts"):
        for size in ("0", "-1", "101", "x", str(10**20)):
            assert fields(await listed.http.get(f"{path}?page_size={size}")) == ["page_size"]
        assert fields(await listed.http.get(f"{path}?cursor=x")) == ["cursor"]


async def test_an_empty_list_is_a_list(world: World) -> None:
    page = await world.get("/v1/incidents")
    assert (page["incidents"], page["total"], page["next_cursor"]) == ([], 0, None)
