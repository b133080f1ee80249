"""Incidents over HTTP: every field comes back, the whole table of moves, versions, history."""

import asyncio
import re
from typing import Any

import msgspec
import pytest

from incident_manager.rules.access import Policy
from incident_manager.rules.lifecycle import IncidentState
from incident_manager.schemas.alerts import AlertIn
from incident_manager.schemas.incidents import (
    AcknowledgeIn,
    CloseIn,
    IncidentIn,
    IncidentOut,
    IncidentPatch,
    NoteIn,
    ReopenIn,
    ResolveIn,
)
from tests import make
from tests.api.answers import refused
from tests.api.routes import ROUTES, things
from tests.world import World

S = IncidentState
ALLOWED = {
    S.DETECTED: [S.TRIAGED, S.INVESTIGATING, S.REMEDIATING, S.RESOLVED],
    S.TRIAGED: [S.INVESTIGATING, S.REMEDIATING, S.RESOLVED],
    S.INVESTIGATING: [S.TRIAGED, S.REMEDIATING, S.RESOLVED],
    S.REMEDIATING: [S.INVESTIGATING, S.RESOLVED],
    S.RESOLVED: [S.CLOSED, S.INVESTIGATING],
    S.CLOSED: [S.INVESTIGATING],
}
ALERT = {
    "source": "prometheus",
    "title": "Disk is full",
    "description": "97 %",
    "severity": "P1",
    "alert_type": "Infrastructure",
    "status": "firing",
    "external_id": "delivery-1",
    "dedup_key": "disk-7",
    "labels": {"team": "db"},
    "annotations": {"note": "x"},
    "affected_services": ["postgres", "disk"],
    "runbook_url": "https://runbooks.example/disk",
    "links": ["https://a.example/1", {"href": "https://a.example/2", "text": "graph"}],
    "occurred_at": "2026-03-01T11:59:58.123456Z",
}
INCIDENT = {
    "source": "desk",
    "title": "Checkout is slow",
    "severity": "P0",
    "incident_type": "Performance",
    "description": "p99 is 9 s",
    "affected_resources": ["checkout", "cart"],
    "labels": {"region": "eu"},
    "assignees": ["Ada Lovelace", "grace@example.org"],
}
PATCH = {
    "severity": "P4",
    "title": "Cart is slow",
    "description": "",
    "assignees": ["linus"],
    "labels": {"region": "us", "a:b": "c"},
    "affected_resources": [],
    "service": "cart",
    "team": "shop",
}


async def opened(world: World, state: IncidentState = S.DETECTED, **given: Any) -> dict[str, Any]:
    """Return an incident that has come to a state."""
    incident = await world.post("/v1/incidents", make.incident(**given), status=201)
    for step in {S.DETECTED: [], S.CLOSED: [S.RESOLVED, S.CLOSED]}.get(state, [state]):
        incident = (await world.http.patch(f"/v1/incidents/{incident['id']}", json={"state": step})).json()
    assert incident["state"] == state
    return incident


async def act(world: World, incident: dict[str, Any], action: str, body: object = None) -> Any:
    return await world.post(f"/v1/incidents/{incident['id']}/{action}", body)


@pytest.mark.parametrize(
    ("kind", "given", "elsewhere"),
    [
        (AlertIn, ALERT, set()),
        (IncidentIn, INCIDENT, set()),
        (IncidentPatch, PATCH, {"state", "actor"}),
        (AcknowledgeIn, {"by"}, set()),
        (ResolveIn, {"resolved_by", "notes", "method", "root_cause"}, set()),
        (ReopenIn, {"reason"}, set()),
        (NoteIn, {"content"}, set()),
        (CloseIn, set(), set()),
    ],
)
def test_the_tests_below_give_every_field(kind: type[msgspec.Struct], given: Any, elsewhere: set[str]) -> None:
    assert set(given) | elsewhere == set(kind.__struct_fields__)


async def test_every_field_of_an_alert_comes_back(world: World) -> None:
    answer = await world.post("/v1/alerts", ALERT, status=201)
    alert = await world.get(f"/v1/alerts/{answer['alert_id']}")
    assert {name: alert[name] for name in ALERT} == ALERT
    assert (alert["incident_id"], alert["outcome"], alert["reason"]) == (answer["incident_id"], "opened", "first_seen")


