"""The description of the API: whole, true, and readable without a network."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from incident_manager.api.openapi import complete
from incident_manager.app import create_app
from incident_manager.rules.access import Policy
from incident_manager.schemas import alerts, incidents
from incident_manager.settings import load
from tests.api.answers import MEMBERS, refused
from tests.api.routes import ROUTES, Route, things
from tests.world import World

Json = dict[str, Any]
HIDDEN = ("/schema", "/assets")
DESCRIBED = [route for route in ROUTES if not route.path.startswith(HIDDEN)]
READS, WRITES = {"400", "422", "500"}, {"408", "413", "415"}


@pytest.fixture(scope="module")
def document() -> Json:
    app = create_app(load())
    described: Json = msgspec.json.decode(msgspec.json.encode(complete(app, app.openapi_schema.to_schema())))
    return described


def of(document: Json, route: Route) -> Json:
    operation: Json = document["paths"][route.path][route.method.lower()]
    return operation


def test_every_route_is_described_and_nothing_else(document: Json) -> None:
    described = {f"{verb.upper()} {path}" for path, verbs in document["paths"].items() for verb in verbs}
    assert described == {route.name for route in DESCRIBED}


@pytest.mark.parametrize("route", DESCRIBED, ids=lambda route: route.name)
def test_every_answer_that_a_route_can_give_is_described(document: Json, route: Route) -> None:
    statuses = set(of(document, route)["responses"])
    guarded = {Policy.PUBLIC: set(), Policy.OWN_KEY: {"401", "503"}}.get(route.policy, {"401", "403", "503"})
    due = READS | guarded | (WRITES if route.body is not None else set())
    assert statuses >= due | ({"404"} if "{reference}" in route.path or "{alert_id}" in route.path else set())
    assert (statuses & {"401", "403"}) == (guarded & {"401", "403"})
    assert {status[0] for status in statuses} >= {"2", "4", "5"}


@pytest.mark.parametrize("route", DESCRIBED, ids=lambda route: route.name)
def test_every_error_is_a_problem_and_every_answer_has_an_id(document: Json, route: Route) -> None:
    for status, response in of(document, route)["responses"].items():
        assert "X-Request-Id" in response["headers"]
        if status >= "400" and not (status == "503" and route.path.startswith("/health")):
            assert response["content"] == {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            }
    assert set(document["components"]["schemas"]["Problem"]["required"]) == MEMBERS


@pytest.mark.parametrize("route", DESCRIBED, ids=lambda route: route.name)
def test_a_key_is_asked_for_but_where_all_may(document: Json, route: Route) -> None:
    security = of(document, route).get("security", document["security"])
    assert security == ([] if route.policy in {Policy.PUBLIC, Policy.OWN_KEY} else [{"key": []}])


def test_the_scheme_is_a_bearer_key(document: Json) -> None:
    scheme = document["components"]["securitySchemes"]["key"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")


@pytest.mark.parametrize("route", DESCRIBED, ids=lambda route: route.name)
def test_a_body_is_described_where_one_is_read(document: Json, route: Route) -> None:
    body = of(document, route).get("requestBody")
    assert (body is not None) == (route.body is not None)
    if body and route.policy is not Policy.OWN_KEY:
        assert body["required"] == (not route.name.endswith(("/acknowledge", "/close")))
        schema = body["content"]["application/json"]["schema"]
        named = schema["items"]["anyOf"][0] if schema.get("type") == "array" else schema
        assert named["$ref"].endswith(("In", "Patch"))


def test_every_reference_leads_somewhere(document: Json) -> None:
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert named <= document["components"]["schemas"].keys()


def test_operation_ids_are_unique_and_every_operation_has_a_line_of_words(document: Json) -> None:
    operations = [of(document, route) for route in DESCRIBED]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(" " in operation["summary"] and operation["description"] for operation in operations)


@pytest.mark.parametrize(
    "struct", [alerts.AlertIn, incidents.IncidentIn, incidents.IncidentPatch, incidents.ResolveIn, incidents.NoteIn]
)
def test_inputs_say_that_they_refuse_what_they_do_not_know(document: Json, struct: type[msgspec.Struct]) -> None:
    schema = document["components"]["schemas"][struct.__name__]
    assert schema["additionalProperties"] is False
    assert list(schema["properties"]) == list(struct.__struct_fields__)


def test_bounds_are_described_at_every_depth(document: Json) -> None:
    alert = document["components"]["schemas"]["AlertIn"]["properties"]
    assert (alert["title"]["minLength"], alert["title"]["maxLength"]) == (1, 500)
    assert alert["affected_services"]["items"]["maxLength"] == 255
    assert (alert["labels"]["maxProperties"], alert["labels"]["additionalProperties"]["maxLength"]) == (64, 1_024)
    assert alert["labels"]["propertyNames"]["maxLength"] == 128
    assert alert["severity"]["default"] == "P3"
    assert "default" not in document["components"]["schemas"]["IncidentIn"]["properties"]["severity"]


def parameters(document: Json) -> Iterator[Json]:
    for route in DESCRIBED:
        yield from of(document, route).get("parameters", ())


def test_parameters_have_bounds_and_are_never_null(document: Json) -> None:
    for parameter in parameters(document):
        assert "null" not in json.dumps(parameter["schema"]), parameter
        if parameter["schema"].get("type") in {"string", "array"} and parameter["schema"].get("format") != "uuid":
            bounds = {"maxLength", "maxItems"} & parameter["schema"].keys()
            assert bounds or "$ref" in parameter["schema"].get("items", {}) or parameter["in"] == "path", parameter


def test_times_are_described_as_such(document: Json) -> None:
    for schema in document["components"]["schemas"].values():
        for name, described in schema.get("properties", {}).items():
            if name.endswith("_at") or name == "at":
                assert "date-time" in json.dumps(described), name


def test_the_version_and_the_address_of_what_is_made_are_described(document: Json) -> None:
    made = document["paths"]["/v1/incidents"]["post"]["responses"]["201"]["headers"]
    assert {"ETag", "Location", "X-Request-Id"} <= made.keys()


async def test_what_is_answered_is_what_is_described(world: World, document: Json) -> None:
    made = await things(world)
    for route in DESCRIBED:
        for caller in (world.http, world.as_key(None)):
            response = await caller.request(route.method, made.path(route), json=made.body(route))
            described = of(document, route)["responses"][str(response.status_code)]
            kinds = described.get("content", {"": {}})
            assert response.headers.get("content-type", "") in kinds, route.name


async def test_the_served_description_is_this_one(world: World, document: Json) -> None:
    response = await world.as_key(None).get("/schema/openapi.json")
    assert response.headers["content-type"] == "application/json"
    assert response.json() == document


async def test_the_page_loads_nothing_from_outside(world: World) -> None:
    for path in ("/schema", "/schema/"):
        response = await world.as_key(None).get(path)
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        assert re.findall(r"(?:https?:)?//[\w.]", response.text) == []
        assert "default-src 'none'" in response.headers["content-security-policy"]


async def test_what_the_page_loads_is_there(world: World) -> None:
    page = (await world.as_key(None).get("/schema")).text
    for address in re.findall(r'(?:src|spec-url|href)="([^"]+)"', page):
        response = await world.as_key(None).get(address)
        assert response.status_code == 200, address
    asset = await world.as_key(None).get("/assets/rapidoc-min.js")
    assert asset.headers["content-type"] == "text/javascript; charset=utf-8"


async def test_what_stands_below_the_page_and_is_nothing_is_a_problem_too(world: World) -> None:
    refused(await world.as_key(None).get("/schema/anything"), 404, "NOT_FOUND")
