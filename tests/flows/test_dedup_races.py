"""First-seen fingerprints under racing submitters: exactly one incident each, and no alert uncounted."""

import asyncio
import sys
from collections import Counter
from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from incident_manager.db import Database
from incident_manager.flows.intake.receive import Intake
from incident_manager.store.numbers import IncidentNumbers
from tests.flows.submitter import race, units_of
from tests.flows.tables import rows
from tests.world import World

KEYS = 1_000


async def in_tasks(database: Database, tenant_id: UUID, submitters: int, batch: int) -> Counter[str]:
    """SQLite has one server process a file: its submitters are that process's requests."""
    intake = Intake(IncidentNumbers(database), timedelta(hours=24))
    units = units_of(database, tenant_id)
    races = [race(units, intake, seed=seed, keys=KEYS, batch=batch) for seed in range(submitters)]
    return sum(await asyncio.gather(*races), Counter())


async def in_processes(url: str, tenant_id: UUID, submitters: int, batch: int) -> Counter[str]:
    command = [sys.executable, "-m", "tests.flows.submitter", url, str(tenant_id)]
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    processes = [
        await asyncio.create_subprocess_exec(*command, str(seed), str(KEYS), str(batch), **pipes)
        for seed in range(submitters)
    ]
    for process in processes:
        assert await process.stdout.readline() == b"ready\n"
    outputs = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert [process.returncode for process in processes] == [0] * submitters
    return sum((Counter(msgspec.json.decode(output)) for output, _ in outputs), Counter())


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("submitters", "batch"), [(2, 1), (8, 10), (32, 10)])
async def test_racing_submitters_leave_one_incident_a_fingerprint(world: World, submitters: int, batch: int) -> None:
    tenant_id = (await world.units()).actor.tenant_id
    database = world.parts.database
    if database.is_sqlite:
        statuses = await in_tasks(database, tenant_id, submitters, batch)
    else:
        statuses = await in_processes(world.parts.settings.database_url, tenant_id, submitters, batch)

    incidents = await rows(database, "SELECT fingerprint, number, occurrences, timeline_length FROM incidents")
    assert statuses == {"Accepted": KEYS, "Duplicate": KEYS * (submitters - 1)}
    assert len({incident.fingerprint for incident in incidents}) == len(incidents) == KEYS
    assert len({incident.number for incident in incidents}) == KEYS
    assert {incident.occurrences for incident in incidents} == {submitters}
    assert {incident.timeline_length for incident in incidents} == {2}
    counted = await rows(database, "SELECT count(*) AS n, count(DISTINCT incident_id) AS i FROM alerts")
    assert (counted[0].n, counted[0].i) == (KEYS * submitters, KEYS)
    keys = await rows(database, "SELECT DISTINCT occurrences, open FROM dedup_keys")
    assert [(key.occurrences, bool(key.open)) for key in keys] == [(submitters, True)]
