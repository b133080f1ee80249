"""How long the reading of one body takes, in this process and with the collector as Python comes with it.

What that means to others who wait for the server's event loop is measured on the server: `waiting`.
"""

import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from incident_manager.schemas.alerts import AlertIn
from incident_manager.schemas.decoding import DEPTH_LIMIT, VALUES_LIMIT, decode
from tests.bench.bodies import USUAL_BODY
from tests.bench.plan import Plan
from tests.bench.rows import Row, measured
from tests.bench.timing import timed

FLOOR = "msgspec alone"
BYTES = 1024 * 1024 - 100  # a monitor's limit, less what makes an alert of it
VALUES = VALUES_LIMIT - 10  # less the same
ANY = dict[str, Any]


def full_of(item: bytes) -> bytes:
    """Return an object whose one array holds as many of an item as the bounds on values and bytes let through."""
    return b'{"a":[' + b",".join([item] * _most(item, len(item) + 1)) + b"]}"


def keys(value: bytes) -> bytes:
    """Return an object of as many keys as the bounds let through, all of one value."""
    count = _most(value, len(value) + len(b'"00000":,'))
    return b"{" + b",".join(b'"%05x":' % number + value for number in range(count)) + b"}"


def _most(item: bytes, length: int) -> int:
    """Return how many items fit, each of so many bytes: what is counted is commas and opening brackets."""
    values = 1 + sum(map(item.count, (b",", b"[", b"{")))
    return min(VALUES // values, (BYTES - 8) // length)


DENSE: Mapping[str, Callable[[], bytes]] = {
    "keys": lambda: keys(b"0"),
    "keys of empty objects": lambda: keys(b"{}"),
    "keys of long texts": lambda: keys(b'"' + b"x" * 10 + b'"'),
    "empty objects": lambda: full_of(b"{}"),
    "objects of one key": lambda: full_of(b'{"a":0}'),
    "integers": lambda: full_of(b"18446744073709551615"),
    "fractions": lambda: full_of(b"-1.2345678901234e-10"),
    "nested": lambda: full_of(b'{"a":' * (DEPTH_LIMIT - 3) + b"{}" + b"}" * (DEPTH_LIMIT - 3)),
    "escapes": lambda: full_of(b'"\\u00e9\\ud83d\\ude00"'),
    "one text of escapes": lambda: b'{"a":"' + b"\\\\" * ((BYTES - 8) // 2) + b'"}',
}


def measure(plan: Plan) -> list[Row]:
    """Measure the usual alert, and every dense kind, of which the worst makes the row."""
    dense = [_one(f"decode the densest body: {name}", made(), ANY, plan) for name, made in DENSE.items()]
    return [_one("decode the usual alert", USUAL_BODY, AlertIn, plan), max(dense, key=lambda row: row.ours or 0)]


def _one(name: str, body: bytes, to: type, plan: Plan) -> Row:
    read = msgspec.json.Decoder(to)
    seen: dict[str, list[float]] = defaultdict(list)
    seconds = plan.seconds / 10
    for _ in range(plan.rounds):
        seen[FLOOR].append(statistics.median(timed(lambda: read.decode(body), seconds)))
        seen["ours"].append(statistics.median(timed(lambda: decode(body, to), seconds)))
    return measured(
        name,
        "ms",
        ours=seen["ours"],
        floor=seen[FLOOR],
        floor_name=FLOOR,
        store="none",
        note=f"{len(body):,} bytes",
    )