async def test_a_new_incident_takes_after_its_alert(world: World) -> None:
    answer = await world.post("/v1/alerts", ALERT, status=201)
    incident = await world.incident(answer["incident_number"])
    same = ("source", "title", "description", "severity", "labels", "links")
    assert {name: incident[name] for name in same} == {name: ALERT[name] for name in same}
    assert (incident["incident_type"], incident["affected_resources"]) == ("Infrastructure", ["postgres", "disk"])
    assert (incident["state"], incident["occurrences"], incident["version"]) == ("Detected", 1, 1)


async def test_every_field_of_an_incident_comes_back(world: World) -> None:
    response = await world.http.post("/v1/incidents", json=INCIDENT)
    shown = await world.get(response.headers["Location"])
    assert {name: shown[name] for name in INCIDENT} == INCIDENT
    assert response.json() == shown
    assert shown.keys() == set(IncidentOut.__struct_fields__)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_every_field_of_a_change_comes_back(world: World, method: str) -> None:
    incident = await opened(world)
    world.forward(seconds=1)
    response = await world.http.request(method, f"/v1/incidents/{incident['id']}", json=PATCH)
    shown = await world.incident(incident["id"])
    assert response.json() == shown
    assert shown == incident | PATCH | {"version": 2, "updated_at": "2026-03-01T12:00:01Z"}


async def test_a_change_of_one_field_leaves_the_others(world: World) -> None:
    for name, value in PATCH.items():
        incident = await opened(world, title=name)
        changed = (await world.http.patch(f"/v1/incidents/{incident['id']}", json={name: value})).json()
        assert changed == incident | {name: value, "version": 1 + (incident[name] != value)}


async def test_service_and_team_can_be_taken_away_again(world: World) -> None:
    incident = await opened(world)
    await world.http.patch(f"/v1/incidents/{incident['id']}", json={"service": "cart", "team": "shop"})
    changed = (await world.http.patch(f"/v1/incidents/{incident['id']}", json={"service": None, "team": None})).json()
    assert (changed["service"], changed["team"]) == (None, None)


@pytest.mark.parametrize("present", S)
async def test_the_table_of_moves(world: World, present: IncidentState) -> None:
    for target in S:
        incident = await opened(world, present, title=f"to {target}")
        noted = await world.timeline(incident["id"])
        response = await world.http.patch(f"/v1/incidents/{incident['id']}", json={"state": target})
        after, events = await world.incident(incident["id"]), await world.timeline(incident["id"])
        if target in ALLOWED[present]:
            assert (response.status_code, after["state"], len(events)) == (200, target, len(noted) + 1)
            continue
        assert (after, events) == (incident, noted)
        if target is present:
            assert response.json() == incident
        else:
            assert refused(response, 409, "INVALID_STATE_TRANSITION")["allowed"] == ALLOWED[present]


ENDED = {S.RESOLVED, S.CLOSED}
ACTIONS: dict[str, tuple[dict[str, str], dict[IncidentState, IncidentState]]] = {
    "resolve": ({"resolved_by": "ada", "notes": ""}, dict.fromkeys(set(S) - {S.CLOSED}, S.RESOLVED)),
    "close": ({}, dict.fromkeys(ENDED, S.CLOSED)),
    "acknowledge": ({}, {state: state for state in set(S) - ENDED} | {S.DETECTED: S.TRIAGED}),
    "notes": ({"content": "x"}, {state: state for state in S}),
}


@pytest.mark.parametrize("present", S)
async def test_what_each_action_does_in_each_state(world: World, present: IncidentState) -> None:
    for action, (body, leads) in ACTIONS.items():
        incident = await opened(world, present, title=action)
        response = await world.http.post(f"/v1/incidents/{incident['id']}/{action}", json=body)
        if present in leads:
            assert (response.status_code, response.json()["state"]) == (200, leads[present]), action
        else:
            assert refused(response, 409, "INVALID_STATE_TRANSITION")["allowed"] == ALLOWED[present], action


@pytest.mark.parametrize("present", [*ENDED, S.INVESTIGATING])
async def test_reopening_leads_to_investigating(world: World, present: IncidentState) -> None:
    incident = await opened(world, present)
    assert (await act(world, incident, "reopen", {"reason": "it is back"}))["state"] == "Investigating"


@pytest.mark.parametrize("present", [S.DETECTED, S.TRIAGED, S.REMEDIATING])
async def test_what_has_not_ended_cannot_be_reopened(world: World, present: IncidentState) -> None:
    incident = await opened(world, present)
    response = await world.http.post(f"/v1/incidents/{incident['id']}/reopen", json={"reason": "it is back"})
    assert refused(response, 409, "INVALID_STATE_TRANSITION")["allowed"] == ALLOWED[present]


