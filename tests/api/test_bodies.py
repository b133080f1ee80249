"""Bodies and addresses that are too much, or not what they say, over HTTP."""

import json
from typing import Any

import pytest

from incident_manager.schemas.alerts import AlertIn
from tests import make
from tests.api.answers import fields, refused
from tests.api.routes import ROUTES, things
from tests.world import World

LIMIT = 256 * 1024
JSON = {"Content-Type": "application/json"}
WRITES = [route for route in ROUTES if route.body is not None]
NOT_JSON = [
    {},
    {"Content-Type": "text/plain"},
    {"Content-Type": "application/x-www-form-urlencoded"},
    {"Content-Type": "multipart/form-data; boundary=x"},
    {"Content-Type": "application/xml"},
    {"Content-Type": "application/jsonp"},
    {"Content-Type": "application/json; charset=utf-16"},
    {"Content-Type": "application/json; a=b; charset=latin-1"},
    {**JSON, "Content-Encoding": "gzip"},
    {**JSON, "Content-Encoding": "deflate"},
    {**JSON, "Content-Encoding": "br"},
    {**JSON, "Content-Encoding": "identity, gzip"},
]
OPTIONAL = {"POST /v1/incidents/{reference}/acknowledge", "POST /v1/incidents/{reference}/close"}


def alert_of(size: int) -> bytes:
    """Return an alert whose body has exactly this many bytes."""
    body = json.dumps(make.alert()).encode()
    return body[:-1] + b" " * (size - len(body)) + b"}"


async def test_the_limit_is_256_kib_to_the_byte(world: World) -> None:
    for size, status in ((LIMIT - 1, 201), (LIMIT, 200), (LIMIT + 1, 413)):
        response = await world.http.post("/v1/alerts", content=alert_of(size), headers=JSON)
        assert response.status_code == status


@pytest.mark.parametrize(("size", "status"), [(LIMIT, 201), (LIMIT + 1, 413)])
async def test_the_limit_holds_where_no_length_was_announced(world: World, size: int, status: int) -> None:
    async def pieces() -> Any:
        body = alert_of(size)
        for start in range(0, size, 1_000):
            yield body[start : start + 1_000]

    response = await world.http.post("/v1/alerts", content=pieces(), headers=JSON)
    assert response.status_code == status


async def test_no_write_takes_more_than_its_limit(world: World) -> None:
    made = await things(world)
    for route in WRITES:
        body = json.dumps(route.body).encode() + b" " * 1024 * 1024
        response = await world.http.request(route.method, made.path(route), content=body, headers=JSON)
        refused(response, 413, "PAYLOAD_TOO_LARGE")


async def test_what_is_not_json_by_its_headers_is_not_read(world: World) -> None:
    made = await things(world)
    for route in WRITES:
        for headers in NOT_JSON:
            content = json.dumps(route.body).encode()
            response = await world.http.request(route.method, made.path(route), content=content, headers=headers)
            refused(response, 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_json_is_json_however_it_is_written(world: World) -> None:
    for kind in ("application/json", "Application/JSON; Charset=UTF-8", 'application/json;charset="utf-8"'):
        headers = {"Content-Type": kind, "Content-Encoding": "identity"}
        response = await world.http.post("/v1/alerts", content=json.dumps(make.alert()).encode(), headers=headers)
        assert response.is_success, kind


async def test_what_is_no_json_is_refused_by_every_write(world: World) -> None:
    made = await things(world)
    for route in WRITES:
        for body in (b"{", b"\xff{}", b'{"a":NaN}', b'{"a":1,"a":2}', b"[" * 33 + b"]" * 33, b"\xef\xbb\xbf{}"):
            response = await world.http.request(route.method, made.path(route), content=body, headers=JSON)
            refused(response, 400, "MALFORMED_REQUEST")


async def test_what_is_no_object_is_refused_by_every_write(world: World) -> None:
    made = await things(world)
    for route in WRITES:
        for body in ({} if isinstance(route.body, list) else [1], "text", 1, True, None):
            content = json.dumps(body).encode()
            response = await world.http.request(route.method, made.path(route), content=content, headers=JSON)
            refused(response, 422, "VALIDATION_ERROR")


async def test_a_field_that_is_unknown_is_refused_by_name_by_every_write(world: World) -> None:
    made = await things(world)
    for route in WRITES:
        # monitors may say more than we know; of a batch's items each is refused by itself
        if route.path not in {"/v1/integrations/{monitor}/{key}", "/v1/alerts/batch"}:
            response = await world.http.request(
                route.method, made.path(route), json=made.body(route) | {"colour": "red"}
            )
            assert fields(response) == ["colour"]


async def test_no_body_is_refused_where_one_is_due(world: World) -> None:
    made = await things(world)
    for route in WRITES:
        if route.name not in OPTIONAL:
            response = await world.http.request(route.method, made.path(route), content=b"", headers=JSON)
            assert response.status_code in {400, 422}, route


async def test_a_value_of_another_kind_is_refused_by_name(world: World) -> None:
    for name in AlertIn.__struct_fields__:
        for wrong in ({"a": {"b": 1}}, [[1]], 1.5, True):
            [field] = fields(await world.http.post("/v1/alerts", json=make.alert() | {name: wrong}))
            assert field.startswith(name)


async def test_no_address_takes_a_parameter_that_it_does_not_know(world: World) -> None:
    made = await things(world)
    for route in ROUTES:
        if route.name != "GET /schema/{path}":
            response = await world.http.request(route.method, f"{made.path(route)}?colour=red", json=made.body(route))
            assert fields(response) == ["colour"]


async def test_an_address_with_a_nul_or_without_utf_8_is_refused(world: World) -> None:
    for bad in ("%00", "a%00b", "%ff", "%c3%28", "%ed%a0%80"):
        for address in ("/v1/incidents/{}", "/v1/incidents?q={}", "/v1/incidents?{}=1", "/v1/keys/{}", "/health?{}"):
            refused(await world.http.get(address.format(bad)), 400, "MALFORMED_REQUEST")


async def test_what_is_no_incident_is_not_found(world: World) -> None:
    await world.alert()
    for reference in ("0", "-1", "1.0", "9" * 19, "9" * 30, "%D9%A1", "%20", "x" * 64, "1'--", "null", "%F0%9F%94%A5"):
        for rest in ("", "/timeline", "/alerts"):
            refused(await world.http.get(f"/v1/incidents/{reference}{rest}"), 404, "NOT_FOUND")
