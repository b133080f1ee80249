"""Columns that are not for callers to give: refused by name on every write, passed over in what monitors send."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple, get_args

import pytest
import sqlalchemy as sa
from litestar.routes import HTTPRoute
from msgspec.structs import fields as fields_of

from incident_manager.models import Base
from incident_manager.models.access import ApiKey
from incident_manager.models.alerts import Alert
from incident_manager.models.incidents import Incident
from incident_manager.models.integrations import Integration
from incident_manager.models.types import UtcDateTime
from incident_manager.monitors import MONITORS
from tests.api.answers import fields
from tests.api.routes import GENERIC, ROUTES, Route, things
from tests.monitors.payloads import payloads
from tests.world import World

COMMON = {"source", "title", "description", "severity", "labels"}
ALERT = COMMON | {"alert_type", "status", "external_id", "dedup_key", "annotations", "affected_services", "runbook_url"}
INCIDENT = COMMON | {"incident_type", "affected_resources", "assignees", "state", "service", "team"}
INTEGRATION = {"name", "monitor", "severity_map", "dedup_mode", "window_seconds", "labels", "signing_secret"}
# What is behind a noun's addresses, and all that a caller may give of it; another noun has to be entered here.
BEHIND: dict[str, tuple[tuple[type[Base], ...], set[str]]] = {
    "alerts": ((Alert, Incident), ALERT | {"links", "occurred_at"}),
    "incidents": ((Incident,), INCIDENT | {"resolved_by", "root_cause"}),
    "integrations": ((Integration,), INTEGRATION),
    "keys": ((ApiKey,), {"name", "role", "expires_at"}),
}
MODELS: tuple[type[Base], ...] = (Alert, Incident, Integration)  # what a monitor's message changes
UUID_TEXT, TIME_TEXT = "0190b0a0-0000-7000-8000-00000000abcd", "2020-01-01 00:00:00+00:00"


class Write(NamedTuple):
    """A route with a body of ours, the columns behind it, and those of them that its body may hold."""

    route: Route
    columns: dict[str, sa.Column[Any]]
    taken: set[str]


def writes(world: World) -> Iterator[Write]:
    """Return every route with a body but the monitors' own, whose body is theirs."""
    routes = {route.name: route for route in ROUTES}
    for found in world.app.routes:
        assert isinstance(found, HTTPRoute)
        for method, (handler, _) in found.route_handler_map.items():
            if data := handler.parsed_data_field:
                kind = next(kind for kind in get_args(data.annotation) or [data.annotation] if kind is not type(None))
                route = routes[f"{method} {found.path_format}"]
                columns = {column.name: column for model in BEHIND[noun(route)][0] for column in columns_of(model)}
                yield Write(route, columns, {field.encode_name for field in fields_of(kind)} & columns.keys())


def noun(route: Route) -> str:
    return route.path.split("/")[2]


def columns_of(model: type[Base]) -> Iterator[sa.Column[Any]]:
    yield from Base.metadata.tables[model.__tablename__].columns


def planted(column: sa.Column[Any]) -> Any:
    """Return what the column could hold and what nothing but a caller would put there; for a closed set, what no set has."""
    texts = {sa.Uuid: UUID_TEXT, UtcDateTime: TIME_TEXT, sa.JSON: ["planted"], sa.Integer: 987_654}
    return next((value for kind, value in texts.items() if isinstance(column.type, kind)), "planted")


def with_more(body: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Return a monitor's message with more fields, in itself and in each object of a list in it."""
    lists = {name: value for name, value in body.items() if isinstance(value, list)}
    inner = {name: [more | one if isinstance(one, dict) else one for one in found] for name, found in lists.items()}
    return more | body | inner


async def rows(world: World, model: type[Base]) -> list[dict[str, Any]]:
    async with world.parts.database.engine.connect() as connection:
        found = await connection.execute(sa.select(model.__table__))
    return [dict(row) for row in found.mappings()]


async def stored(world: World) -> dict[str, set[str]]:
    """Return all rows of all tables."""
    models = [mapper.class_ for mapper in Base.registry.mappers]
    return {model.__name__: {repr(row) for row in await rows(world, model)} for model in models}


async def test_of_a_row_a_body_takes_only_what_is_for_callers_to_give(world: World) -> None:
    taken = {(noun(write.route), name) for write in writes(world) for name in write.taken}
    assert taken == {(name, column) for name, (_, given) in BEHIND.items() for column in given}


async def test_a_column_that_is_not_for_callers_is_refused_by_its_name_and_nothing_is_changed(world: World) -> None:
    made = await things(world)
    before = await stored(world)
    for write in writes(world):
        body, path = made.body(write.route), made.path(write.route)
        for name in write.columns.keys() - write.taken:
            sent = {**body, name: planted(write.columns[name])}
            response = await world.http.request(write.route.method, path, json=sent)
            assert fields(response) == [name], (write.route.name, name)
    assert await stored(world) == before


@pytest.mark.parametrize("monitor", MONITORS)
async def test_a_column_in_what_a_monitor_sends_is_passed_over(world: World, monitor: str) -> None:
    made = await world.post("/v1/integrations", {"name": "prod", "monitor": monitor}, status=201)
    columns = {column.name: column for model in MODELS for column in columns_of(model)}
    more = {name: planted(columns[name]) for name in columns.keys() - (BEHIND["alerts"][1] - {"source"})}
    for body in [json.loads(given.body) for given in payloads(monitor)] or [GENERIC]:
        await world.post(f"/v1/integrations/{monitor}/{made['key']}", with_more(body, more))
    for model in MODELS:
        kept = await rows(world, model)
        assert kept
        assert [name for row in kept for name in more.keys() & row.keys() if str(row[name]) == str(more[name])] == []
