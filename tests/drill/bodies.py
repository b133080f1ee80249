"""Hostile JSON against a live server: every body is refused, nobody else waits for it, and nothing of it stays in memory."""

import time

import httpx2

from incident_manager.api.integrations import DELIVERY_LIMIT
from incident_manager.errors import PayloadTooLarge
from tests.bench.servers import Served, ours
from tests.drill.invariants import Invariant, none_of
from tests.drill.plan import Plan
from tests.drill.poller import polled
from tests.make import alert
from tests.schemas.test_decoding import DENSE, MALFORMED, WITHIN

# Of the rounds, the one that was held up least counts: what another process takes away is not in all, what a body costs is.
GAP_MILLISECONDS = 50.0  # beyond the poll's own while nothing else goes on
GROWTH_MEBIBYTES = 20.0
IDLE_SECONDS = 3
BODIES = MALFORMED | DENSE | WITHIN


def run(plan: Plan) -> list[Invariant]:
    """Send all hostile bodies, to both addresses that take JSON from outside; how they are read is the same on every engine."""
    folder = plan.folder / "bodies"
    with plan.engines[0].database(folder) as url, ours(folder, url) as server, _client(server) as client:
        wanted = {"name": "hostile", "monitor": "alertmanager"}
        key = client.post("/v1/integrations", json=wanted).raise_for_status().json()["key"]
        paths = ("/v1/alerts", f"/v1/integrations/alertmanager/{key}")
        client.post(paths[0], json=alert()).raise_for_status()
        with polled(server.url) as idle:
            time.sleep(IDLE_SECONDS)  # the span that is measured, not a wait for something
        before = server.resident_mebibytes()
        taken, gaps = [], []
        for _ in range(plan.rounds):
            with polled(server.url) as busy:
                taken += [(name, path, _sent(server, path, BODIES[name])) for path in paths for name in BODIES]
            gaps.append(busy.gap)
        grown = server.resident_mebibytes() - before
    wrong = [
        f"{name} to {path.rpartition('/')[0]}: {status}" for name, path, status in taken if not 400 <= status < 500
    ]
    return [
        none_of("bodies", "every hostile body is refused with 4xx", wrong, len(taken)),
        Invariant(
            "bodies",
            f"nobody waits {GAP_MILLISECONDS:g} ms longer for a sign of life",
            min(gaps) - idle.gap <= GAP_MILLISECONDS,
            f"longest gap {min(gaps):.1f} ms (worst round {max(gaps):.1f}), {idle.gap:.1f} ms when idle",
        ),
        Invariant(
            "bodies",
            f"memory grows by less than {GROWTH_MEBIBYTES:g} MiB",
            grown < GROWTH_MEBIBYTES,
            f"{grown:+.1f} MiB",
        ),
    ]


def _client(server: Served) -> httpx2.Client:
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    return httpx2.Client(base_url=server.url, headers=headers, trust_env=False, timeout=30)


def _sent(server: Served, path: str, body: bytes) -> int:
    """Return the status, of a connection of its own, for the server may end it: before a body over the limit is all sent."""
    with _client(server) as client:
        try:
            return client.post(path, content=body).status_code
        except httpx2.TransportError:
            return PayloadTooLarge.status if len(body) > DELIVERY_LIMIT else 0
