"""From the first alert to the closed incident, on both databases."""

from tests.world import World


async def test_repeats_fold_into_one_incident_and_a_resolve_ends_it(world: World) -> None:
    first = await world.alert(severity="P3")
    world.forward(minutes=5)
    second = await world.alert(severity="P1")
    world.forward(minutes=5)
    third = await world.alert(status="resolved")

    assert (first["http_status"], first["status"], first["reason"]) == (201, "Accepted", "first_seen")
    assert (second["http_status"], second["status"], second["occurrences"]) == (200, "Duplicate", 2)
    assert third["incident_id"] == second["incident_id"] == first["incident_id"]
    incident = await world.incident(first["incident_number"])
    assert (incident["state"], incident["severity"], incident["occurrences"]) == ("Resolved", "P1", 2)
    assert incident["resolution"]["resolution_method"] == "Automated"
    events = [(event["type"], event["reason"]) for event in await world.timeline(incident["id"])]
    assert events == [
        ("opened", "first_seen"),
        ("attached", "within_window"),
        ("severity_raised", "more_urgent_alert"),
        ("resolved", "source_resolved"),
    ]
