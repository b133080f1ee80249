"""What is looked for before it is deleted is found by an index, and nobody waits for whoever deletes."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from incident_manager.db import Session
from incident_manager.ids import first_id, new_id
from incident_manager.models.alerts import Alert
from incident_manager.store import pruning
from tests.sql import plan, recording
from tests.store.test_plans import SCAN, SORT
from tests.world import START, World

Work = Callable[[Session], Awaitable[Any]]
HOUR = timedelta(hours=1)

ONE_TENANTS: list[Work] = [
    lambda session: pruning.list_oldest(session, after=None, below=first_id(START), limit=500),
    lambda session: pruning.list_oldest(session, after=new_id(), below=first_id(START), limit=500),
    lambda session: pruning.claim_oldest(session, after=new_id(), below=first_id(START), limit=500),
    lambda session: pruning.delete_alerts(session, [new_id() for _ in range(500)]),
]
ALL_TENANTS: list[Work] = [
    pruning.find_last_expiry,
    lambda session: pruning.list_claimed(session, below=first_id(START), since=START, until=START + HOUR),
    lambda session: pruning.delete_expired(session, before=START, limit=500),
    lambda session: pruning.count_expired(session, before=START),
]


async def plans(world: World, work: Work, *, of_tenant: bool) -> str:
    units = await world.units()
    with recording(world.parts.database) as statements:
        await world.parts.database.transaction(work, tenant_id=units.actor.tenant_id if of_tenant else None)
    assert statements
    return "\n".join([await plan(world.parts.database, *pair) for pair in statements])


@pytest.mark.parametrize("work", ONE_TENANTS)
async def test_a_tenants_old_alerts_are_found_by_an_index_in_its_order(world: World, work: Work) -> None:
    found = await plans(world, work, of_tenant=True)
    assert SCAN.findall(found) + SORT.findall(found) == []


@pytest.mark.parametrize("work", ALL_TENANTS)
async def test_claims_are_found_by_when_they_expire(world: World, work: Work) -> None:
    found = await plans(world, work, of_tenant=False)
    assert [line for line in SCAN.findall(found) if not line.endswith("SCAN due")] == []  # due: the batch itself
    assert "ix_idempotency_keys_expires" in found


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_an_alert_that_somebody_holds_is_passed_over_and_waited_for_by_nobody(world: World) -> None:
    held, free = [(await world.alert())["alert_id"] for _ in range(2)]
    database, units = world.parts.database, await world.units()
    below = first_id(START + timedelta(days=36_500))

    async def claim(session: Session) -> list[pruning.Old]:
        return await pruning.claim_oldest(session, after=None, below=below, limit=10)

    async with database.engine.connect() as other:
        await other.execute(sa.select(Alert.id).where(Alert.id == held).with_for_update())
        found = await database.transaction(claim, tenant_id=units.actor.tenant_id)
    assert [str(old.id) for old in found] == [free]
