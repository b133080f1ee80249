"""Several processes over one PostgreSQL race for the same problems, without knowing of each other: one incident each."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.bench.engines import Engine
from tests.cli.database import rows
from tests.drill.deliveries import MOST, Delivery, many, one
from tests.drill.invariants import Invariant, none_of, skipped
from tests.drill.load import GOOD, Load, held
from tests.drill.plan import Plan
from tests.drill.servers import BATCH, Access, access, fleet
from tests.drill.stored import looked_at
from tests.make import alert

BATCHES = 0.02  # of the requests: about three alerts in ten
COUNTED = "SELECT title, count(*), sum(occurrences) FROM incidents GROUP BY title"
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


def run(plan: Plan) -> list[Invariant]:
    """Submit as many alerts as is wanted, about as many problems, then look into the database."""
    return [invariant for engine in plan.postgres for invariant in _on(engine, plan)]


def _on(engine: Engine, plan: Plan) -> Iterator[Invariant]:
    folder, drill, about = plan.folder / "contended", "contended", dict[str, str]()
    folder.mkdir()
    with engine.database(folder) as url:
        with fleet(folder, url, plan.processes) as servers:
            ways = access(folder, servers[0])
            with Load(_submits(ways, plan, about), clients=2 * plan.clients) as load:
                load.to(*(server.url for server in servers))
                load.run_out()
        if not ways.batches:
            yield skipped(drill, "batches race too", f"POST {BATCH} is not there")
        yield from held(drill, load)
        yield from _counted(drill, url, load, about)
        yield from looked_at(drill, url, load.answered)


def _submits(ways: Access, plan: Plan, about: dict[str, str]) -> Iterator[Delivery]:
    """Return deliveries of so many alerts, some one by one and some together; `about` takes the problem of each."""
    chosen = random.Random(plan.seed)
    while len(about) < plan.submits:
        together = ways.batches and chosen.random() < BATCHES
        first, count = len(about), min(MOST, plan.submits - len(about)) if together else 1
        new = {f"{first + number}": f"key {chosen.randrange(plan.keys)}" for number in range(count)}
        about |= new
        alerts = {name: alert(title=title) for name, title in new.items()}
        yield many(ways, "batch", alerts) if together else one(ways, *alerts.popitem())


def _counted(drill: str, url: str, load: Load, about: dict[str, str]) -> Iterator[Invariant]:
    """Hold what was answered, and what is stored, against what was submitted."""
    submitted = Counter(about.values())
    stored = {title: (incidents, int(occurrences)) for title, incidents, occurrences in rows(url, COUNTED)}
    opened, counts = Counter[str](), defaultdict[str, list[int]](list)
    for name, result in load.results.items():
        opened[about[name]] += result["status"] == "Accepted"
        counts[about[name]].append(result["occurrences"])
    none = (0, 0)
    wrong = {
        "a key has one incident": [title for title in submitted if stored.get(title, none)[0] != 1],
        "its occurrences are the alerts submitted": [
            title for title, count in submitted.items() if stored.get(title, none)[1] != count
        ],
        "one of its alerts is answered as the one that opened it": [title for title in submitted if opened[title] != 1],
        "each of them is answered a count of its own": [
            title for title, count in submitted.items() if sorted(counts[title]) != [*range(1, count + 1)]
        ],
    }
    yield from (none_of(drill, name, found, len(submitted)) for name, found in wrong.items())
    failed = [seen.status for seen in load.seen if seen.status not in GOOD]
    [(deadlocks,)] = rows(url, DEADLOCKS)
    yield none_of(drill, f"every request is answered with 2xx ({deadlocks} deadlocks inside)", failed, len(load.seen))
