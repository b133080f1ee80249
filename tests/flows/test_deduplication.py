"""What folds into what, to the second, on both databases."""

from datetime import datetime, timedelta

import pytest

from incident_manager.flows.intake.line import Parcel
from incident_manager.flows.intake.submissions import submit
from incident_manager.schemas.alerts import AlertFields
from tests.world import START, World

WINDOW = 900


async def submitted(world: World, **fields: object) -> tuple[str, str, int]:
    answer = await world.alert(**fields)
    return answer["status"], answer["reason"], answer["occurrences"]


@pytest.mark.parametrize(
    ("gap", "status", "reason", "occurrences"),
    [
        (WINDOW - 1, "Duplicate", "within_window", 2),
        (WINDOW, "Duplicate", "within_window", 2),
        (WINDOW + 1, "Accepted", "window_expired", 1),
    ],
)
async def test_the_edges_of_the_window(world: World, gap: int, status: str, reason: str, occurrences: int) -> None:
    await world.alert()
    world.forward(seconds=gap)
    assert await submitted(world) == (status, reason, occurrences)


@pytest.mark.parametrize("gap", [0, WINDOW - 1, WINDOW, WINDOW + 1])
@pytest.mark.parametrize("end", ["resolve", "close"])
async def test_after_a_resolve_or_a_close_the_next_alert_opens_a_recurrence(world: World, end: str, gap: int) -> None:
    first = (await world.alert())["incident_id"]
    await world.post(f"/v1/incidents/{first}/resolve", {"resolved_by": "ada", "notes": "done"})
    if end == "close":
        await world.post(f"/v1/incidents/{first}/close")
    world.forward(seconds=gap)
    answer = await world.alert()
    assert (answer["status"], answer["reason"]) == ("Accepted", "previous_ended")
    assert (await world.incident(answer["incident_id"]))["recurrence_of_id"] == first


async def test_a_reopened_incident_is_attached_to_again(world: World) -> None:
    first = (await world.alert())["incident_id"]
    await world.post(f"/v1/incidents/{first}/resolve", {"resolved_by": "ada", "notes": "done"})
    await world.post(f"/v1/incidents/{first}/reopen", {"reason": "it is back"})
    assert (await world.alert())["incident_id"] == first


async def test_a_reopened_incident_does_not_take_alerts_from_a_newer_one(world: World) -> None:
    first = (await world.alert())["incident_id"]
    await world.post(f"/v1/incidents/{first}/resolve", {"resolved_by": "ada", "notes": "done"})
    second = (await world.alert())["incident_id"]
    await world.post(f"/v1/incidents/{first}/reopen", {"reason": "it is back"})
    assert (await world.alert())["incident_id"] == second


async def test_a_reopened_incident_takes_alerts_again_once_the_newer_one_has_ended(world: World) -> None:
    first = (await world.alert(dedup_key="k"))["incident_id"]
    await world.alert(dedup_key="k", status="resolved")
    await world.alert(dedup_key="k")
    await world.alert(dedup_key="k", status="resolved")
    await world.post(f"/v1/incidents/{first}/reopen", {"reason": "it never went away"})
    answer = await world.alert(dedup_key="k")
    assert (answer["incident_id"], answer["reason"]) == (first, "while_open")


async def test_when_the_newest_of_two_open_incidents_ends_alerts_go_to_the_other(world: World) -> None:
    older = (await world.alert())["incident_id"]
    world.forward(seconds=WINDOW + 1)
    newest = (await world.alert())["incident_id"]
    await world.post(f"/v1/incidents/{newest}/resolve", {"resolved_by": "ada", "notes": "done"})
    assert (await world.alert())["incident_id"] == older
    await world.post(f"/v1/incidents/{older}/resolve", {"resolved_by": "ada", "notes": "done"})
    assert (await world.alert())["reason"] == "previous_ended"


