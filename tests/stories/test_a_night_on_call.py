"""A night on call: what a person does to an incident, and what the next one finds of it."""

from incident_manager.rules.access import Role
from tests.world import World


async def test_the_morning_can_read_what_the_night_did(world: World) -> None:
    ada = world.as_key(await world.key(Role.RESPONDER))
    first = (await world.alert(severity="P1", dedup_key="checkout"))["incident_id"]
    world.forward(minutes=2)
    await ada.post(f"/v1/incidents/{first}/acknowledge", json={"by": "ada"})
    await ada.post(f"/v1/incidents/{first}/notes", json={"content": "the cart leaks"})
    world.forward(minutes=20)
    await ada.post(
        f"/v1/incidents/{first}/resolve", json={"resolved_by": "ada", "notes": "restarted", "root_cause": "leak"}
    )
    world.forward(hours=5)
    second = await world.alert(severity="P1", dedup_key="checkout")

    found = await world.incident(second["incident_id"])
    assert (second["reason"], found["recurrence_of_id"]) == ("previous_ended", first)
    before = await world.incident(found["recurrence_of_id"])
    assert (before["resolution"]["resolved_by"], before["resolution"]["root_cause"]) == ("ada", "leak")
    told = [(event["type"], event["actor"].partition("-")[0]) for event in await world.timeline(first)]
    assert told == [("opened", "admin"), ("acknowledged", "ada"), ("note", "responder"), ("resolved", "ada")]
    assert [one["id"] for one in await world.incidents(active_only=True)] == [found["id"]]
