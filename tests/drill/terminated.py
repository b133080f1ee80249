"""An administrator ends the API's connections again and again: it opens others, and hardly anybody notices."""

import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.engines import Engine
from tests.cli.database import rows
from tests.drill.deliveries import mixed
from tests.drill.invariants import Invariant
from tests.drill.load import GOOD, Load, held
from tests.drill.plan import Plan
from tests.drill.servers import access, served
from tests.drill.stored import looked_at

EVERY_SECONDS = 0.5
ERRORS = 0.01  # of all requests
TERMINATE = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'incident-manager'"""


def run(plan: Plan) -> list[Invariant]:
    """End all connections twice a second for as long as is wanted, then look into the database."""
    return [invariant for engine in plan.postgres for invariant in _on(engine, plan)]


def _on(engine: Engine, plan: Plan) -> Iterator[Invariant]:
    folder, drill = plan.folder / "terminated", "terminated"
    folder.mkdir()
    with engine.database(folder) as url:
        load, ended = _under_fire(folder, url, plan)
        failed = len(load.seen) - len([*load.times(*GOOD)])
        yield Invariant(drill, "connections are ended under load", ended > 0, f"{ended:,} connections")
        yield Invariant(
            drill,
            f"fewer than {ERRORS:.0%} of the requests fail",
            failed < ERRORS * len(load.seen),
            f"{failed:,} of {len(load.seen):,}",
            timed=True,
        )
        yield from held(drill, load)
        yield from looked_at(drill, url, load.answered)


def _under_fire(folder: Path, url: str, plan: Plan) -> tuple[Load, int]:
    """Return the load, and how many connections were ended."""
    ended = 0
    with served(folder, url) as server, Load(mixed(access(folder, server), plan.seed), clients=plan.clients) as load:
        load.to(server.url)
        load.until(load.results.__len__, "it takes alerts")
        for _ in range(int(plan.terminated_seconds / EVERY_SECONDS)):
            ended += rows(url, TERMINATE)[0][0]
            time.sleep(EVERY_SECONDS)  # the span that is wanted
        load.finish()
    return load, ended