async def test_a_storm_of_four_windows_is_one_incident(world: World) -> None:
    incidents = set()
    for _ in range(4 * WINDOW // 60 + 1):
        incidents.add((await world.alert())["incident_id"])
        world.forward(seconds=60)
    [only] = await world.incidents()
    assert incidents == {only["id"]}
    assert only["occurrences"] == 61


async def test_a_dedup_key_attaches_while_open_however_old(world: World) -> None:
    first = (await world.alert(dedup_key="disk-7"))["incident_id"]
    world.forward(days=30)
    answer = await world.alert(dedup_key="disk-7", title="Disk is still full")
    assert (answer["incident_id"], answer["reason"]) == (first, "while_open")


async def test_what_identifies_an_alert_is_its_key_or_its_text(world: World) -> None:
    alike = [
        {"title": "a", "affected_services": ["x", "y"]},
        {"title": "a", "affected_services": ["y", "x", "x"], "severity": "P1", "labels": {"z": "1"}},
    ]
    different = [
        {"title": "A"},
        {"title": "a"},
        {"source": "other", "title": "a"},
        {"title": "a", "alert_type": "Data"},
    ]
    ids = [(await world.alert(**fields))["incident_id"] for fields in alike + different]
    assert ids[0] == ids[1]
    assert len(set(ids[1:])) == 5


async def test_severity_rises_with_a_more_urgent_repeat_and_never_falls(world: World) -> None:
    seen = []
    for severity in ("P3", "P4", "P1", "P2"):
        number = (await world.alert(severity=severity))["incident_number"]
        seen.append((await world.incident(number))["severity"])
    assert seen == ["P3", "P3", "P1", "P1"]
    raised = [event["data"] for event in await world.timeline(number) if event["type"] == "severity_raised"]
    assert [(data["before"], data["after"]) for data in raised] == [("P3", "P1")]


async def test_a_repeat_adds_labels_and_services_and_only_then_makes_a_new_version(world: World) -> None:
    number = (await world.alert(dedup_key="k", labels={"env": "prod"}))["incident_number"]
    await world.alert(dedup_key="k")
    plain = await world.incident(number)
    await world.alert(dedup_key="k", labels={"env": "dev", "zone": "b"}, affected_services=["db"])
    merged = await world.incident(number)
    assert (plain["version"], plain["occurrences"]) == (1, 2)
    assert (merged["version"], merged["labels"]) == (2, {"env": "prod", "zone": "b"})
    assert merged["affected_resources"] == ["db"]


async def test_a_resolve_ends_every_open_incident_of_its_fingerprint(world: World) -> None:
    numbers = []
    for _ in range(3):
        numbers.append((await world.alert())["incident_number"])
        world.forward(seconds=WINDOW + 1)
    answer = await world.alert(status="resolved")
    assert (answer["status"], answer["incident_number"], answer["http_status"]) == ("Accepted", numbers[-1], 200)
    assert {(await world.incident(number))["state"] for number in numbers} == {"Resolved"}


async def test_an_acknowledged_message_takes_the_newest_incident(world: World) -> None:
    older = (await world.alert())["incident_number"]
    world.forward(seconds=WINDOW + 1)
    newest = (await world.alert())["incident_number"]
    answer = await world.alert(status="acknowledged")
    assert answer["incident_number"] == newest
    assert [(await world.incident(number))["state"] for number in (older, newest)] == ["Detected", "Triaged"]
    assert (await world.incident(newest))["acknowledged_by"] == "prometheus"


@pytest.mark.parametrize("status", ["resolved", "acknowledged"])
async def test_with_nothing_open_a_resolve_or_acknowledgement_is_stored_and_opens_nothing(
    world: World, status: str
) -> None:
    answer = await world.alert(status=status)
    shown = {name: answer[name] for name in ("status", "reason", "incident_id", "incident_number", "occurrences")}
    assert shown == {
        "status": "Accepted",
        "reason": "nothing_open",
        "incident_id": None,
        "incident_number": None,
        "occurrences": 0,
    }
    assert (await world.get(f"/v1/alerts/{answer['alert_id']}"))["outcome"] == "no_effect"
    assert await world.incidents() == []


async def test_a_resolve_older_than_the_newest_firing_changes_nothing_and_is_told(world: World) -> None:
    fired, before = "2026-03-01T11:59:00Z", "2026-03-01T11:58:59Z"
    number = (await world.alert(occurred_at=fired))["incident_number"]
    answer = await world.alert(status="resolved", occurred_at=before)
    assert (answer["status"], answer["reason"], answer["incident_id"]) == ("Accepted", "out_of_order", None)
    assert (await world.incident(number))["state"] == "Detected"
    assert (await world.timeline(number))[-1]["type"] == "out_of_order"


async def test_a_resolve_of_the_same_instant_as_the_firing_ends_it(world: World) -> None:
    at = "2026-03-01T11:59:00Z"
    number = (await world.alert(occurred_at=at))["incident_number"]
    await world.alert(status="resolved", occurred_at=at)
    assert (await world.incident(number))["state"] == "Resolved"


async def test_a_late_firing_message_does_not_open_what_was_resolved_after_it(world: World) -> None:
    await world.alert(status="resolved", occurred_at="2026-03-01T11:59:30Z")
    answer = await world.alert(occurred_at="2026-03-01T11:59:00Z")
    assert (answer["status"], answer["reason"], answer["http_status"]) == ("Suppressed", "out_of_order", 200)
    assert await world.incidents() == []


async def test_a_clock_that_runs_far_ahead_does_not_keep_an_incident_open(world: World) -> None:
    number = (await world.alert(occurred_at="2027-01-01T00:00:00Z"))["incident_number"]
    world.forward(seconds=1)
    await world.alert(status="resolved")
    assert (await world.incident(number))["state"] == "Resolved"


async def test_several_messages_of_one_problem_in_one_delivery_are_taken_in_their_order(world: World) -> None:
    made = await world.post("/v1/integrations", {"name": "gen", "monitor": "generic"}, status=201)
    path = f"/v1/integrations/generic/{made['key']}"
    statuses = ["firing", "firing", "acknowledged", "resolved", "firing", "resolved", "resolved"]
    body = [{"title": "t", "dedup_key": "k", "status": status} for status in statuses]
    results = (await world.post(path, body))["results"]
    assert [(result["reason"], result["incident_number"], result["occurrences"]) for result in results] == [
        ("first_seen", 1, 1),
        ("while_open", 1, 2),
        ("source_acknowledged", 1, 2),
        ("source_resolved", 1, 2),
        ("previous_ended", 2, 1),
        ("source_resolved", 2, 1),
        ("nothing_open", None, 0),
    ]
    assert [incident["state"] for incident in await world.incidents()] == ["Resolved", "Resolved"]


async def test_an_alert_that_waited_for_its_commit_was_seen_when_it_was_received(world: World) -> None:
    received = [START - timedelta(seconds=9), START - timedelta(seconds=4)]
    actor = (await world.units()).actor
    for at in received:
        settings = world.parts.settings.dedup
        waited = submit(AlertFields(title="t"), actor, source="s", settings=settings, received_at=at)
        await world.parts.intake.receive(Parcel([waited], tenant_id=actor.tenant_id, received_at=at))
    incident = await world.incident(1)
    seen = [datetime.fromisoformat(incident[name]) for name in ("first_seen_at", "last_seen_at")]
    assert seen == received
