"""Requests made up from the description of the API, and what every answer to one must keep to.

A case is made once and sent by everybody: making one costs more than sending it. What is made up keeps to the description, or
breaks it somewhere; about half of the addresses lead to something that is there, and some of the bodies name such things.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import httpx2
import schemathesis
from hypothesis import HealthCheck, Phase, given, reject, seed, settings
from hypothesis import strategies as st
from schemathesis import APIOperation as Operation
from schemathesis import Case, GenerationMode
from schemathesis.checks import negative_data_rejection, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.routes import ROUTES, Things

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
BASE_URL = "http://127.0.0.1:8080"
BODIES = {route.name: json.dumps(route.body) for route in ROUTES if route.body is not None}
ORDER = [route.name for route in ROUTES]  # what ends something comes last


def operations(document: Mapping[str, Any]) -> list[Operation]:
    """Return all that is described. That a key is due is left out: the caller shows one of his own, or none."""
    schema = schemathesis.openapi.from_dict({**document, "security": []})
    found = [result.ok() for result in schema.get_all_operations()]
    return sorted(found, key=lambda one: ORDER.index(one.label))


def there(made: Things, path: str) -> dict[str, str]:
    """Return what names in a path, and in a body, are filled with so that they lead to something."""
    named = {"integrations": made.integration["id"], "keys": made.key["id"]}
    noun = path.removeprefix("/v1/").partition("/")[0]
    return {
        "reference": named.get(noun, made.incident["id"]),
        "alert_id": made.alert_id,
        "monitor": made.integration["monitor"],
        "key": made.integration["key"],
    }


def fuzz(
    operation: Operation, fill: Mapping[str, str], send: Callable[[Case], None], *, count: int, start: int
) -> None:
    """Send up to `count` cases, of the same `start` the same ones; `fill` is what leads to something."""

    @seed(start)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.one_of([*_cases(operation, fill)]))
    def run(case: Case) -> None:
        try:
            send(case)
        except httpx2.InvalidURL:  # longer than a client sends; what a server takes is a matter of cli/protocol.py
            reject()

    run()


def request_of(case: Case, base_url: str = BASE_URL) -> dict[str, Any]:
    """Return what a case sends, for httpx2's `request`; the caller adds its key."""
    made = case.as_transport_kwargs(base_url=base_url)
    headers = [(name.encode(), value.encode("latin-1")) for name, value in made["headers"].items()]
    body = {"json": made["json"]} if "json" in made else {"content": made.get("data")}
    return {"method": made["method"], "url": made["url"], "params": made["params"], "headers": headers, **body}


def check(case: Case, response: httpx2.Response) -> None:
    """Raise what is wrong with an answer, with the request as a command for curl."""
    case.validate_response(response, checks=CHECKS)


def _cases(operation: Operation, fill: Mapping[str, str]) -> Iterable[st.SearchStrategy[Case]]:
    """Yield what keeps to the description and what does not, to addresses of any kind; and what a route is known to take."""
    filled = {name: text for name, text in fill.items() if f"{{{name}}}" in operation.path}
    taken = (operation.path_parameters, operation.query, operation.headers, operation.body)
    for mode in GenerationMode if any(one.items for one in taken) else [GenerationMode.POSITIVE]:
        yield operation.as_strategy(mode)
        if filled:
            yield operation.as_strategy(mode, path_parameters=filled)
    if operation.label in BODIES:
        body = json.loads(BODIES[operation.label].replace("{alert_id}", fill["alert_id"]))
        known = operation.as_strategy(path_parameters=filled, body=body, media_type="application/json")
        yield from (known, known)  # twice as often
