"""Incident numbers: taken from the tenant in blocks, so that no two transactions wait for one counter."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import update

from incident_manager.db import Database, Session
from incident_manager.models.access import Tenant

BLOCK: Final = 32
LARGEST_BLOCK: Final = 2_048
QUICK: Final = timedelta(seconds=1)  # a block that lasts less is followed by one of twice its size


class _Stock:
    """A tenant's numbers in this process: `[next_number, end)`, of which `promised` are spoken for."""

    def __init__(self) -> None:
        self.next_number = 0
        self.end = 0
        self.promised = 0
        self.block = BLOCK
        self.taken_at = -QUICK.total_seconds()
        self.refill = asyncio.Lock()


class NumberPromise:
    """Numbers promised to one transaction. What it does not ask for stays in stock for the next one."""

    def __init__(self, stock: _Stock, count: int) -> None:
        self._stock: Final = stock
        self._taken: Final[list[int]] = []
        self._used = 0
        self.left = count

    def rewind(self) -> None:
        """Start anew: a transaction that is tried again uses the numbers of its first try."""
        self._used = 0

    def next(self) -> int:
        """Return the next number."""
        if self._used == len(self._taken):
            if not self.left:
                raise RuntimeError("more incident numbers asked for than were promised")
            self._taken.append(self._stock.next_number)
            self._stock.next_number += 1
            self._stock.promised -= 1
            self.left -= 1
        self._used += 1
        return self._taken[self._used - 1]


class IncidentNumbers:
    """Hands out ascending numbers. What a process leaves unused it gives back when it stops; a killed one leaves a gap."""

    def __init__(self, database: Database) -> None:
        self._database: Final = database
        self._stocks: Final[dict[UUID, _Stock]] = defaultdict(_Stock)

    @asynccontextmanager
    async def promise(self, tenant_id: UUID, count: int) -> AsyncIterator["NumberPromise"]:
        """Promise up to `count` numbers; before a transaction, never in one, where it would wait for a second connection."""
        stock = self._stocks[tenant_id]
        async with stock.refill:
            needed = stock.promised + count
            if stock.end - stock.next_number < needed:
                await self._take(tenant_id, stock, max(needed, self._block(stock)))
            stock.promised += count
        promise = NumberPromise(stock, count)
        try:
            yield promise
        finally:
            stock.promised -= promise.left

    async def give_back(self) -> None:
        """Return unused numbers where nobody took later ones meanwhile.

        Raises Unavailable where the database does not answer: they stay a gap.
        """
        for tenant_id, stock in self._stocks.items():
            if stock.next_number < stock.end:
                await self._database.transaction(_giving_back(tenant_id, stock), tenant_id=tenant_id)
                stock.next_number = stock.end

    def _block(self, stock: _Stock) -> int:
        """Return how many numbers to take next: few at rest, so that a kill leaves a small gap, and more in a storm."""
        now = asyncio.get_running_loop().time()
        lasted, stock.taken_at = now - stock.taken_at, now
        stock.block = min(2 * stock.block, LARGEST_BLOCK) if lasted < QUICK.total_seconds() else BLOCK
        return stock.block

    async def _take(self, tenant_id: UUID, stock: _Stock, count: int) -> None:
        async def take(session: Session) -> int:
            taken = await session.scalars(
                update(Tenant)
                .where(Tenant.id == tenant_id)
                .values(next_incident_number=Tenant.next_incident_number + count)
                .returning(Tenant.next_incident_number)
            )
            return taken.one()

        end = await self._database.transaction(take, tenant_id=tenant_id)
        if end - count != stock.end:  # another process took the numbers in between: ours would not ascend
            stock.next_number = end - count
        stock.end = end


def _giving_back(tenant_id: UUID, stock: _Stock) -> Callable[[Session], Awaitable[None]]:
    async def give(session: Session) -> None:
        await session.execute(
            update(Tenant)
            .where(Tenant.id == tenant_id, Tenant.next_incident_number == stock.end)
            .values(next_incident_number=stock.next_number)
        )

    return give
