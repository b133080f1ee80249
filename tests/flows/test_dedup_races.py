"""First-seen fingerprints under racing submitters: exactly one incident each, and no alert uncounted."""

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from uuid import UUID

import msgspec
import pytest

from tests.flows.tables import rows
from tests.untraced import untraced
from tests.world import World

KEYS = 1_000
PROCESSES = 8


async def submit(url: str, tenant_id: UUID, seeds_of: Sequence[Sequence[int]], batch: int) -> Counter[str]:
    """Run a process for each group of seeds and return what became of all alerts."""
    command = [sys.executable, "-m", "tests.flows.submitter", url, str(tenant_id), str(KEYS), str(batch)]
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    processes = [
        await asyncio.create_subprocess_exec(*command, *map(str, seeds), env=untraced(), **pipes) for seeds in seeds_of
    ]
    for process in processes:
        assert await process.stdout.readline() == b"ready\n"
    outputs = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert [process.returncode for process in processes] == [0] * len(processes)
    return sum((Counter(msgspec.json.decode(output)) for output, _ in outputs), Counter())


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("submitters", "batch"), [(2, 1), (8, 10), (32, 10)])
async def test_racing_submitters_leave_one_incident_a_fingerprint(world: World, submitters: int, batch: int) -> None:
    """Submitters share at most eight processes; SQLite has one a file: its submitters are that process's requests."""
    database, tenant_id = world.parts.database, (await world.units()).actor.tenant_id
    processes = 1 if database.is_sqlite else min(submitters, PROCESSES)
    seeds_of = [range(first, submitters, processes) for first in range(processes)]
    statuses = await submit(world.parts.settings.database_url, tenant_id, seeds_of, batch)

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
