"""What clients post: alerts one by one, in batches, and as a monitor sends them; each can be sent again and counts once.

Alone it is told again by its Idempotency-Key, among others by its external_id.
"""

import itertools
import json
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.drill.servers import BATCH, Access
from tests.make import alert

PROBLEMS = 40  # few enough that most alerts are repeats; after every thousand deliveries there are others
FORMS = {"one": 8, "batch": 1, "monitor": 1}  # how many of each
MOST = 20  # alerts of a batch


class Delivery(NamedTuple):
    """One request: where to, what, and the names of the alerts in it, each of them once in a run."""

    path: str
    body: bytes
    headers: dict[str, str]
    names: tuple[str, ...]


def mixed(access: Access, seed: int) -> Iterator[Delivery]:
    """Return deliveries of all forms without an end."""
    chosen = random.Random(seed)
    forms = {form: weight for form, weight in FORMS.items() if form != "batch" or access.batches}
    for number in itertools.count():
        [form] = chosen.choices([*forms], [*forms.values()])
        count = 1 if form == "one" else chosen.randint(1, MOST)
        alerts = {f"{number}-{n}": _problem(chosen, number) for n in range(count)}
        yield one(access, *alerts.popitem()) if form == "one" else many(access, form, alerts)


def one(access: Access, name: str, body: dict[str, Any]) -> Delivery:
    """Return an alert by itself, under its Idempotency-Key."""
    return Delivery("/v1/alerts", json.dumps(body).encode(), {**access.headers, "Idempotency-Key": name}, (name,))


def many(access: Access, form: str, alerts: dict[str, dict[str, Any]]) -> Delivery:
    """Return several alerts by their names, each with its external_id."""
    path = BATCH if form == "batch" else access.monitor
    body = [{**alert, "external_id": name} for name, alert in alerts.items()]
    return Delivery(path, json.dumps(body).encode(), access.headers, tuple(alerts))


def _problem(chosen: random.Random, number: int) -> dict[str, Any]:
    return alert(title=f"problem {chosen.randrange(PROBLEMS)} of {number // 1_000}")