async def test_an_acknowledgement_is_by_whom_it_names_or_by_the_key(world: World) -> None:
    named = await act(world, await opened(world), "acknowledge", {"by": "ada"})
    assert (named["acknowledged_by"], named["acknowledged_at"]) == ("ada", "2026-03-01T12:00:00Z")
    by_key = await act(world, await world.incident((await world.alert())["incident_id"]), "acknowledge")
    assert by_key["acknowledged_by"] == "admin"


async def test_a_second_acknowledgement_changes_nothing(world: World) -> None:
    first = await act(world, await opened(world), "acknowledge", {"by": "ada"})
    world.forward(minutes=1)
    assert await act(world, first, "acknowledge", {"by": "grace"}) == first


async def test_a_resolution_says_all_that_was_given(world: World) -> None:
    given = {"resolved_by": "ada", "notes": "restarted", "method": "AutoAssistedManual", "root_cause": "a leak"}
    resolved = await act(world, await opened(world), "resolve", given)
    assert resolved["resolution"] == {
        "resolved_at": "2026-03-01T12:00:00Z",
        "resolved_by": "ada",
        "resolution_method": "AutoAssistedManual",
        "root_cause": "a leak",
        "notes": "restarted",
    }


@pytest.mark.parametrize(("actor", "by"), [({"actor": "ada"}, "ada"), ({}, "admin")])
async def test_a_change_to_resolved_is_a_resolve_in_full(world: World, actor: dict[str, str], by: str) -> None:
    incident = await opened(world)
    response = await world.http.patch(f"/v1/incidents/{incident['id']}", json={"state": "Resolved", **actor})
    resolution = response.json()["resolution"]
    assert (resolution["resolved_by"], resolution["resolution_method"], resolution["root_cause"]) == (
        by,
        "Manual",
        None,
    )


async def test_reopening_clears_the_end_and_the_timeline_keeps_it(world: World) -> None:
    given = {"resolved_by": "ada", "notes": "restarted", "root_cause": "a leak"}
    resolved = await act(world, await opened(world), "resolve", given)
    await act(world, resolved, "close")
    reopened = await act(world, resolved, "reopen", {"reason": "it is back"})
    assert (reopened["resolution"], reopened["closed_at"], reopened["acknowledged_at"]) == (None, None, None)
    event = (await world.timeline(reopened["id"]))[-1]
    kept = event["data"]["resolution"]
    assert (event["type"], event["reason"]) == ("reopened", "it is back")
    assert (kept["resolved_by"], kept["notes"], kept["root_cause"]) == ("ada", "restarted", "a leak")


async def test_the_timeline_tells_everything_in_order(world: World) -> None:
    incident = await opened(world)
    await act(world, incident, "acknowledge", {"by": "ada"})
    await act(world, incident, "notes", {"content": "looking"})
    await world.http.patch(f"/v1/incidents/{incident['id']}", json={"severity": "P0", "actor": "ada"})
    await world.http.patch(f"/v1/incidents/{incident['id']}", json={"state": "Investigating", "title": "x"})
    await act(world, incident, "resolve", {"resolved_by": "grace", "notes": "", "method": "Manual"})
    await act(world, incident, "close")
    events = await world.timeline(incident["id"])
    assert [(event["seq"], event["type"], event["actor"]) for event in events] == [
        (1, "opened", "admin"),
        (2, "acknowledged", "ada"),
        (3, "note", "admin"),
        (4, "severity_raised", "ada"),
        (5, "changed", "admin"),
        (6, "state_changed", "admin"),
        (7, "resolved", "grace"),
        (8, "closed", "admin"),
    ]
    assert all(event["reason"] for event in events)


