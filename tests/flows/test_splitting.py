"""An incident that turns out to be two: which alerts and which later repeats each of them has."""

from typing import Any

import pytest

from tests.api.answers import fields, refused
from tests.world import World


async def merged(world: World) -> list[dict[str, Any]]:
    """Return the alerts' answers of an incident, number 2, that holds the fingerprints `a` (first, twice) and `b`."""
    answers = []
    for key, severity in (("a", "P3"), ("a", "P1"), ("b", "P2")):
        answers.append(await world.alert(dedup_key=key, title=f"{key} is down", severity=severity, labels={"key": key}))
        world.forward(seconds=10)
    await world.post("/v1/incidents/1/merge", {"into": 2})
    return answers


async def split(world: World, *alerts: dict[str, Any], reference: int = 2) -> dict[str, Any]:
    return await world.post(f"/v1/incidents/{reference}/split", {"alert_ids": [one["alert_id"] for one in alerts]})


async def test_a_split_answers_the_new_incident_made_of_its_alerts(world: World) -> None:
    first, second, _ = await merged(world)
    new = await split(world, first, second)
    assert (new["number"], new["state"], new["title"], new["severity"]) == (3, "Detected", "a is down", "P1")
    assert (new["occurrences"], new["labels"]) == (2, {"key": "a"})
    assert (new["first_seen_at"], new["last_seen_at"]) == ("2026-03-01T12:00:00Z", "2026-03-01T12:00:10Z")
    alerts = (await world.get(f"/v1/incidents/{new['id']}/alerts"))["alerts"]
    assert {alert["id"] for alert in alerts} == {first["alert_id"], second["alert_id"]}


async def test_what_stays_counts_its_own_and_both_tell_of_the_split(world: World) -> None:
    first, second, _ = await merged(world)
    new = await split(world, first, second)
    old = await world.incident(2)
    assert (old["occurrences"], old["version"]) == (1, 3)
    event = (await world.timeline(2))[-1]
    assert (event["type"], event["data"]["into"]) == ("split", new["id"])
    opened = (await world.timeline(3))[0]
    assert (opened["type"], opened["reason"], opened["data"]["split_from"]) == ("opened", "split", old["id"])


async def test_later_repeats_follow_a_fingerprint_that_has_moved_whole(world: World) -> None:
    first, second, third = await merged(world)
    new = await split(world, first, second)
    assert (await world.alert(dedup_key="a"))["incident_id"] == new["id"]
    assert (await world.alert(dedup_key="b"))["incident_id"] == third["incident_id"]


async def test_after_a_split_each_ends_by_its_own_resolve(world: World) -> None:
    first, second, _ = await merged(world)
    await split(world, first, second)
    await world.alert(dedup_key="b", status="resolved")
    assert [(await world.incident(number))["state"] for number in (2, 3)] == ["Resolved", "Detected"]
    await world.alert(dedup_key="a", status="resolved")
    assert (await world.incident(3))["state"] == "Resolved"


async def test_the_first_one_may_be_what_goes_and_what_stays_is_known_by_what_it_has(world: World) -> None:
    first, _, third = await merged(world)
    new = await split(world, third)
    kept = await world.incident(2)
    assert (await world.get(f"/v1/alerts/{first['alert_id']}"))["fingerprint"] == kept["fingerprint"]
    await world.alert(dedup_key="b", status="resolved")
    assert [(await world.incident(number))["state"] for number in (2, new["number"])] == ["Detected", "Resolved"]


async def test_where_alerts_of_a_fingerprint_stay_its_repeats_stay_and_its_resolve_ends_both(world: World) -> None:
    answers = [await world.alert(dedup_key="a") for _ in range(3)]
    new = await split(world, answers[1], reference=1)
    assert (await world.alert(dedup_key="a"))["incident_number"] == 1
    await world.alert(dedup_key="a", status="resolved")
    assert [(await world.incident(number))["state"] for number in (1, new["number"])] == ["Resolved", "Resolved"]


async def test_a_split_undoes_a_merge(world: World) -> None:
    first, second, third = await merged(world)
    new = await split(world, first, second)
    again = await world.alert(dedup_key="a", external_id="1")
    assert again["occurrences"] == 3
    assert (await world.alert(dedup_key="a", external_id="1")) == again
    assert {(await world.incident(2))["occurrences"], (await world.incident(new["id"]))["occurrences"]} == {1, 3}
    assert third["incident_number"] == 2


@pytest.mark.parametrize("chosen", ["all", "none that fires"])
async def test_nothing_is_left_empty(world: World, chosen: str) -> None:
    answers = [await world.alert(dedup_key="a") for _ in range(2)]
    late = await world.alert(dedup_key="a", status="acknowledged")
    ids = [one["alert_id"] for one in (answers if chosen == "all" else [late])]
    assert fields(await world.http.post("/v1/incidents/1/split", json={"alert_ids": ids})) == ["alert_ids"]


async def test_alerts_of_another_incident_are_named_and_unknown_ones_are_not_found(world: World) -> None:
    mine = [await world.alert(dedup_key="a") for _ in range(2)]
    other = await world.alert(dedup_key="b")
    path = "/v1/incidents/1/split"
    body = {"alert_ids": [mine[0]["alert_id"], other["alert_id"]]}
    assert fields(await world.http.post(path, json=body)) == ["alert_ids[1]"]
    unknown = "01890000-0000-7000-8000-000000000000"
    refused(await world.http.post(path, json={"alert_ids": [unknown]}), 404, "NOT_FOUND")
    assert (await world.incident(1))["occurrences"] == 2


async def test_what_has_ended_is_not_split(world: World) -> None:
    answers = [await world.alert(dedup_key="a") for _ in range(2)]
    await world.post("/v1/incidents/1/resolve", {"resolved_by": "ada", "notes": ""})
    response = await world.http.post("/v1/incidents/1/split", json={"alert_ids": [answers[0]["alert_id"]]})
    assert refused(response, 409, "INVALID_STATE_TRANSITION")["allowed"] == ["Closed", "Investigating"]


async def test_a_split_is_on_the_audit_of_both(world: World) -> None:
    first, second, _ = await merged(world)
    new = await split(world, first, second)
    entries = [(one["action"], one["resource_id"]) for one in (await world.get("/v1/audit"))["audit"][:2]]
    assert sorted(entries) == sorted([("create", new["id"]), ("split", (await world.incident(2))["id"])])
