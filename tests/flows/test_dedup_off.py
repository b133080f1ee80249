"""Deduplication off: one incident a firing alert, and a resolve ends them all."""

import msgspec

from incident_manager.settings import Settings
from tests.world import running


async def test_every_firing_alert_opens_an_incident_of_its_own(settings: Settings) -> None:
    off = msgspec.structs.replace(settings, dedup=msgspec.structs.replace(settings.dedup, enabled=False))
    async with running(off) as world:
        answers = [await world.alert(dedup_key="k") for _ in range(3)]
        resolved = await world.alert(dedup_key="k", status="resolved")
        incidents = await world.incidents(sort="number")
    assert [answer["reason"] for answer in answers] == ["dedup_disabled"] * 3
    assert [incident["recurrence_of_id"] for incident in incidents] == [None, *(i["id"] for i in incidents[:2])]
    assert resolved["incident_id"] == incidents[-1]["id"]
    assert {incident["state"] for incident in incidents} == {"Resolved"}
