"""How long one dense body keeps everybody else waiting: a monitor's delivery is read on the server's event loop.

The time is that of the delivery's own answer, on a server that has nothing else to do: nobody else is answered meanwhile, but
for what waits for the database.
"""

import json
import statistics
from collections import defaultdict
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from tests.bench import servers
from tests.bench.bodies import USUAL_BODY
from tests.bench.decoding import DENSE
from tests.bench.plan import Plan
from tests.bench.rows import Row, measured
from tests.bench.servers import Served
from tests.bench.targets import WAIT_MILLISECONDS
from tests.bench.timing import timed

FLOOR = "the usual alert"


def measure(plan: Plan) -> list[Row]:
    """Deliver the usual alert and every dense kind in turn; the worst kind makes the row."""
    bodies = {FLOOR: USUAL_BODY, **{name: _alert_with(made()) for name, made in DENSE.items()}}
    seen: dict[str, list[float]] = defaultdict(list)
    folder = plan.folder / "wait"
    with plan.engines[0].database(folder) as url, servers.ours(folder, url) as served:
        path = _way_in(served)
        for _ in range(plan.rounds):
            for name, body in bodies.items():
                seen[name].append(_deliver(served, path, body, plan.seconds / 20))
    worst = max(DENSE, key=lambda name: statistics.median(seen[name]))
    row = measured(
        f"answer the densest delivery: {worst}",
        "ms",
        ours=seen[worst],
        floor=seen[FLOOR],
        floor_name=FLOOR,
        target=WAIT_MILLISECONDS,
        store="a few alerts, SQLite",
        note=f"{len(bodies[worst]):,} bytes",
    )
    return [row]


def _alert_with(dense: bytes) -> bytes:
    """Return a delivery of the `generic` monitor, which passes over what it does not know, but reads it."""
    return b'{"title":"Disk is full","dedup_key":"disk",' + dense[1:]


def _way_in(served: Served) -> str:
    """Make an integration, and return its address's path."""
    made = _asked(served, "/v1/integrations", json.dumps({"name": "bench", "monitor": "generic"}).encode())
    return f"/v1/integrations/generic/{made['key']}"


def _deliver(served: Served, path: str, body: bytes, seconds: float) -> float:
    return statistics.median(timed(lambda: _asked(served, path, body), seconds))


def _asked(served: Served, path: str, body: bytes) -> Any:
    headers = {"Authorization": f"Bearer {served.key}", "Content-Type": "application/json"}
    with closing(HTTPConnection(urlsplit(served.url).netloc)) as connection:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        said = answer.read().decode()
    if answer.status not in {200, 201}:
        raise SystemExit(f"the server does not take a delivery: {said}")
    return json.loads(said)
