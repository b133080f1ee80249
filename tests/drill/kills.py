"""The server is killed at any instant under load: what it answered with 2xx is there, once, whole and in its incident."""

import random
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.bench.engines import Engine
from tests.cli.processes import Server
from tests.drill.deliveries import mixed
from tests.drill.invariants import Invariant, skipped
from tests.drill.load import BROKEN, GOOD, Load, held
from tests.drill.plan import Plan
from tests.drill.servers import BATCH, access, served
from tests.drill.stored import looked_at

LONGEST_LIFE = 0.5  # seconds of load before a kill


def run(plan: Plan) -> list[Invariant]:
    """Kill the server of each engine as often as is wanted, then look into its database."""
    return [invariant for engine in plan.engines for invariant in _on(f"kills {engine.name}", plan, engine)]


def _on(drill: str, plan: Plan, engine: Engine) -> Iterator[Invariant]:
    folder = plan.folder / f"kills-{engine.name}"
    with engine.database(folder) as url:
        load = under_fire(folder, url, plan)
        broken, good = len([*load.times(BROKEN)]), len([*load.times(*GOOD)])
        yield Invariant(
            drill,
            "kills leave requests without an answer",
            broken > 0,
            f"{broken:,}; {good / (plan.kills + 1):,.0f} are answered between two kills",
        )
        if not any(one.path == BATCH for one in load.seen):
            yield skipped(drill, "batches are taken too", f"POST {BATCH} is not there")
        yield from held(drill, load)
        yield from looked_at(drill, url, load.answered)


def under_fire(folder: Path, url: str, plan: Plan) -> Load:
    """Start and kill a server again and again under load; the last one is left alone until all is answered."""
    instants = random.Random(plan.seed)
    with ExitStack() as stack:
        load: Load | None = None
        for _ in range(plan.kills):
            with served(folder, url) as server:
                load = load or stack.enter_context(_load(folder, server, plan))
                load.to(server.url)
                time.sleep(instants.uniform(0, LONGEST_LIFE))  # any instant: that is the drill
                load.to()  # who finds it gone waits for the next one
                server.stop(signal.SIGKILL)
        with served(folder, url) as server:
            load = load or stack.enter_context(_load(folder, server, plan))
            load.to(server.url)
            load.finish()
    return load


def _load(folder: Path, server: Server, plan: Plan) -> Load:
    return Load(mixed(access(folder, server), plan.seed), clients=plan.clients)
