"""Incidents that are merged into another one: what goes along, what comes later, and what ends the whole."""

from typing import Any

import pytest

from tests.api.answers import fields, refused
from tests.world import World


async def merged(world: World, **into: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Merge the incident of key `a`, which has two alerts, into that of key `b`, and return both as they were answered."""
    for _ in range(2):
        first = await world.alert(dedup_key="a", title="Disk is full", labels={"disk": "sda"})
    world.forward(seconds=60)
    second = await world.alert(dedup_key="b", title="Database is down", labels={"team": "db"}, **into)
    await world.post(f"/v1/incidents/{first['incident_id']}/merge", {"into": second["incident_id"]})
    return await world.incident(first["incident_id"]), await world.incident(second["incident_id"])


async def state(world: World, incident: dict[str, Any]) -> str:
    return (await world.incident(incident["id"]))["state"]


async def types(world: World, incident: dict[str, Any]) -> list[tuple[str, str]]:
    return [(event["type"], event["reason"]) for event in await world.timeline(incident["id"])]


async def test_what_is_merged_is_closed_and_says_into_what(world: World) -> None:
    gone, into = await merged(world)
    assert (gone["state"], gone["merged_into_id"], gone["occurrences"]) == ("Closed", into["id"], 0)
    assert (gone["closed_at"], gone["resolution"]) == ("2026-03-01T12:01:00Z", None)
    assert (await types(world, gone))[-1] == ("merged", "requested")


async def test_what_it_was_merged_into_has_its_alerts_its_count_and_its_labels(world: World) -> None:
    gone, into = await merged(world)
    alerts = [(await world.get(f"/v1/incidents/{one['id']}/alerts"))["alerts"] for one in (gone, into)]
    assert [len(found) for found in alerts] == [0, 3]
    assert {alert["incident_id"] for alert in alerts[1]} == {into["id"]}
    assert (into["occurrences"], into["labels"]) == (3, {"team": "db", "disk": "sda"})
    assert (into["first_seen_at"], into["title"]) == ("2026-03-01T12:00:00Z", "Database is down")
    assert (await types(world, into))[-1] == ("merged", "requested")


async def test_a_merge_raises_severity_and_never_lowers_it(world: World) -> None:
    _, into = await merged(world, severity="P4")
    assert into["severity"] == "P3"
    assert (await types(world, into))[-2:] == [("merged", "requested"), ("severity_raised", "merged")]
    await world.alert(dedup_key="c", severity="P4")
    await world.post("/v1/incidents/3/merge", {"into": 2})
    assert (await world.incident(2))["severity"] == "P3"


async def test_later_repeats_of_either_go_to_what_is_left(world: World) -> None:
    _, into = await merged(world)
    for key in ("a", "b"):
        world.forward(days=1)
        assert (await world.alert(dedup_key=key))["incident_id"] == into["id"]
    assert (await world.incident(into["id"]))["occurrences"] == 5


async def test_the_first_resolve_is_noted_once_and_the_last_one_ends_it(world: World) -> None:
    _, into = await merged(world)
    answers = [await world.alert(dedup_key="a", status="resolved") for _ in range(2)]
    assert {(answer["status"], answer["reason"], answer["incident_id"]) for answer in answers} == {
        ("Accepted", "others_firing", into["id"])
    }
    assert await state(world, into) == "Detected"
    assert (await types(world, into)).count(("partly_resolved", "others_firing")) == 1
    assert (await world.alert(dedup_key="b", status="resolved"))["reason"] == "source_resolved"
    assert await state(world, into) == "Resolved"


async def test_what_fires_again_after_its_own_resolve_keeps_it_open(world: World) -> None:
    _, into = await merged(world)
    await world.alert(dedup_key="a", status="resolved")
    assert (await world.alert(dedup_key="a"))["incident_id"] == into["id"]
    await world.alert(dedup_key="b", status="resolved")
    assert await state(world, into) == "Detected"
    await world.alert(dedup_key="a", status="resolved")
    assert await state(world, into) == "Resolved"


async def test_after_the_end_of_the_whole_each_opens_its_own_recurrence(world: World) -> None:
    _, into = await merged(world)
    for key in ("a", "b"):
        await world.alert(dedup_key=key, status="resolved")
    again = [await world.alert(dedup_key=key) for key in ("a", "b")]
    assert [answer["reason"] for answer in again] == ["previous_ended"] * 2
    found = [await world.incident(answer["incident_id"]) for answer in again]
    assert [incident["recurrence_of_id"] for incident in found] == [into["id"]] * 2
    assert found[0]["id"] != found[1]["id"]


@pytest.mark.parametrize("keys", ["ab", "ba"])
async def test_resolves_that_come_in_one_delivery_end_it(world: World, keys: str) -> None:
    made = await world.post("/v1/integrations", {"name": "gen", "monitor": "generic"}, status=201)
    address = f"/v1/integrations/generic/{made['key']}"
    opened = await world.post(address, [{"title": key, "dedup_key": key} for key in keys])
    first, second = (result["incident_id"] for result in opened["results"])
    await world.post(f"/v1/incidents/{first}/merge", {"into": second})
    body = [{"title": key, "dedup_key": key, "status": "resolved"} for key in keys]
    results = (await world.post(address, body))["results"]
    assert [result["reason"] for result in results] == ["others_firing", "source_resolved"]
    assert {result["incident_id"] for result in results} == {second}
    assert (await world.incident(second))["state"] == "Resolved"


async def test_a_resolve_and_another_ones_repeat_in_one_delivery_leave_it_open(world: World) -> None:
    made = await world.post("/v1/integrations", {"name": "gen", "monitor": "generic"}, status=201)
    address = f"/v1/integrations/generic/{made['key']}"
    opened = await world.post(address, [{"title": key, "dedup_key": key} for key in "ab"])
    first, second = (result["incident_id"] for result in opened["results"])
    await world.post(f"/v1/incidents/{first}/merge", {"into": second})
    resolve = {"title": "a", "dedup_key": "a", "status": "resolved"}
    results = (await world.post(address, [resolve, {"title": "b", "dedup_key": "b"}]))["results"]
    assert [result["reason"] for result in results] == ["others_firing", "while_open"]
    assert (await world.incident(second))["state"] == "Detected"


async def test_a_person_ends_the_whole_and_later_alerts_open_anew(world: World) -> None:
    _, into = await merged(world)
    await world.post(f"/v1/incidents/{into['id']}/resolve", {"resolved_by": "ada", "notes": "done"})
    assert {(await world.alert(dedup_key=key))["reason"] for key in ("a", "b")} == {"previous_ended"}


async def test_a_whole_that_is_reopened_takes_all_its_alerts_again(world: World) -> None:
    _, into = await merged(world)
    await world.post(f"/v1/incidents/{into['id']}/resolve", {"resolved_by": "ada", "notes": "done"})
    await world.post(f"/v1/incidents/{into['id']}/reopen", {"reason": "it is back"})
    assert {(await world.alert(dedup_key=key))["incident_id"] for key in ("a", "b")} == {into["id"]}


async def test_a_delivery_that_comes_again_gets_its_first_answer_although_its_alert_has_moved(world: World) -> None:
    first = await world.alert(dedup_key="a", external_id="1")
    second = await world.alert(dedup_key="b")
    await world.post(f"/v1/incidents/{first['incident_id']}/merge", {"into": second["incident_id"]})
    assert await world.alert(dedup_key="a", external_id="1") == first


async def test_a_merge_that_is_asked_for_again_changes_nothing(world: World) -> None:
    gone, into = await merged(world)
    again = await world.post(f"/v1/incidents/{gone['id']}/merge", {"into": into["number"]})
    assert (again, await world.incident(into["id"])) == (gone, into)


async def test_what_was_merged_cannot_be_moved_any_more(world: World) -> None:
    gone, _ = await merged(world)
    path = f"/v1/incidents/{gone['id']}"
    for call in (
        world.http.post(f"{path}/reopen", json={"reason": "it is back"}),
        world.http.patch(path, json={"state": "Investigating"}),
    ):
        assert refused(await call, 409, "INVALID_STATE_TRANSITION")["allowed"] == []


async def test_what_was_merged_goes_into_no_third_one(world: World) -> None:
    gone, into = await merged(world)
    third = await world.alert(dedup_key="c")
    response = await world.http.post(f"/v1/incidents/{gone['id']}/merge", json={"into": third["incident_id"]})
    assert refused(response, 409, "CONFLICT")["incident_id"] == into["id"]


async def test_nothing_is_merged_into_what_has_ended_or_into_itself_or_into_nothing(world: World) -> None:
    first, second = [(await world.alert(dedup_key=key))["incident_id"] for key in ("a", "b")]
    await world.post(f"/v1/incidents/{second}/resolve", {"resolved_by": "ada", "notes": "done"})
    path = f"/v1/incidents/{first}/merge"
    assert refused(await world.http.post(path, json={"into": second}), 409, "CONFLICT")["incident_id"] == second
    assert fields(await world.http.post(path, json={"into": 1})) == ["into"]
    for nothing in (99, "99", "nothing", "01890000-0000-7000-8000-000000000000"):
        refused(await world.http.post(path, json={"into": nothing}), 404, "NOT_FOUND")


async def test_a_chain_of_merges_ends_when_the_last_of_all_is_resolved(world: World) -> None:
    _, into = await merged(world)
    last = await world.alert(dedup_key="c")
    await world.post(f"/v1/incidents/{into['id']}/merge", {"into": last["incident_id"]})
    reasons = [(await world.alert(dedup_key=key, status="resolved"))["reason"] for key in "abc"]
    assert reasons == ["others_firing", "others_firing", "source_resolved"]
    assert (await world.incident(last["incident_id"]))["state"] == "Resolved"


async def test_a_merge_is_on_the_audit_of_both(world: World) -> None:
    gone, into = await merged(world)
    entries = [entry for entry in (await world.get("/v1/audit"))["audit"] if entry["action"] == "merge"]
    assert {entry["resource_id"] for entry in entries} == {gone["id"], into["id"]}
    assert {entry["after"].get("occurrences") for entry in entries} == {0, 3}
