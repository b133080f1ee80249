"""A large store, made small: of the size it is asked for, found by what it is asked for, and its schema as it was."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from incident_manager import migrate
from incident_manager.models import Base
from incident_manager.settings import Settings
from tests.bench.large import Large, enlarge
from tests.world import World, running

SIZE = Large(200, 2_000, 100)


@pytest.fixture
async def grown(settings: Settings) -> AsyncIterator[World]:
    """A service over a store that was made of one incident's usual way, while nobody used it."""
    async with running(settings) as world:
        for _ in range(2):
            await world.alert()
        await world.post("/v1/incidents/1/resolve", {"resolved_by": "ada", "notes": ""})
    await asyncio.to_thread(enlarge, settings.database_url, SIZE)
    async with running(settings) as world:
        yield world


async def test_a_store_is_as_large_as_it_is_meant_to_be_and_its_schema_is_as_it_was(
    grown: World, settings: Settings
) -> None:
    """One test of all of it: making a store takes seconds."""
    assert (await grown.get("/v1/incidents"))["total"] == SIZE.incidents + 1
    assert [len(await grown.timeline(number)) for number in (3, 5)] == [100, 3]
    for number in (2, 100):
        incident = await grown.incident(number)
        alerts = (await grown.get(f"/v1/incidents/{number}/alerts"))["alerts"]
        assert {(one["incident_id"], one["title"]) for one in alerts} == {(incident["id"], incident["title"])}
    one = await grown.incident(50)
    asked = {"q": one["title"], "labels": f"instance:{one['labels']['instance']}"}
    assert 50 in {found["number"] for found in await grown.incidents(**asked)}
    assert await migrate.differences(settings.database_url, Base.metadata) == ""
