"""What the framework's description of the API leaves out or gets wrong, put right from the handlers and their structs.

It drops the bounds inside of lists and objects and that unknown fields are refused, gives an enum one default wherever it
stands, lets parameters be null, and forgets that a public route needs no key. The structs' schemas are msgspec's own.
"""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from litestar.typing import FieldDefinition

from incident_manager.api.guards import POLICY
from incident_manager.monitors import MONITORS
from incident_manager.rules.access import Policy

Json = dict[str, Any]

# Of a handler that reads the items of its body by itself: their type, and how many there may be.
ITEMS: Final = "items"
ITEMS_LIMIT: Final = "items_limit"

_REFERENCE: Final = "#/components/schemas/{name}"
_IMPOSSIBLE: Final = {Policy.PUBLIC: ("401", "403"), Policy.OWN_KEY: ("403",)}
_REQUEST_ID: Final = {"description": "the caller's own X-Request-Id where it is safe to repeat", "required": True}
_HEADERS: Final = {
    "401": ("WWW-Authenticate", {"description": "the scheme: Bearer"}),
    **dict.fromkeys(("408", "413"), ("Connection", {"description": "close: the rest of the body is not read"})),
    "503": ("Retry-After", {"description": "seconds"}),
}


def complete(app: Litestar, described: Json) -> Json:
    """Return the framework's description of `app`, true and whole; what is given is not changed."""
    document: Json = msgspec.json.decode(msgspec.json.encode(described))
    kinds: set[type] = set()
    for route in app.routes:
        for method, (handler, _) in route.route_handler_map.items() if isinstance(route, HTTPRoute) else ():
            operation = document["paths"].get(route.path_format, {}).get(method.lower())
            if operation is not None:
                _complete(operation, handler)
                kinds.update(_kinds_of(handler))
    document["components"]["schemas"] = schemas = _schemas(kinds)
    schemas["IntegrationIn"]["properties"]["monitor"] = {"enum": [*MONITORS]}  # a file each: no struct can list them
    return document


def _complete(operation: Json, handler: HTTPRouteHandler) -> None:
    policy = handler.opt[POLICY]
    if policy in _IMPOSSIBLE:
        operation["security"] = []
    operation["summary"] = operation["description"].partition("\n")[0].partition(". ")[0].rstrip(".")
    operation["responses"] = {
        status: response
        for status, response in sorted(operation["responses"].items())
        if status not in _IMPOSSIBLE.get(policy, ())
    }
    for status, response in operation["responses"].items():
        response.setdefault("headers", {})["X-Request-Id"] = {**_REQUEST_ID, "schema": {"type": "string"}}
        if status in _HEADERS:
            name, header = _HEADERS[status]
            response["headers"][name] = {**header, "schema": {"type": "string"}}
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _parameter(parameter, handler)
    if data := handler.parsed_fn_signature.parameters.get("data"):
        schema = _schema(_not_none(data.annotation))
        required = not data.is_optional
        operation["requestBody"] = {"content": {"application/json": {"schema": schema}}, "required": required}
    elif kind := handler.opt.get(ITEMS):
        words = "an item that is of another form is Rejected in its result, and does not fail the others"
        items = {"anyOf": [_schema(kind), {}], "description": words}
        schema = {"type": "array", "items": items, "minItems": 1, "maxItems": handler.opt[ITEMS_LIMIT]}
        operation["requestBody"] = {"content": {"application/json": {"schema": schema}}, "required": True}
    elif policy is Policy.OWN_KEY:
        taken = sorted({kind for monitor in MONITORS.values() for kind in monitor.content_types})
        operation["requestBody"] = {
            "description": "whatever the monitor sends",
            "content": {kind: {"schema": {}} for kind in taken},
            "required": True,
        }


def _parameter(parameter: Json, handler: HTTPRouteHandler) -> Json:
    """Return a parameter's schema: its type as msgspec has it, the bounds that stand beside it, and no null."""
    name = parameter["name"].lower().replace("-", "_")
    field = handler.parsed_fn_signature.parameters.get(name) or _of_dependencies(handler)[name]
    plain = _schema(_not_none(field.annotation))
    beside = {key: value for key, value in parameter["schema"].items() if key not in {"oneOf", "type", "items", "$ref"}}
    if isinstance(field.default, StrEnum):
        beside["default"] = field.default
    return {**plain, **{key: int(value) if isinstance(value, float) else value for key, value in beside.items()}}


def _of_dependencies(handler: HTTPRouteHandler) -> dict[str, FieldDefinition]:
    """Return the parameters that what a handler is given reads from the request."""
    provided = handler.resolve_dependencies().values()
    return {name: field for one in provided for name, field in one.parsed_fn_signature.parameters.items()}


def _schemas(kinds: set[type]) -> Json:
    """Return the schemas of structs and closed sets, and of all that they hold."""
    _, schemas = msgspec.json.schema_components(sorted(kinds, key=lambda kind: kind.__name__), ref_template=_REFERENCE)
    for kind in _all(kinds):
        for field in msgspec.structs.fields(kind):
            if datetime in {field.type, *get_args(field.type)}:  # msgspec says so only of times that must have a zone
                _mark_time(schemas[kind.__name__]["properties"][field.encode_name])
    return dict(sorted(schemas.items()))


def _mark_time(schema: Json) -> None:
    for one in schema.get("anyOf", [schema]):
        if one.get("type") == "string":
            one["format"] = "date-time"


def _schema(annotation: Any) -> Json:
    (schema,), _ = msgspec.json.schema_components([annotation], ref_template=_REFERENCE)
    return dict(schema)


def _kinds_of(handler: HTTPRouteHandler) -> Iterator[type]:
    for name, field in handler.parsed_fn_signature.parameters.items():
        if name == "data" or field.kwarg_definition is not None:
            yield from _named(field.annotation)
    yield from _named(handler.opt.get(ITEMS))
    yield from _named(handler.parsed_return_field.annotation)
    for response in (handler.responses or {}).values():
        yield from _named(response.data_container)


def _all(kinds: set[type]) -> set[type]:
    """Return the structs among `kinds`, and those inside of them."""
    found: set[type] = set()
    waiting = list(kinds)
    while waiting:
        kind = waiting.pop()
        if kind not in found and issubclass(kind, msgspec.Struct):
            found.add(kind)
            waiting += [inner for field in msgspec.structs.fields(kind) for inner in _named(field.type)]
    return found


def _named(annotation: Any) -> Iterator[type]:
    """Return the structs and closed sets that an annotation names, at any depth."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct | StrEnum):
        yield annotation
    for inner in get_args(annotation):
        yield from _named(inner)


def _not_none(annotation: Any) -> Any:
    """Return an annotation without its None."""
    if get_origin(annotation) is Annotated:
        return _not_none(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        [only] = [kind for kind in get_args(annotation) if kind is not NoneType]
        return only
    return annotation
