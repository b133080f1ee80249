"""PostgreSQL is stopped at once and started again under load: the API says 503 meanwhile, and goes on by itself."""

import random
import signal
import time
from collections.abc import Iterator
from typing import NamedTuple

from tests.cli.processes import Server
from tests.drill.deliveries import mixed
from tests.drill.invariants import Invariant, none_of, within
from tests.drill.load import BROKEN, GOOD, UNAVAILABLE, Load, held
from tests.drill.own_postgres import OwnPostgres, own_postgres
from tests.drill.plan import Plan
from tests.drill.servers import access, condition, served
from tests.drill.stored import looked_at

LONGEST_LIFE, LONGEST_DEATH = 0.5, 0.5  # seconds of load before a stop, and before the start
BACK_SECONDS = 1.0
WAYS = (signal.SIGQUIT, signal.SIGKILL)  # its own immediate stop, and its first process killed, in turn


def run(plan: Plan) -> list[Invariant]:
    """Stop and start a PostgreSQL of the drill's own as often as is wanted, then look into it."""
    if not plan.postgres:
        return []
    with own_postgres(plan.folder / "restarts") as postgres:
        return [*on(postgres, plan)]


def on(postgres: OwnPostgres, plan: Plan) -> Iterator[Invariant]:
    """Stop and start this server."""
    folder = plan.folder / "restarts-api"
    folder.mkdir(exist_ok=True)
    with postgres.engine.database(folder) as url, served(folder, url) as server:
        with Load(mixed(access(folder, server), plan.seed), clients=plan.clients) as load:
            load.to(server.url)
            outages = [*_outages(postgres, server, load, plan)]
            load.finish()
        yield from held("restarts", load)
        yield from _seen(load, outages, server)
        yield from looked_at("restarts", url, load.answered)


class Outage(NamedTuple):
    """When the database was stopped and when it answered again."""

    stopped: float
    condition: str  # what the API said of itself meanwhile
    back: float


def _outages(postgres: OwnPostgres, server: Server, load: Load, plan: Plan) -> Iterator[Outage]:
    instants = random.Random(plan.seed)
    for number in range(plan.restarts):
        since = time.monotonic()
        load.until(lambda since=since: next(load.times(*GOOD, since=since), None), "it takes alerts again")
        time.sleep(instants.uniform(0, LONGEST_LIFE))  # any instant: that is the drill
        postgres.stop_at_once(WAYS[number % len(WAYS)])
        stopped = time.monotonic()
        time.sleep(instants.uniform(0, LONGEST_DEATH))  # the span for which it is away
        yield Outage(stopped, condition(server), postgres.start())


def _seen(load: Load, outages: list[Outage], server: Server) -> Iterator[Invariant]:
    """Return what must hold of the API besides what it stored."""
    refused = [next(load.times(UNAVAILABLE, since=one.stopped), None) for one in outages]
    told = sum(when is not None and when < one.back + BACK_SECONDS for when, one in zip(refused, outages, strict=True))
    late = [next(load.times(*GOOD, since=one.back), float("inf")) - one.back for one in outages]
    yield Invariant("restarts", "an outage is told with 503", told > 0, f"{told} of {len(outages)} outages")
    well = [one for one in outages if one.condition == "healthy"]
    yield none_of("restarts", "its health says so meanwhile", well, len(outages))
    yield within("restarts", "2xx again after the database answers again", late, BACK_SECONDS)
    yield none_of("restarts", "no request is left without an answer", [*load.times(BROKEN)], len(load.seen))
    alive = server.process.poll() is None
    yield Invariant("restarts", "the API is the same process throughout", alive, f"process {server.process.pid}")