async def test_a_timeline_is_read_page_by_page(world: World) -> None:
    incident = await opened(world)
    for number in range(6):
        await act(world, incident, "notes", {"content": str(number)})
    path, seen, cursor = f"/v1/incidents/{incident['id']}/timeline", [], None
    while page := await world.get(path, page_size=2, **({"cursor": cursor} if cursor else {})):
        seen += [event["seq"] for event in page["events"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == [1, 2, 3, 4, 5, 6, 7]


MUTATIONS = [route for route in ROUTES if route.policy in {Policy.ACT, Policy.ADMINISTER} and route.method != "GET"]


async def test_every_change_by_a_key_is_audited_with_who_and_in_which_request(world: World) -> None:
    made = await things(world)
    for number, route in enumerate(MUTATIONS):
        headers = {"X-Request-Id": f"request-{number}"}
        response = await world.http.request(route.method, made.path(route), json=made.body(route), headers=headers)
        assert response.is_success, route
    by_request = {entry["request_id"]: entry for entry in (await world.get("/v1/audit"))["audit"]}
    for number, route in enumerate(MUTATIONS):
        entry = by_request[f"request-{number}"]
        assert (entry["actor"], entry["actor_kind"]) == ("admin", "key"), route.name
        assert all(entry[name] for name in ("actor_id", "action", "resource", "resource_id")), route.name


async def test_every_change_of_an_incident_by_a_key_is_on_its_timeline(world: World) -> None:
    made = await things(world)
    for route in MUTATIONS:
        if route.path.startswith("/v1/incidents/{reference}"):
            before = len(await world.timeline(made.incident["id"]))
            await world.http.request(route.method, made.path(route), json=made.body(route))
            new = (await world.timeline(made.incident["id"]))[before:]
            assert [(event["actor"] in {"admin", "ada"}, bool(event["reason"])) for event in new] == [(True, True)]


async def test_the_audit_holds_what_differs_before_and_after(world: World) -> None:
    incident = await opened(world)
    await world.http.patch(f"/v1/incidents/{incident['id']}", json={"title": "new", "severity": "P2"})
    entry = (await world.get("/v1/audit"))["audit"][0]
    assert (entry["before"], entry["after"]) == ({"title": incident["title"]}, {"title": "new"})


async def test_what_changes_nothing_leaves_no_trace(world: World) -> None:
    incident = await opened(world)
    audited = await world.get("/v1/audit")
    same = {name: incident[name] for name in ("title", "severity", "labels", "state")}
    response = await world.http.patch(f"/v1/incidents/{incident['id']}", json=same)
    assert response.json() == incident
    assert await world.get("/v1/audit") == audited
    assert len(await world.timeline(incident["id"])) == 1


async def test_a_change_of_the_version_that_was_read_is_done(world: World) -> None:
    for tag in ('"1"', "*", '"7", "1"', ' "1" '):
        path = f"/v1/incidents/{(await opened(world, title=tag))['id']}"
        response = await world.http.patch(path, json={"title": "x"}, headers={"If-Match": tag})
        assert (response.status_code, response.headers["etag"]) == (200, '"2"')


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_a_change_of_another_version_is_refused(world: World, method: str) -> None:
    incident = await opened(world)
    path = f"/v1/incidents/{incident['id']}"
    for tag in ('"2"', '"0"', "1", 'W/"1"', '""', "x"):
        response = await world.http.request(method, path, json={"title": "x"}, headers={"If-Match": tag})
        assert "version 1" in refused(response, 412, "VERSION_CONFLICT")["detail"]
    assert await world.incident(incident["id"]) == incident


async def test_of_two_who_write_from_the_same_copy_the_second_is_told(world: World) -> None:
    path = f"/v1/incidents/{(await opened(world))['id']}"
    tag = (await world.http.get(path)).headers["etag"]
    writes = [world.http.patch(path, json={"title": title}, headers={"If-Match": tag}) for title in ("one", "two")]
    responses = await asyncio.gather(*writes)
    assert sorted(response.status_code for response in responses) == [200, 412]
    [done] = [response.json() for response in responses if response.status_code == 200]
    assert (await world.get(path))["title"] == done["title"]


async def test_the_etag_is_the_version_on_every_answer_that_shows_an_incident(world: World) -> None:
    made = await things(world)
    for route in ROUTES:
        if route.path in {"/v1/incidents", "/v1/incidents/{reference}"} or route.path.startswith(
            "/v1/incidents/{reference}/"
        ):
            response = await world.http.request(route.method, made.path(route), json=made.body(route))
            if "version" in response.json():
                assert response.headers["etag"] == f'"{response.json()["version"]}"', route.name


async def test_all_times_are_utc_with_a_z(world: World) -> None:
    made = await things(world)
    texts = [
        (await world.http.get(made.path(route))).text
        for route in ROUTES
        if route.method == "GET" and "v1" in route.path
    ]
    times = re.findall(r'"(20\d\d-\d\d-\d\dT[^"]*)"', "".join(texts))
    assert len(times) > 20
    assert [one for one in times if not re.fullmatch(r"[-0-9]{10}T[0-9:]{8}(\.\d{1,6})?Z", one)] == []
