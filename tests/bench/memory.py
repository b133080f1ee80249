"""What the server holds in memory: when it has just started, and after it has been under load."""

from collections.abc import Iterator

from tests.bench import servers
from tests.bench.engines import Engine
from tests.bench.load import NO_WRK, Mix, load
from tests.bench.plan import Plan
from tests.bench.rows import Row, measured, missing
from tests.bench.servers import Served
from tests.bench.targets import LOADED_MEBIBYTES, REST_MEBIBYTES
from tests.cli.database import rows

CONNECTIONS = 64
FLOOR = "no-op handler"


def measure(plan: Plan) -> list[Row]:
    """Measure once for each engine, beside the no-op server under the same load: a process does not forget a round."""
    with servers.floor(plan.folder / "memory-floor", "handler") as floor:
        at_rest = floor.resident_mebibytes()
        loaded = _loaded(plan, floor)
    return [row for engine in plan.engines for row in _of_engine(plan, engine, at_rest, loaded)]


def _of_engine(plan: Plan, engine: Engine, floor_at_rest: float, floor_loaded: float | None) -> Iterator[Row]:
    folder = plan.folder / f"memory-{engine.name}"
    with engine.database(folder) as url, servers.ours(folder, url) as served:
        yield measured(
            f"memory at rest, {engine.name}",
            "MiB",
            ours=[served.resident_mebibytes()],
            floor=[floor_at_rest],
            floor_name=FLOOR,
            target=REST_MEBIBYTES,
            store="none",
        )
        name = f"memory after load, {engine.name}"
        loaded = _loaded(plan, served)
        if loaded is None or floor_loaded is None:
            yield missing(name, NO_WRK)
            return
        stored = rows(url, "SELECT count(*) FROM alerts")[0][0]
        yield measured(
            name,
            "MiB",
            ours=[loaded],
            floor=[floor_loaded],
            broken="" if stored else "nothing was stored",
            floor_name=f"{FLOOR}, after the same",
            target=LOADED_MEBIBYTES,
            store=f"{stored:,} alerts",
            note=f"after {_seconds(plan):g} s of distinct alerts on {CONNECTIONS} connections",
        )


def _loaded(plan: Plan, served: Served) -> float | None:
    """Return the memory after load; None where there is nothing to make load with."""
    if plan.wrk is None:
        return None
    load(plan.wrk, served.url, connections=CONNECTIONS, mix=Mix.DISTINCT, seconds=_seconds(plan), key=served.key)
    return served.resident_mebibytes()


def _seconds(plan: Plan) -> float:
    return plan.seconds * plan.rounds
