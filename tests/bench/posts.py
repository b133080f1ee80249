"""Single alerts over HTTP: how many a second, how long one takes, and whether all that was answered is stored."""

import statistics
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

from tests.bench import servers
from tests.bench.commits import commit_ms, flush_ms
from tests.bench.engines import Engine
from tests.bench.load import NO_WRK, Load, Mix, load
from tests.bench.plan import Plan
from tests.bench.rows import Row, measured, missing
from tests.bench.servers import Served
from tests.bench.targets import POST_1_COMMIT, POST_1_HANDLER, POST_64_DISTINCT, POST_64_FAST, POST_64_HANDLER, Target
from tests.cli.database import rows

HANDLER, FAST, RAW = "no-op handler", "no-op on the fast path", "raw ASGI"
FLOORS = {HANDLER: "handler", FAST: "fast path", RAW: "raw ASGI"}
CONNECTIONS = (1, 16, 64)
MIXES = {Mix.DUPLICATES: "90 % duplicates", Mix.DISTINCT: "all distinct"}
COMMIT, FLUSH = "raw durable commit", "4 KiB written and flushed"
COMMIT_SECONDS = 0.5
ENGINES = ("SQLite", "PostgreSQL")


class Wanted(NamedTuple):
    """A figure of the rate of one load, and the floor that it is held against."""

    connections: int
    mix: Mix
    floor: str
    target: Target | None


RATES = (
    Wanted(1, Mix.DUPLICATES, HANDLER, POST_1_HANDLER),
    Wanted(1, Mix.DISTINCT, HANDLER, POST_1_HANDLER),
    Wanted(16, Mix.DUPLICATES, FAST, None),
    Wanted(64, Mix.DUPLICATES, FAST, POST_64_FAST),
    Wanted(64, Mix.DUPLICATES, HANDLER, POST_64_HANDLER),
    Wanted(64, Mix.DISTINCT, HANDLER, POST_64_DISTINCT),
)


class Seen:
    """What all rounds saw: loads by (who, connections, mix), milliseconds of raw commits by engine, alerts stored."""

    def __init__(self) -> None:
        self.loads: dict[tuple[str, int, Mix], list[Load]] = defaultdict(list)
        self.commits: dict[str, list[float]] = defaultdict(list)
        self.stored: dict[tuple[str, int, Mix], list[tuple[int, int]]] = defaultdict(list)

    def rates(self, who: str, connections: int, mix: Mix) -> list[float]:
        return [one.rate for one in self.loads[who, connections, mix]]

    def wrong(self, who: str, connections: int, mix: Mix) -> str:
        """Say what went wrong with a load; "" where nothing did."""
        loads, stored = self.loads[who, connections, mix], self.stored[who, connections, mix]
        refused, lost = sum(one.refused for one in loads), sum(one.lost for one in loads)
        accepted, kept = sum(one.accepted for one in loads), sum(after - before for before, after in stored)
        said = [f"{refused:,} answers were no 2xx"] if refused else []
        said += [f"{lost:,} connections broke"] if lost else []
        said += ["what was answered is not what is stored"] if stored and accepted != kept else []
        return "; ".join(said)

    def kept(self, who: str, connections: int, mix: Mix) -> str:
        """Say what of a load was answered, and what of that is stored; "" for a floor, which stores nothing."""
        stored = self.stored[who, connections, mix]
        accepted = sum(one.accepted for one in self.loads[who, connections, mix])
        return (
            f"{accepted:,} answered 2xx, {sum(after - before for before, after in stored):,} stored" if stored else ""
        )

    def store(self, who: str, connections: int, mix: Mix) -> str:
        """Say how much was stored while a load ran, from the first round to the last."""
        stored = self.stored[who, connections, mix]
        return f"{stored[0][0]:,} to {stored[-1][1]:,} alerts" if stored else "none"


def names() -> Iterator[str]:
    """Yield the rows' names, which need no measuring."""
    for connections in CONNECTIONS:
        yield from (_floor_name(name, connections) for name in (HANDLER, FAST))
    for engine in ENGINES:
        yield f"{COMMIT}, {engine}"
        yield from (_rate_name(engine, wanted) for wanted in RATES)
        yield from (_time_name(engine, percentile, mix) for percentile in ("p50", "p99") for mix in MIXES)


def measure(plan: Plan) -> list[Row]:
    """Measure all of it, in rounds of floors, then ours; all servers wait while one is under load."""
    if plan.wrk is None:
        return [missing(name, NO_WRK) for name in names()]
    seen = Seen()
    with ExitStack() as stack:
        floors = {
            name: stack.enter_context(servers.floor(plan.folder / "floors", floor)) for name, floor in FLOORS.items()
        }
        databases = [stack.enter_context(engine.database(plan.folder / engine.name)) for engine in plan.engines]
        served = [
            (engine, url, stack.enter_context(servers.ours(plan.folder / engine.name, url)))
            for engine, url in zip(plan.engines, databases, strict=True)
        ]
        for _ in range(plan.rounds):
            seen.commits[FLUSH].append(flush_ms(plan.folder, COMMIT_SECONDS))
            for connections in CONNECTIONS:
                _one_round(plan, seen, floors, served, connections)
    return list(_rows(seen))


