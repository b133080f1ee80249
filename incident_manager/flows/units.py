"""A unit of work: one session, one actor, one instant. Flows take it first and never commit; `Units` opens and commits it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Concatenate, ParamSpec, TypeVar
from uuid import UUID

from incident_manager.clock import Clock
from incident_manager.db import Database, Session
from incident_manager.errors import Conflict
from incident_manager.rules.access import Actor
from incident_manager.store import incidents as store
from incident_manager.store.rows import EntryRow

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Somebody does something, at one instant; `entries` collects what the timelines of incidents will tell of it."""

    actor: Actor
    now: datetime
    entries: list[EntryRow] = field(default_factory=list)

    @property
    def tenant_id(self) -> UUID:
        """The tenant it all happens in."""
        return self.actor.tenant_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit(Act):
    """What every flow needs; `now` is the same for everything that one request writes."""

    session: Session


@dataclass(frozen=True, slots=True)
class Units:
    """Opens units of work for one actor."""

    database: Database
    clock: Clock
    actor: Actor

    async def write(self, flow: Callable[Concatenate[Unit, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a flow in a transaction of its own and commit; it may run again after a deadlock, with the same `now`."""
        now = self.clock.now()

        async def work(session: Session) -> T:
            unit = Unit(session=session, actor=self.actor, now=now)
            result = await flow(unit, *args, **kwargs)
            if unit.entries:
                await session.flush()  # an incident before its timeline
                await store.insert_entries(session, unit.entries)
            return result

        return await self.database.transaction(work, tenant_id=self.actor.tenant_id)

    async def apply(self, flow: Callable[Concatenate[Unit, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a flow that creates or replaces; again where somebody else created it in between: then it replaces.

        Raises Conflict where that is not the cause.
        """
        try:
            return await self.write(flow, *args, **kwargs)
        except Conflict:
            return await self.write(flow, *args, **kwargs)

    async def read(self, flow: Callable[Concatenate[Unit, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a flow that only reads."""

        async def work(session: Session) -> T:
            return await flow(Unit(session=session, actor=self.actor, now=self.clock.now()), *args, **kwargs)

        return await self.database.read(work, tenant_id=self.actor.tenant_id)
