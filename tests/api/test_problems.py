"""Errors: one form for every status, an id on every answer, and a defect that tells nothing of itself."""

import json
from typing import Any

import pytest
from litestar import Controller, get
from loguru import logger

from incident_manager import app
from incident_manager.rules.access import Policy, Role
from incident_manager.settings import Settings
from tests import make
from tests.api.answers import fields, refused
from tests.api.outage import cut_off
from tests.world import World, running

JSON = {"Content-Type": "application/json"}
ANYWHERE = [
    "/nowhere",
    "/v1/alerts",
    "/health",
    "/schema",
    "/schema/openapi.json",
    "/schema/nothing",
    "/assets/rapidoc-min.js",
]


async def test_an_address_that_is_none(world: World) -> None:
    for path in ("/", "/nowhere", "/v1/keys/a/b", "/schema/nothing", "/schema/openapi.yaml", "/assets/x"):
        refused(await world.as_key(None).get(path), 404, "NOT_FOUND")


async def test_a_method_that_an_address_does_not_take(world: World) -> None:
    for method in ("DELETE", "PUT", "OPTIONS", "TRACE", "BREW"):
        response = await world.http.request(method, "/v1/alerts")
        refused(response, 405, "METHOD_NOT_ALLOWED")
        assert response.headers["allow"] == "GET, POST"


async def test_no_key_is_told_the_scheme(world: World) -> None:
    response = await world.as_key(None).get("/v1/incidents")
    refused(response, 401, "AUTHENTICATION_ERROR")
    assert response.headers["www-authenticate"] == "Bearer"


async def test_a_key_of_a_lesser_role(world: World) -> None:
    viewer = world.as_key(await world.key(Role.VIEWER))
    refused(await viewer.post("/v1/alerts", json=make.alert()), 403, "AUTHORIZATION_ERROR")


async def test_a_move_that_the_table_does_not_know_says_which_it_knows(world: World) -> None:
    number = (await world.alert())["incident_number"]
    response = await world.http.post(f"/v1/incidents/{number}/close")
    allowed = refused(response, 409, "INVALID_STATE_TRANSITION")["allowed"]
    assert allowed == ["Triaged", "Investigating", "Remediating", "Resolved"]


async def test_a_duplicate_says_of_what(world: World) -> None:
    first = await world.post("/v1/incidents", make.incident(), status=201)
    response = await world.http.post("/v1/incidents", json=make.incident())
    assert refused(response, 409, "CONFLICT")["incident_id"] == first["id"]


async def test_a_version_that_is_not_the_present_one(world: World) -> None:
    number = (await world.alert())["incident_number"]
    response = await world.http.patch(f"/v1/incidents/{number}", json={"title": "x"}, headers={"If-Match": '"7"'})
    refused(response, 412, "VERSION_CONFLICT")


async def test_a_body_over_the_limit_ends_the_connection(world: World) -> None:
    response = await world.http.post("/v1/alerts", content=b" " * (256 * 1024 + 1), headers=JSON)
    refused(response, 413, "PAYLOAD_TOO_LARGE")
    assert response.headers["connection"] == "close"


async def test_what_is_no_json(world: World) -> None:
    refused(await world.http.post("/v1/alerts", content=b"{", headers=JSON), 400, "MALFORMED_REQUEST")


async def test_a_missing_field_is_named(world: World) -> None:
    assert fields(await world.http.post("/v1/alerts", json={"source": "x"})) == ["title"]


async def test_all_wrong_parameters_are_named(world: World) -> None:
    response = await world.http.get("/v1/incidents?page=-1&page_size=many&states=Sad")
    assert sorted(fields(response)) == ["page", "page_size", "states"]


async def test_a_header_is_named_as_the_caller_wrote_it(world: World) -> None:
    for value in ("", "x" * 256):
        response = await world.http.post("/v1/alerts", json=make.alert(), headers={"Idempotency-Key": value})
        assert fields(response) == ["Idempotency-Key"]


async def test_every_answer_has_an_id_and_a_safe_one_of_the_caller_is_kept(world: World) -> None:
    for path in ANYWHERE:
        ours = await world.as_key(None).get(path)
        theirs = await world.as_key(None).get(path, headers={"X-Request-Id": "trace-1.a_B"})
        assert (len(ours.headers["x-request-id"]), theirs.headers["x-request-id"]) == (36, "trace-1.a_B"), path


async def test_an_unsafe_id_of_the_caller_is_replaced(world: World) -> None:
    for unsafe in (b"a b", b"x" * 129, b"<script>", b"a\xff", b"", b"{x}"):
        response = await world.http.get("/health", headers=[(b"X-Request-Id", unsafe)])
        assert len(response.headers["x-request-id"]) == 36, unsafe


class Broken(Controller):
    path = "/broken"

    @get(policy=Policy.PUBLIC)
    async def fall_over(self) -> None:
        raise RuntimeError("the password is hunter2")


async def test_a_defect_shows_an_id_and_nothing_else(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "CONTROLLERS", (*app.CONTROLLERS, Broken))
    logged: list[str] = []
    handler = logger.add(logged.append, serialize=True)
    async with running(settings) as world:
        response = await world.as_key(None).get("/broken")
    logger.remove(handler)
    document = refused(response, 500, "INTERNAL_ERROR")
    assert document["detail"] == f"error {response.headers['x-request-id']}"
    assert "hunter2" not in response.text
    [record] = [json.loads(line)["record"] for line in logged if "request failed" in line]
    assert record["extra"]["error_id"] == response.headers["x-request-id"]
    assert record["exception"]["value"] == "the password is hunter2"


async def test_a_caller_who_leaves_in_the_middle_of_a_body_is_no_defect(world: World) -> None:
    sent = []

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {world.admin_key}".encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/v1/alerts", "raw_path": b"/v1/alerts", "query_string": b""}
    served: Any = world.app  # a server gives it plain dictionaries, not the framework's own types
    await served({**scope, "headers": headers, "state": {}}, receive, send)
    assert sent[0]["status"] == 400


async def test_without_its_database_it_says_when_to_come_again(settings: Settings) -> None:
    async with cut_off(settings) as world:
        for method, path in (("GET", "/v1/incidents"), ("POST", "/v1/alerts"), ("GET", "/v1/keys")):
            response = await world.http.request(method, path, json=make.alert() if method == "POST" else None)
            refused(response, 503, "UNAVAILABLE")
            assert int(response.headers["retry-after"]) >= 1
