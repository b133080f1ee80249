"""Batches of a hundred alerts, and single ones, beside an Alertmanager that is sent the same and keeps it in memory."""

import statistics
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

from tests.bench import peers, servers
from tests.bench.load import BATCH, NO_WRK, SINGLE, Load, Mix, Shape, load
from tests.bench.plan import Plan
from tests.bench.rows import Row, measured, missing
from tests.bench.servers import Served
from tests.bench.targets import PEER_BATCH, PEER_SINGLE, PEER_TAIL, Target
from tests.cli.database import rows

PEER = "Alertmanager"
ENGINES = ("SQLite", "PostgreSQL")


class Kind(NamedTuple):
    """A load: in how many connections, what is sent to us and what to the peer."""

    name: str
    connections: int
    ours: Shape
    theirs: Shape


KINDS = (
    Kind("batch of 100, 8 connections", 8, BATCH, peers.BATCH),
    Kind("POST /v1/alerts, 64 connections", 64, SINGLE, peers.SINGLE),
)


class Seen(NamedTuple):
    """Loads by (who, kind), and alerts stored before and after them."""

    loads: dict[tuple[str, str], list[Load]]
    stored: dict[tuple[str, str], list[tuple[int, int]]]

    def wrong(self, who: str, kind: Kind) -> str:
        """Say what went wrong with a load; "" where nothing did."""
        loads, stored = self.loads[who, kind.name], self.stored[who, kind.name]
        said = [f"{one.refused} answers were no 2xx" for one in loads if one.refused]
        said += [f"{one.lost} connections broke" for one in loads if one.lost]
        if stored and sum(one.accepted for one in loads) != sum(after - before for before, after in stored):
            said.append("what was answered is not what is stored")
        return "; ".join(said)


def names() -> Iterator[str]:
    """Yield the rows' names, which need no measuring."""
    for engine in ENGINES:
        for kind in KINDS:
            yield from (_name(kind, engine), _name(kind, engine, "p99 of "))


def measure(plan: Plan) -> list[Row]:
    """Measure in rounds: the peer, then ours; all servers wait while one is under load."""
    if plan.wrk is None:
        return [missing(name, NO_WRK) for name in names()]
    seen = Seen(defaultdict(list), defaultdict(list))
    with ExitStack() as stack:
        peer = stack.enter_context(peers.alertmanager(plan.folder / "alertmanager"))
        if peer is None:
            return [missing(name, peers.NO_ALERTMANAGER) for name in names()]
        databases = [stack.enter_context(engine.database(plan.folder / f"b-{engine.name}")) for engine in plan.engines]
        served = [
            (engine.name, url, stack.enter_context(servers.ours(plan.folder / f"b-{engine.name}", url)))
            for engine, url in zip(plan.engines, databases, strict=True)
        ]
        for _ in range(plan.rounds):
            for kind in KINDS:
                seen.loads[PEER, kind.name].append(_load(plan, peer, kind, kind.theirs))
                for who, url, server in served:
                    before = _alerts(url)
                    seen.loads[who, kind.name].append(_load(plan, server, kind, kind.ours))
                    seen.stored[who, kind.name].append((before, _alerts(url)))
    return list(_rows(seen))


def _load(plan: Plan, server: Served, kind: Kind, shape: Shape) -> Load:
    assert plan.wrk is not None
    mix, key = Mix.DUPLICATES, server.key
    return load(plan.wrk, server.url, connections=kind.connections, mix=mix, seconds=plan.seconds, key=key, shape=shape)


def _alerts(url: str) -> int:
    return int(rows(url, "SELECT count(*) FROM alerts")[0][0])


def _rows(seen: Seen) -> Iterator[Row]:
    for engine in ENGINES:
        for kind in KINDS:
            target, tail = (PEER_BATCH, None) if kind.ours is BATCH else (PEER_SINGLE, PEER_TAIL)
            yield _row(seen, kind, engine, target)
            yield _row(seen, kind, engine, tail, "p99 of ")


def _row(seen: Seen, kind: Kind, engine: str, target: Target | None, what: str = "") -> Row:
    ours, theirs = seen.loads[engine, kind.name], seen.loads[PEER, kind.name]
    stored = seen.stored[engine, kind.name]
    p50, p99 = (statistics.median(getattr(one, name) for one in ours) for name in ("p50_ms", "p99_ms"))
    return measured(
        _name(kind, engine, what),
        "ms" if what else "alerts/s",
        ours=[one.p99_ms if what else one.rate for one in ours],
        floor=[one.p99_ms if what else one.rate for one in theirs],
        floor_name=f"{PEER}, in memory only",
        target=target,
        store=f"{stored[0][0]:,} to {stored[-1][1]:,} alerts",
        note=f"90 % duplicates; p50 {p50:.2f} ms, p99 {p99:.2f} ms",
        broken=seen.wrong(engine, kind) or seen.wrong(PEER, kind),
    )


def _name(kind: Kind, engine: str, what: str = "") -> str:
    return f"{what}{kind.name}, {engine}, beside {PEER}"
