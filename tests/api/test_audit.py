"""The audit as admins read it: page by page, newest first, with its length."""

import pytest

from incident_manager.store import audit
from tests.world import World


async def noted(world: World, count: int) -> None:
    await world.alert()
    for number in range(count):
        await world.post("/v1/incidents/1/notes", {"content": str(number)})


async def test_pages_are_the_whole_audit_newest_first(world: World) -> None:
    await noted(world, 4)
    whole = await world.get("/v1/audit")
    first = await world.get("/v1/audit", page_size=3)
    rest = await world.get("/v1/audit", cursor=first["next_cursor"])
    assert first["audit"] + rest["audit"] == whole["audit"]
    assert [entry["id"] for entry in whole["audit"]] == sorted((entry["id"] for entry in whole["audit"]), reverse=True)
    assert (first["total"], rest["total"], rest["next_cursor"]) == (len(whole["audit"]),) * 2 + (None,)


async def test_its_length_is_counted_up_to_a_limit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await noted(world, 4)
    monkeypatch.setattr(audit, "COUNT_LIMIT", 3)
    assert (await world.get("/v1/audit"))["total"] == 3


async def test_alert_intake_is_not_in_it(world: World) -> None:
    before = await world.get("/v1/audit")
    await world.alert()
    await world.alert(status="resolved")
    assert await world.get("/v1/audit") == before
