"""An incident's alerts are found by their primary keys, one after the other, however many others there are."""

import re

import pytest
import sqlalchemy as sa

from incident_manager.models.alerts import Alert
from tests.sql import plan, recording
from tests.world import World

MANY = 20_000
RANDOM_ID = {True: "lower(hex(randomblob(16)))", False: "gen_random_uuid()"}
ALERTS = Alert.__table__
# How a database says that it looks into the alerts, and by what: of a Bitmap Scan or a Seq Scan nothing is said.
LOOKS = re.compile(
    r"(?:SEARCH|SCAN) alerts\b(?: USING [A-Z ]*INDEX \w+ )?(.*)|Scan .*\bon alerts.*(?:\n +Index Cond: (.*))?"
)
BY_KEY = re.compile(r"\(*tenant_id ?= ?.* AND \(*id ?= ?.*")


@pytest.fixture
async def filled(world: World) -> World:
    """A world with two incidents, two alerts each, and so many alerts of none that reading all is never better."""
    for key in "abab":
        await world.alert(dedup_key=key)
    on_sqlite = world.parts.database.is_sqlite
    counted = sa.select(sa.literal(1).label("n")).cte("counted", recursive=True)
    counted = counted.union_all(sa.select(counted.c.n + 1).where(counted.c.n < MANY))
    others = {"id": sa.text(RANDOM_ID[on_sqlite]), "incident_id": sa.null(), "previous_id": sa.null()}
    one = sa.select(ALERTS).limit(1).subquery()
    names = [column.name for column in ALERTS.c]
    copies = sa.select(*(others.get(name, one.c[name]) for name in names)).join_from(one, counted, sa.true())
    async with world.parts.database.engine.begin() as connection:
        await connection.execute(ALERTS.insert().from_select(names, copies))
        if not on_sqlite:
            await connection.exec_driver_sql("ANALYZE alerts")
    return world


async def looks(world: World, method: str, path: str, body: object = None) -> list[str]:
    """Return by what each look into the alerts finds them, of what a request runs along a chain."""
    with recording(world.parts.database) as statements:
        response = await world.http.request(method, path, json=body)
    assert response.is_success, response.text
    walks = [pair for pair in statements if pair[0].startswith("WITH RECURSIVE")]
    found = [LOOKS.findall(await plan(world.parts.database, *pair)) for pair in walks]
    return ["".join(groups) for each in found for groups in each]


async def test_a_page_is_read_by_primary_key(filled: World) -> None:
    first = await filled.get("/v1/incidents/1/alerts", page_size=1)
    for query in ("page_size=1", f"page_size=1&cursor={first['next_cursor']}"):
        found = await looks(filled, "GET", f"/v1/incidents/1/alerts?{query}")
        assert len(found) >= 2
        assert [look for look in found if not BY_KEY.fullmatch(look)] == []


async def test_a_merge_and_a_split_find_what_they_move_by_primary_key(filled: World) -> None:
    found = await looks(filled, "POST", "/v1/incidents/1/merge", {"into": 2})
    newest = (await filled.get("/v1/incidents/2/alerts"))["alerts"][0]["id"]
    found += await looks(filled, "POST", "/v1/incidents/2/split", {"alert_ids": [newest]})
    assert len(found) >= 12
    assert [look for look in found if not BY_KEY.fullmatch(look)] == []


async def test_a_look_at_all_would_be_seen(world: World) -> None:
    [found] = LOOKS.findall(await plan(world.parts.database, "SELECT max(title) FROM alerts", ()))
    assert not BY_KEY.fullmatch("".join(found))
