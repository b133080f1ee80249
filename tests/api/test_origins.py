"""Pages of other origins: what a browser is told of them, by default and where they are named."""

from collections.abc import AsyncIterator
from itertools import product

import msgspec
import pytest

from incident_manager.settings import Settings
from tests import make
from tests.api.answers import refused
from tests.api.routes import ROUTES, things
from tests.world import World, running

DESK, OTHER = "https://desk.example", "https://other.example"
ASKING = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
FORMS = [
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "text/plain;charset=UTF-8",
]


def named(settings: Settings, *origins: str) -> Settings:
    return msgspec.structs.replace(
        settings, server=msgspec.structs.replace(settings.server, cors_origins=list(origins))
    )


@pytest.fixture
async def open_world(settings: Settings) -> AsyncIterator[World]:
    """A service that pages of one origin may call."""
    async with running(named(settings, DESK, "http://localhost:3000")) as started:
        yield started


def about_origins(headers: object) -> dict[str, str]:
    return {
        name: value for name, value in dict(headers).items() if name.startswith("access-control-") or name == "vary"
    }


# --- by default ----------------------------------------------------------------------------------------------------------


async def test_no_page_of_another_origin_is_told_that_it_may(world: World) -> None:
    made = await things(world)
    for route in ROUTES:
        response = await world.http.request(
            route.method, made.path(route), json=made.body(route), headers={"Origin": DESK}
        )
        assert about_origins(response.headers) == {}, route


async def test_who_asks_first_is_told_that_the_method_is_not_taken(world: World) -> None:
    response = await world.as_key(None).options("/v1/alerts", headers={"Origin": DESK} | ASKING)
    refused(response, 405, "METHOD_NOT_ALLOWED")
    assert (response.headers["allow"], about_origins(response.headers)) == ("GET, POST", {})


# --- where it is named ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", [DESK, "http://localhost:3000"])
async def test_a_page_that_asks_first_needs_no_key_and_learns_what_it_may_send(open_world: World, origin: str) -> None:
    response = await open_world.as_key(None).options("/v1/incidents/1", headers={"Origin": origin} | ASKING)
    told = about_origins(response.headers)
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["x-request-id"]
    assert told.pop("access-control-allow-origin") == origin
    assert told.pop("access-control-allow-methods") == "DELETE, GET, HEAD, PATCH, POST, PUT"
    assert {"Authorization", "Content-Type", "If-Match", "Idempotency-Key", "traceparent"} <= set(
        told.pop("access-control-allow-headers").split(", ")
    )
    assert told == {"access-control-max-age": "600", "vary": "Origin"}


async def test_what_it_then_asks_is_done_and_can_be_read(open_world: World) -> None:
    response = await open_world.http.post("/v1/alerts", json=make.alert(), headers={"Origin": DESK})
    told = about_origins(response.headers)
    assert (response.status_code, told.pop("access-control-allow-origin")) == (201, DESK)
    assert {"ETag", "Location", "X-Request-Id", "Retry-After"} <= set(
        told.pop("access-control-expose-headers").split(", ")
    )
    assert told == {"vary": "Origin"}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "NOT_FOUND"),
        ("GET", "/v1/incidents/1", 401, "AUTHENTICATION_ERROR"),
        ("PUT", "/v1/alerts", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/health?%00", 400, "MALFORMED_REQUEST"),
    ],
)
async def test_errors_can_be_read_as_well(open_world: World, method: str, path: str, status: int, code: str) -> None:
    response = await open_world.as_key(None).request(method, path, headers={"Origin": DESK})
    refused(response, status, code)
    assert response.headers["access-control-allow-origin"] == DESK


NOT_NAMED = [
    OTHER,
    "null",
    "https://desk.example:444",
    "http://desk.example",
    "https://desk.example.evil",
    "",
    DESK.upper(),
]


@pytest.mark.parametrize("origin", NOT_NAMED)
async def test_a_page_that_is_not_named_learns_nothing_and_spoils_no_cache(open_world: World, origin: str) -> None:
    asked = await open_world.as_key(None).options("/v1/alerts", headers={"Origin": origin} | ASKING)
    answered = await open_world.http.get("/v1/alerts", headers={"Origin": origin})
    without = await open_world.http.get("/v1/alerts")
    assert (asked.status_code, answered.status_code) == (405, 200)
    assert [about_origins(one.headers) for one in (asked, answered, without)] == [{"vary": "Origin"}] * 3


async def test_options_that_no_browser_sends_are_not_taken(open_world: World) -> None:
    for headers in ({}, {"Origin": DESK}, ASKING):
        refused(await open_world.http.options("/v1/alerts", headers=headers), 405, "METHOD_NOT_ALLOWED")


async def test_every_page_may_call_where_that_is_said_and_none_brings_credentials(settings: Settings) -> None:
    async with running(named(settings, "*")) as world:
        asked = await world.as_key(None).options("/v1/alerts", headers={"Origin": OTHER} | ASKING)
        answered = await world.http.get("/v1/alerts", headers={"Origin": OTHER, "Cookie": "a=b"})
        nobody = await world.as_key(None).get("/v1/alerts", headers={"Origin": OTHER, "Cookie": "a=b"})
    assert [one.status_code for one in (asked, answered, nobody)] == [204, 200, 401]
    for told in (about_origins(one.headers) for one in (asked, answered, nobody)):
        assert told.pop("access-control-allow-origin") == "*"
        assert not told.keys() & {"access-control-allow-credentials", "vary"}


# --- what needs nobody's leave -------------------------------------------------------------------------------------------


async def test_what_a_page_may_send_without_asking_is_refused_whatever_is_named(open_world: World) -> None:
    made = await things(open_world)
    for route, kind in product((route for route in ROUTES if route.method == "POST"), FORMS):
        headers = {"Origin": DESK, "Content-Type": kind}
        response = await open_world.http.post(made.path(route), content=b'{"title":"x"}', headers=headers)
        refused(response, 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_no_answer_sets_a_cookie(open_world: World) -> None:
    made = await things(open_world)
    for route in ROUTES:
        response = await open_world.http.request(
            route.method, made.path(route), json=made.body(route), headers={"Origin": DESK, "Cookie": "session=1"}
        )
        assert "set-cookie" not in response.headers
