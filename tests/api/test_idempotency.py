"""The same Idempotency-Key, the same delivery: one effect and one answer, however often and however many at once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import msgspec
import pytest

from incident_manager.rules.access import Role
from incident_manager.settings import Settings
from tests import make
from tests.api.answers import fields, refused
from tests.api.routes import RESOLVE
from tests.world import World, running

KEY = {"Idempotency-Key": "retry-1"}
ACTIONS = [("acknowledge", {"by": "ada"}), ("notes", {"content": "looking"}), ("resolve", RESOLVE)]


@pytest.fixture
async def patient(settings: Settings) -> AsyncIterator[World]:
    """A service whose requests wait a minute for their turn: how fast a machine writes is not the question here."""
    waiting = msgspec.structs.replace(settings.database, wait_seconds=60)
    answered = msgspec.structs.replace(settings.intake, answer_seconds=60)
    async with running(msgspec.structs.replace(settings, database=waiting, intake=answered)) as world:
        yield world


async def at_once(world: World, path: str, body: object, count: int) -> list[httpx2.Response]:
    """Send the same request many times in parallel."""
    return await asyncio.gather(*(world.http.post(path, json=body, headers=KEY) for _ in range(count)))


def same(responses: list[httpx2.Response]) -> httpx2.Response:
    """Check that all answers are one, and return it."""
    assert {(one.status_code, one.text, one.headers.get("location")) for one in responses} == {
        (responses[0].status_code, responses[0].text, responses[0].headers.get("location"))
    }
    return responses[0]


@pytest.mark.parametrize("count", [2, 50, 1_000])
async def test_an_alert_sent_many_times_at_once_is_one(patient: World, count: int) -> None:
    response = same(await at_once(patient, "/v1/alerts", make.alert(), count))
    assert (response.status_code, response.json()["occurrences"]) == (201, 1)
    assert (await patient.incident(1))["occurrences"] == 1
    assert len((await patient.get("/v1/alerts"))["alerts"]) == 1


@pytest.mark.parametrize("count", [2, 50, 1_000])
async def test_an_incident_opened_many_times_at_once_is_one(patient: World, count: int) -> None:
    response = same(await at_once(patient, "/v1/incidents", make.incident(), count))
    assert response.status_code == 201
    assert [one["id"] for one in await patient.incidents()] == [response.json()["id"]]


@pytest.mark.parametrize(("action", "body"), ACTIONS)
@pytest.mark.parametrize("count", [2, 50])
async def test_an_action_sent_many_times_at_once_is_one(world: World, action: str, body: object, count: int) -> None:
    await world.alert()
    response = same(await at_once(world, f"/v1/incidents/1/{action}", body, count))
    assert (response.status_code, response.headers["etag"]) == (200, '"2"')
    assert len(await world.timeline(1)) == 2


async def test_a_note_without_a_key_is_written_each_time(world: World) -> None:
    await world.alert()
    for _ in range(2):
        await world.post("/v1/incidents/1/notes", {"content": "looking"})
    assert len(await world.timeline(1)) == 3


async def test_the_first_answer_comes_again_though_things_have_moved_on(world: World) -> None:
    await world.alert()
    first = await world.http.post("/v1/incidents/1/resolve", json=RESOLVE, headers=KEY)
    await world.post("/v1/incidents/1/reopen", {"reason": "it is back"})
    again = await world.http.post("/v1/incidents/1/resolve", json=RESOLVE, headers=KEY)
    assert same([first, again]).json()["state"] == "Resolved"
    assert (await world.incident(1))["state"] == "Investigating"


WRITES = [
    ("/v1/alerts", make.alert(), make.alert(title="another")),
    ("/v1/incidents", make.incident(title="x"), make.incident(title="y")),
    ("/v1/incidents/1/acknowledge", {"by": "ada"}, {"by": "grace"}),
    ("/v1/incidents/1/notes", {"content": "a"}, {"content": "b"}),
    ("/v1/incidents/1/resolve", RESOLVE, RESOLVE | {"notes": "other"}),
    ("/v1/incidents/1/reopen", {"reason": "a"}, {"reason": "b"}),
]


async def test_another_body_under_the_same_key_is_refused(world: World) -> None:
    await world.alert()
    for path, body, other in WRITES:
        first = await world.http.post(path, json=body, headers=KEY)
        assert first.is_success, first.text
        assert fields(await world.http.post(path, json=other, headers=KEY)) == ["Idempotency-Key"]
        same([first, await world.http.post(path, json=body, headers=KEY)])


async def test_a_key_belongs_to_its_route(world: World) -> None:
    await world.alert()
    for path, body, _ in WRITES:
        assert (await world.http.post(path, json=body, headers=KEY)).is_success
    types = [event["type"] for event in await world.timeline(1)]
    assert types[0] == "opened"
    assert types[-4:] == ["acknowledged", "note", "resolved", "reopened"]


async def test_after_its_time_a_key_has_a_new_effect(world: World) -> None:
    first = await world.http.post("/v1/alerts", json=make.alert(dedup_key="k"), headers=KEY)
    world.forward(hours=24, seconds=-1)
    again = await world.http.post("/v1/alerts", json=make.alert(dedup_key="k"), headers=KEY)
    world.forward(seconds=1)
    later = await world.http.post("/v1/alerts", json=make.alert(dedup_key="k"), headers=KEY)
    assert same([first, again]).status_code == 201
    assert (later.status_code, later.json()["occurrences"]) == (200, 2)


async def test_after_its_time_a_key_may_come_with_another_body(world: World) -> None:
    await world.alert()
    await world.http.post("/v1/incidents/1/notes", json={"content": "a"}, headers=KEY)
    world.forward(hours=24)
    response = await world.http.post("/v1/incidents/1/notes", json={"content": "b"}, headers=KEY)
    assert (response.status_code, len(await world.timeline(1))) == (200, 3)


async def test_a_request_that_failed_is_not_remembered(world: World) -> None:
    await world.alert()
    refused(await world.http.post("/v1/incidents/1/close", headers=KEY), 409, "INVALID_STATE_TRANSITION")
    await world.post("/v1/incidents/1/resolve", RESOLVE)
    assert (await world.http.post("/v1/incidents/1/close", headers=KEY)).json()["state"] == "Closed"


async def test_a_body_that_was_refused_is_not_remembered(world: World) -> None:
    assert fields(await world.http.post("/v1/alerts", json={"source": "a"}, headers=KEY)) == ["title"]
    assert (await world.http.post("/v1/alerts", json=make.alert(), headers=KEY)).status_code == 201


async def test_a_replay_is_for_those_who_may_ask(world: World) -> None:
    await world.alert()
    await world.http.post("/v1/incidents/1/acknowledge", headers=KEY)
    viewer = world.as_key(await world.key(Role.VIEWER))
    refused(await viewer.post("/v1/incidents/1/acknowledge", headers=KEY), 403, "AUTHORIZATION_ERROR")


DELIVERY: dict[str, Any] = {"external_id": "d-1", "dedup_key": "k"}


async def test_a_delivery_that_comes_again_gets_its_first_answer(world: World) -> None:
    first = await world.http.post("/v1/alerts", json=make.alert(**DELIVERY))
    again = await world.http.post("/v1/alerts", json=make.alert(**DELIVERY, severity="P0", title="worded anew"))
    assert same([first, again]).status_code == 201
    incident = await world.incident(1)
    assert (incident["occurrences"], incident["severity"], incident["title"]) == (1, "P3", "Disk is full")


@pytest.mark.parametrize(
    "other", [{"status": "resolved"}, {"status": "acknowledged"}, {"external_id": "d-2"}, {"source": "another"}]
)
async def test_what_differs_in_what_names_a_delivery_is_another(world: World, other: dict[str, str]) -> None:
    first = await world.http.post("/v1/alerts", json=make.alert(**DELIVERY))
    second = await world.http.post("/v1/alerts", json=make.alert(**DELIVERY | other))
    assert first.json()["alert_id"] != second.json()["alert_id"]


async def test_an_attached_alert_that_comes_again_is_told_again_with_its_status(world: World) -> None:
    await world.alert(dedup_key="k")
    body = make.alert(external_id="d-2", dedup_key="k")
    first, again = [await world.http.post("/v1/alerts", json=body) for _ in range(2)]
    assert (same([first, again]).status_code, first.json()["status"]) == (200, "Duplicate")
    assert (await world.incident(1))["occurrences"] == 2


@pytest.mark.parametrize("count", [2, 50])
async def test_a_delivery_sent_many_times_at_once_is_one(world: World, count: int) -> None:
    body = make.alert(**DELIVERY)
    responses = await asyncio.gather(*(world.http.post("/v1/alerts", json=body) for _ in range(count)))
    assert same(responses).status_code == 201
    assert (await world.incident(1))["occurrences"] == 1


async def test_after_its_time_a_delivery_counts_anew(world: World) -> None:
    await world.alert(**DELIVERY)
    world.forward(hours=24)
    assert (await world.alert(**DELIVERY))["occurrences"] == 2
