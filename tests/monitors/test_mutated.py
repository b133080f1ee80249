"""Real payloads, broken as a monitor's next version, a proxy or an enemy would: read, or refused with a reason."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from incident_manager.errors import MalformedRequest, ValidationFailed
from incident_manager.monitors import MONITORS
from incident_manager.monitors.base import Delivery, Fitting, ReadAlert
from incident_manager.schemas.alerts import AlertFields
from incident_manager.schemas.decoding import decode
from tests.monitors.payloads import Payload, payloads
from tests.world import World

PAYLOADS = {monitor: payloads(monitor) for monitor in sorted({payload.monitor for payload in payloads()})}
LONG = 100_000
GONE = object()
OTHERS: list[Any] = [
    None,
    True,
    0,
    -1,
    2**63,
    10**30,
    1.5e300,
    "",
    " ",
    "planned",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59-23:59",
    "2026-02-30T00:00:00Z",
    "javascript:alert(1)",
    "http://[",
    "a\x00\x1b[31m\u202e\ufffe",
    "\ud800",
    "x" * LONG,
    "\U0001f525" * LONG,
    [],
    {},
    [None],
    [[], {}, "x", 1],
    {"": None, "x" * 1_000: {"a": [1]}, "a\x00": "\x07"},
    {str(number): "x" for number in range(200)},
]


def deep(levels: int) -> Any:
    found: Any = "x"
    for _ in range(levels):
        found = {"a": [found]}
    return found


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of everything in a document, its own included."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for name, one in inner for place in places(one, (*path, name)))]


def changed(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    """Return a copy of a document in which one place holds something else, or is gone where that is GONE."""
    if not path:
        return None if other is GONE else other
    copy = value.copy()
    if other is GONE and len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = changed(value[path[0]], path[1:], other)
    return copy


@st.composite
def broken(draw: st.DrawFn, monitor: str) -> tuple[Payload, bytes]:
    """Break a payload in one to three places, then perhaps its text."""
    payload = draw(st.sampled_from(PAYLOADS[monitor]))
    document = json.loads(payload.body)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(document)))
        other = draw(st.just(GONE) | st.sampled_from([*OTHERS, deep(9), deep(40), document]))
        document = changed(document, path, other)
    return payload, draw(st.sampled_from(TEXTS))(json.dumps(document).encode())


TEXTS: list[Callable[[bytes], bytes]] = [
    *[bytes] * 6,  # as it is: what is no JSON is refused before a monitor sees it
    lambda text: text.replace(b"{", b'{"status": "firing", "status": null, ', 1),
    lambda text: text[: len(text) // 2],
    lambda text: text + text,
    lambda text: b"\xef\xbb\xbf" + text,
    lambda text: text.replace(b"e", b"\xe9", 3),
]


def read(payload: Payload, body: bytes) -> tuple[ReadAlert, ...]:
    headers = {name.lower(): text for name, text in payload.headers.items()}
    return MONITORS[payload.monitor].parse(Delivery(headers=headers, body=body)).alerts


@pytest.mark.parametrize("monitor", PAYLOADS)
def test_what_is_broken_is_read_within_our_limits_or_refused_with_a_reason(monitor: str) -> None:
    @settings(max_examples=150)
    @given(broken(monitor))
    def run(given: tuple[Payload, bytes]) -> None:
        try:
            found: tuple[ReadAlert, ...] | str = read(*given)
        except (MalformedRequest, ValidationFailed) as refusal:
            found = refusal.detail
        assert found != ""
        for alert in found if isinstance(found, tuple) else ():
            fitted = Fitting({}, {}).fit(alert)
            assert decode(msgspec.json.encode(fitted), AlertFields) == fitted

    run()


@pytest.mark.parametrize("monitor", PAYLOADS)
async def test_what_is_broken_gets_a_result_for_each_alert_or_a_4xx_with_a_reason(world: World, monitor: str) -> None:
    made = await world.post("/v1/integrations", {"name": "prod", "monitor": monitor}, status=201)
    path, statuses = f"/v1/integrations/{monitor}/{made['key']}", set()
    for payload, body in drawn(monitor, 60):
        response = await world.http.post(path, content=body, headers=payload.headers)
        statuses.add(response.status_code)
        if response.status_code == 200:
            results = response.json()["results"]
            assert len({result["alert_id"] for result in results}) == len(read(payload, body))
        else:
            assert response.status_code in {400, 413, 422}, body
            assert response.json()["detail"]
    assert statuses >= {200, 400, 422}


def drawn(monitor: str, count: int) -> list[tuple[Payload, bytes]]:
    """Return what hypothesis makes up, for a test that has to await between."""
    found: list[tuple[Payload, bytes]] = []

    @settings(max_examples=count, phases=[Phase.generate])
    @given(broken(monitor))
    def collect(one: tuple[Payload, bytes]) -> None:
        found.append(one)

    collect()
    return found
