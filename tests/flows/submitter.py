"""One submitter of a race, also as a process of its own: `python -m tests.flows.submitter URL TENANT SEED KEYS BATCH`.

It says `ready`, waits for a line on standard input so that all start together, submits every key once in an order of its
own, and prints what became of them as JSON.
"""

import asyncio
import random
import sys
from collections import Counter
from datetime import timedelta
from uuid import UUID

import msgspec

from incident_manager.clock import SystemClock
from incident_manager.db import Database
from incident_manager.flows.intake.receive import Intake
from incident_manager.flows.intake.submissions import submit
from incident_manager.flows.units import Units
from incident_manager.rules.access import Actor, ActorKind
from incident_manager.schemas.alerts import AlertFields
from incident_manager.settings import load
from incident_manager.store.numbers import IncidentNumbers


async def race(units: Units, intake: Intake, *, seed: int, keys: int, batch: int) -> Counter[str]:
    """Submit all keys in a shuffled order, `batch` a transaction, and count the answers by status."""
    order = list(range(keys))
    random.Random(seed).shuffle(order)
    settings = load().dedup
    statuses: Counter[str] = Counter()
    for start in range(0, keys, batch):
        submissions = [
            submit(
                AlertFields(title=f"problem {number}"),
                source="race",
                settings=settings,
                received_at=units.clock.now(),
            )
            for number in order[start : start + batch]
        ]
        results = await intake.receive(units, submissions)
        statuses.update(str(result.answer.status) for result in results)
    return statuses


def units_of(database: Database, tenant_id: UUID) -> Units:
    actor = Actor(tenant_id=tenant_id, kind=ActorKind.COMMAND_LINE, name="submitter")
    return Units(database, SystemClock(), actor)


async def _main(url: str, tenant: str, seed: str, keys: str, batch: str) -> None:
    database = Database(url, load({"database.pool_size": 2}).database)
    _say("ready")
    await asyncio.to_thread(sys.stdin.readline)
    intake = Intake(IncidentNumbers(database), timedelta(hours=24))
    statuses = await race(units_of(database, UUID(tenant)), intake, seed=int(seed), keys=int(keys), batch=int(batch))
    await database.close()
    _say(msgspec.json.encode(statuses).decode())


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
