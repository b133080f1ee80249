"""What an alert would become is what it becomes."""

from typing import Any

import pytest

from tests import make
from tests.world import World

SAME = ("incident_id", "incident_number", "status", "reason", "message")


async def preview(world: World, **fields: Any) -> dict[str, Any]:
    return await world.post("/v1/alerts/preview", make.alert(**fields))


async def told_and_done(world: World, **fields: Any) -> None:
    """Check that what is told before is what is answered after; a new incident has no id before."""
    told = await preview(world, **fields)
    done = await world.alert(**fields)
    stored = await world.get(f"/v1/alerts/{done['alert_id']}")
    if done["http_status"] == 201:
        done |= {"incident_id": None, "incident_number": None}
    assert {name: told[name] for name in SAME} == {name: done[name] for name in SAME}
    assert (told["fingerprint"], told["outcome"]) == (stored["fingerprint"], stored["outcome"])


@pytest.mark.parametrize("key", [None, "k"])
async def test_through_a_whole_life_what_is_told_is_what_is_done(world: World, key: str | None) -> None:
    for status in ("resolved", "acknowledged", "firing", "firing", "acknowledged", "resolved", "resolved", "firing"):
        await told_and_done(world, dedup_key=key, status=status)
        world.forward(seconds=600)
    world.forward(seconds=901)
    await told_and_done(world, dedup_key=key)
    await told_and_done(world, dedup_key=key, status="resolved", occurred_at="2026-03-01T11:00:00Z")


async def test_of_what_was_merged_too(world: World) -> None:
    for key in "ab":
        await world.alert(dedup_key=key)
    await world.post("/v1/incidents/1/merge", {"into": 2})
    for key, status in (("a", "firing"), ("a", "resolved"), ("b", "resolved"), ("a", "firing")):
        await told_and_done(world, dedup_key=key, status=status)


async def test_it_says_how_it_is_folded_and_stores_nothing(world: World) -> None:
    folded = [await preview(world), await preview(world, dedup_key="k")]
    assert [(one["mode"], one["window_seconds"]) for one in folded] == [("window", 900), ("while_open", 900)]
    assert (await world.get("/v1/alerts"))["alerts"] == []
    assert await world.incidents() == []