def _one_round(
    plan: Plan,
    seen: Seen,
    floors: dict[str, Served],
    served: list[tuple[Engine, str, Served]],
    connections: int,
) -> None:
    for name, server in floors.items():
        _load(plan, seen, (name, connections, Mix.DUPLICATES), server)
    for engine, url, server in served:
        if connections == 1:
            seen.commits[engine.name].append(commit_ms(url, COMMIT_SECONDS))
        for mix in MIXES:
            before = _alerts(url)
            _load(plan, seen, (engine.name, connections, mix), server)
            seen.stored[engine.name, connections, mix].append((before, _alerts(url)))


def _load(plan: Plan, seen: Seen, what: tuple[str, int, Mix], server: Served) -> None:
    assert plan.wrk is not None
    _, connections, mix = what
    ran = load(plan.wrk, server.url, connections=connections, mix=mix, seconds=plan.seconds, key=server.key)
    seen.loads[what].append(ran)


def _alerts(url: str) -> int:
    return int(rows(url, "SELECT count(*) FROM alerts")[0][0])


def _rows(seen: Seen) -> Iterator[Row]:
    for connections in CONNECTIONS:
        for name in (HANDLER, FAST):
            yield _rate(seen, Wanted(connections, Mix.DUPLICATES, RAW, None), name, _floor_name(name, connections))
    for engine in ENGINES:
        yield measured(
            f"{COMMIT}, {engine}",
            "ms",
            ours=seen.commits[engine],
            floor=seen.commits[FLUSH],
            floor_name=FLUSH,
            store="1,000 rows",
            note=f"{1_000 / statistics.median(seen.commits[engine]):,.0f} a second",
        )
        yield from (_rate(seen, wanted, engine, _rate_name(engine, wanted)) for wanted in RATES)
        yield from (_time_at_one(seen, engine, mix) for mix in MIXES)
        yield from (_tail(seen, engine, mix) for mix in MIXES)


def _rate(seen: Seen, wanted: Wanted, who: str, name: str) -> Row:
    connections, mix = wanted.connections, wanted.mix
    return measured(
        name,
        "alerts/s",
        ours=seen.rates(who, connections, mix),
        floor=seen.rates(wanted.floor, connections, Mix.DUPLICATES),
        floor_name=wanted.floor,
        target=wanted.target,
        store=seen.store(who, connections, mix),
        note="; ".join(filter(None, (_times(seen.loads[who, connections, mix]), seen.kept(who, connections, mix)))),
        broken=seen.wrong(who, connections, mix) or seen.wrong(wanted.floor, connections, Mix.DUPLICATES),
    )


def _time_at_one(seen: Seen, engine: str, mix: Mix) -> Row:
    return measured(
        _time_name(engine, "p50", mix),
        "ms",
        ours=[one.p50_ms for one in seen.loads[engine, 1, mix]],
        floor=seen.commits[engine],
        floor_name=COMMIT,
        target=POST_1_COMMIT,
        store=seen.store(engine, 1, mix),
        broken=seen.wrong(engine, 1, mix),
    )


def _tail(seen: Seen, engine: str, mix: Mix) -> Row:
    return measured(
        _time_name(engine, "p99", mix),
        "ms",
        ours=[one.p99_ms for one in seen.loads[engine, 64, mix]],
        floor=[one.p99_ms for one in seen.loads[HANDLER, 64, Mix.DUPLICATES]],
        floor_name=f"{HANDLER}, p99",
        store=seen.store(engine, 64, mix),
        broken=seen.wrong(engine, 64, mix),
    )


def _times(loads: list[Load]) -> str:
    p50, p99 = (statistics.median(getattr(one, name) for one in loads) for name in ("p50_ms", "p99_ms"))
    return f"p50 {p50:.2f} ms, p99 {p99:.2f} ms"


def _floor_name(name: str, connections: int) -> str:
    return f"{name}, {_connections(connections)}"


def _rate_name(engine: str, wanted: Wanted) -> str:
    against = "" if wanted.floor == HANDLER else f", against {wanted.floor}"
    return f"POST /v1/alerts, {_connections(wanted.connections)}, {MIXES[wanted.mix]}, {engine}{against}"


def _time_name(engine: str, percentile: str, mix: Mix) -> str:
    return f"{percentile} of POST /v1/alerts, {_connections(1 if percentile == 'p50' else 64)}, {MIXES[mix]}, {engine}"


def _connections(count: int) -> str:
    return f"{count} connection{'s' if count > 1 else ''}"
