"""Submitters of a race in a process of their own: `python -m tests.flows.submitter URL TENANT KEYS BATCH SEED...`.

It says `ready` and waits for a line on standard input, so that all processes start together. Each seed is a submitter, a task
beside the others of its process, and submits every key once in an order of its own. What became of all is printed as JSON.
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
from incident_manager.flows.intake.line import Parcel
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
                units.actor,
                source="race",
                settings=settings,
                received_at=units.clock.now(),
            )
            for number in order[start : start + batch]
        ]
        parcel = Parcel(submissions, tenant_id=units.actor.tenant_id, received_at=units.clock.now())
        results = await intake.receive(parcel)
        statuses.update(str(result.answer.status) for result in results)
    return statuses


async def _main(url: str, tenant: str, keys: str, batch: str, *seeds: str) -> None:
    settings = load({"database.pool_size": 2})
    database = Database(url, settings.database)
    _say("ready")
    await asyncio.to_thread(sys.stdin.readline)
    intake = Intake(database, IncidentNumbers(database), settings.intake, timedelta(hours=24))
    actor = Actor(tenant_id=UUID(tenant), kind=ActorKind.COMMAND_LINE, name="submitter")
    units = Units(database, SystemClock(), actor)
    races = [race(units, intake, seed=int(seed), keys=int(keys), batch=int(batch)) for seed in seeds]
    statuses = sum(await asyncio.gather(*races), Counter[str]())
    await database.close()
    _say(msgspec.json.encode(statuses).decode())


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
