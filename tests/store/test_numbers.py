"""Incident numbers: ascending, never twice, taken in blocks, given back at the end."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from incident_manager.db import Database, Session
from incident_manager.errors import Unavailable
from incident_manager.ids import new_id
from incident_manager.models.access import Tenant
from incident_manager.settings import Settings
from incident_manager.store.numbers import BLOCK, IncidentNumbers


@pytest.fixture
async def tenant_id(database: Database) -> UUID:
    return await make_tenant(database, "a")


@pytest.fixture
async def other_process(settings: Settings) -> AsyncIterator[IncidentNumbers]:
    """The numbers of another process: its own stock, its own connections."""
    database = Database(settings.database_url, settings.database)
    yield IncidentNumbers(database)
    await database.close()


async def make_tenant(database: Database, name: str) -> UUID:
    made = Tenant(id=new_id(), name=name, created_at=datetime.now(UTC), secret_fingerprint="f", next_incident_number=1)

    async def write(session: Session) -> None:
        session.add(made)

    await database.transaction(write, tenant_id=None)
    return made.id


async def take(numbers: IncidentNumbers, tenant_id: UUID, promised: int, used: int | None = None) -> list[int]:
    async with numbers.promise(tenant_id, promised) as promise:
        return [promise.next() for _ in range(promised if used is None else used)]


async def next_in_table(database: Database) -> int:
    return await database.read(lambda s: s.scalar(sa.select(Tenant.next_incident_number)), tenant_id=None)


async def test_numbers_begin_at_one_and_ascend_without_gaps(database: Database, tenant_id: UUID) -> None:
    numbers = IncidentNumbers(database)
    taken = [number for size in (1, 1, 40, 3, BLOCK, 1) for number in await take(numbers, tenant_id, size)]
    assert taken == list(range(1, len(taken) + 1))


async def test_a_block_is_taken_at_a_time(database: Database, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("incident_manager.store.numbers.QUICK", timedelta(0))
    numbers = IncidentNumbers(database)
    seen = []
    for size in (1, BLOCK - 1, 1, BLOCK * 3):
        await take(numbers, tenant_id, size)
        seen.append(await next_in_table(database))
    assert seen == [BLOCK + 1, BLOCK + 1, 2 * BLOCK + 1, 5 * BLOCK + 1]


async def test_in_a_storm_each_block_is_twice_the_last_up_to_a_bound(
    database: Database, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("incident_manager.store.numbers.QUICK", timedelta(days=1))
    numbers, before, sizes = IncidentNumbers(database), 1, []
    for _ in range(10):
        await take(numbers, tenant_id, numbers._stocks[tenant_id].end - numbers._stocks[tenant_id].next_number + 1)
        before, after = await next_in_table(database), before
        sizes.append(before - after)
    assert sizes == [32, 64, 128, 256, 512, 1024, 2048, 2048, 2048, 2048]


async def test_what_was_promised_and_not_used_goes_to_the_next(database: Database, tenant_id: UUID) -> None:
    numbers = IncidentNumbers(database)
    assert await take(numbers, tenant_id, 10, used=0) == []
    assert await take(numbers, tenant_id, 10, used=2) == [1, 2]
    assert await take(numbers, tenant_id, 1) == [3]


async def test_promises_that_nobody_uses_take_no_further_block(database: Database, tenant_id: UUID) -> None:
    numbers = IncidentNumbers(database)
    for _ in range(20):
        await take(numbers, tenant_id, 10, used=0)
    assert await next_in_table(database) == BLOCK + 1


async def test_what_a_failed_transaction_used_is_a_gap_and_what_it_did_not_use_is_none(
    database: Database, tenant_id: UUID
) -> None:
    numbers = IncidentNumbers(database)

    async def fail() -> None:
        async with numbers.promise(tenant_id, 5) as promise:
            promise.next()
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await take(numbers, tenant_id, 1) == [2]


async def test_a_transaction_that_is_tried_again_uses_the_same_numbers(database: Database, tenant_id: UUID) -> None:
    numbers = IncidentNumbers(database)
    async with numbers.promise(tenant_id, 3) as promise:
        first = [promise.next(), promise.next()]
        promise.rewind()
        assert [promise.next(), promise.next(), promise.next()] == [*first, 3]


async def test_more_than_was_promised_is_a_defect(database: Database, tenant_id: UUID) -> None:
    async with IncidentNumbers(database).promise(tenant_id, 1) as promise:
        promise.next()
        with pytest.raises(RuntimeError, match="more incident numbers"):
            promise.next()


async def test_promises_that_overlap_never_share_a_number(database: Database, tenant_id: UUID) -> None:
    numbers, meeting = IncidentNumbers(database), asyncio.Barrier(20)

    async def one(size: int) -> list[int]:
        async with numbers.promise(tenant_id, size) as promise:
            await meeting.wait()
            return [promise.next() for _ in range(size)]

    taken = [number for made in await asyncio.gather(*(one(size) for size in range(1, 21))) for number in made]
    assert len(set(taken)) == len(taken) == 210


async def test_two_processes_never_share_a_number_and_each_ascends(
    database: Database, tenant_id: UUID, other_process: IncidentNumbers
) -> None:
    ours = IncidentNumbers(database)
    mine, theirs = [], []
    for size in (1, 30, 5, 40, 2):
        mine += await take(ours, tenant_id, size)
        theirs += await take(other_process, tenant_id, size)
    assert (mine, theirs) == (sorted(mine), sorted(theirs))
    assert not set(mine) & set(theirs)


async def test_after_another_process_has_taken_numbers_ours_go_on_behind_them(
    database: Database, tenant_id: UUID, other_process: IncidentNumbers
) -> None:
    ours = IncidentNumbers(database)
    await take(ours, tenant_id, 1)
    [theirs] = await take(other_process, tenant_id, 1)
    assert min(await take(ours, tenant_id, BLOCK)) > theirs


async def test_each_tenant_has_numbers_of_its_own(database: Database, tenant_id: UUID) -> None:
    numbers, other = IncidentNumbers(database), await make_tenant(database, "b")
    assert [await take(numbers, each, 1) for each in (tenant_id, other, tenant_id)] == [[1], [1], [2]]


async def test_a_process_that_stops_gives_back_what_it_has_not_used(database: Database, tenant_id: UUID) -> None:
    numbers = IncidentNumbers(database)
    await take(numbers, tenant_id, 3)
    await numbers.give_back()
    assert await next_in_table(database) == 4
    assert await take(numbers, tenant_id, 1) == [4]


async def test_nothing_is_given_back_below_what_another_process_has_taken(
    database: Database, tenant_id: UUID, other_process: IncidentNumbers
) -> None:
    ours = IncidentNumbers(database)
    await take(ours, tenant_id, 3)
    await take(other_process, tenant_id, 1)
    await ours.give_back()
    assert await next_in_table(database) == 2 * BLOCK + 1


async def test_a_tenant_that_does_not_exist_gets_no_numbers(database: Database) -> None:
    with pytest.raises(sa.exc.NoResultFound):
        await take(IncidentNumbers(database), new_id(), 1)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_without_the_database_nothing_is_promised_or_given_back(
    settings: Settings, database: Database, tenant_id: UUID
) -> None:
    gone = Database("postgresql://127.0.0.1:1/n", settings.database)
    numbers = IncidentNumbers(database)
    await take(numbers, tenant_id, 1)
    numbers._database = gone
    with pytest.raises(Unavailable):
        await take(numbers, tenant_id, BLOCK)
    with pytest.raises(Unavailable):
        await numbers.give_back()
    await gone.close()
