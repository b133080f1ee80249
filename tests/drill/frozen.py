"""The database stops in the middle of everything for some seconds: the API stays alive, says 503, and goes on afterwards.

PostgreSQL: none of its processes runs. SQLite: another process holds the write lock.
"""

import itertools
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager

from tests.drill.deliveries import MOST, PROBLEMS, Delivery, many, mixed
from tests.drill.invariants import Invariant, none_of, within
from tests.drill.load import BROKEN, GOOD, UNAVAILABLE, Load, held
from tests.drill.own_postgres import own_postgres
from tests.drill.plan import Plan
from tests.drill.poller import polled
from tests.drill.servers import Access, access, condition, served
from tests.drill.stored import looked_at

ROOM = 2 * MOST  # alerts that may wait, for each client: more than they have at hand
CROWD = 3  # times as many clients come while it is frozen, each with as many alerts as there are at most
BACK_SECONDS = 3.0
AT_ONCE_SECONDS = 0.5  # in which whoever finds the queue full is told
GAP_SECONDS = 1.0  # between two signs of life, on two cores that all share
WARM_SECONDS = 0.5  # of load before and after


def run(plan: Plan) -> list[Invariant]:
    """Freeze the database of each engine once, then look into it."""
    found = []
    for engine in plan.engines:
        if not engine.server:
            with engine.database(plan.folder / "frozen") as url:
                found += _on("frozen SQLite", url, plan, locked(url))
            continue
        with own_postgres(plan.folder / "frozen-pg") as postgres, postgres.engine.database(plan.folder) as url:
            found += _on("frozen PostgreSQL", url, plan, postgres.frozen())
    return found


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Hold SQLite's write lock for as long as the block takes; the server is another process."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=30)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def _on(drill: str, url: str, plan: Plan, freeze: AbstractContextManager[None]) -> list[Invariant]:
    folder = plan.folder / drill.replace(" ", "-")
    with served(folder, url, intake__queue_alerts=str(ROOM * plan.clients)) as server:
        ways = access(folder, server)
        with (
            Load(mixed(ways, plan.seed), clients=plan.clients) as load,
            Load(_many(ways), clients=CROWD * plan.clients) as crowd,
        ):
            load.to(server.url)
            load.until(load.results.__len__, "it takes alerts")
            time.sleep(WARM_SECONDS)  # a span of load, not a wait for something
            with polled(server.url) as poll:
                with freeze:
                    crowd.to(server.url)
                    end = time.monotonic() + plan.frozen_seconds
                    said = condition(server)
                    time.sleep(max(0.0, end - time.monotonic()))  # the rest of the span for which it is frozen
                thawed = time.monotonic()
                crowd.finish()
                load.until(lambda: next(load.times(*GOOD, since=thawed), None), "it takes alerts again")
                # a span of load, in which nothing may be refused any more
                time.sleep(min(plan.frozen_seconds, BACK_SECONDS + WARM_SECONDS))
            load.finish()
    return [
        Invariant(drill, "its health says so meanwhile", said != "healthy", said),
        within(drill, "signs of life are apart", [poll.gap / 1000], GAP_SECONDS),
        *_seen(drill, load, crowd, thawed),
        *held(drill, load),
        *held(f"{drill}, crowd", crowd),
        *looked_at(drill, url, load.answered | crowd.answered),
    ]


def _many(ways: Access) -> Iterator[Delivery]:
    for number in itertools.count():
        names = [f"crowd {number} {n}" for n in range(MOST)]
        yield many(ways, "monitor", {name: {"title": f"crowd {number % PROBLEMS}"} for name in names})


def _seen(drill: str, load: Load, crowd: Load, thawed: float) -> Iterator[Invariant]:
    """Return what must hold of the answers while it is frozen, and after."""
    refused = sorted(one.ended - one.began for one in crowd.seen if one.status == UNAVAILABLE)
    yield Invariant(drill, "meanwhile 503 is answered", bool(refused), f"{len(refused):,} times")
    yield within(
        drill, "the queue is bounded: most are refused at once,", refused[: len(refused) // 2], AT_ONCE_SECONDS
    )
    late = next(load.times(*GOOD, since=thawed)) - thawed
    last = max([0.0, *(ended - thawed for ended in load.times(UNAVAILABLE, since=thawed))])
    yield within(drill, "2xx again after it goes on", [late], BACK_SECONDS)
    yield within(drill, "no 503 any more after it goes on", [last], BACK_SECONDS)
    broken = [*load.times(BROKEN), *crowd.times(BROKEN)]
    yield none_of(drill, "no request is left without an answer", broken, len(load.seen) + len(crowd.seen))
