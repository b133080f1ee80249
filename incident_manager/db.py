"""Sessions, and the ways to a commit: `transaction()` of a session's work, `run()` of prebuilt statements.

A session is bound to one tenant and adds the tenant to every statement on a table that has one; a statement that must see
more says so (`SEES_ALL_TENANTS`), and tests/house lists who does.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TypeVar, cast
from uuid import UUID

from loguru import logger
from sqlalchemy import ForeignKey, Table, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Mapped, ORMExecuteState, mapped_column, with_loader_criteria
from sqlalchemy.orm import Session as SyncSession
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.sql import visitors

from incident_manager.direct import PostgresqlWriters, SqliteWriter, Steps
from incident_manager.engines import (
    RETRIED_STATES,
    Again,
    Translated,
    async_url,
    code_of,
    is_worth_another_try,
    postgresql_engine,
    sqlite_engine,
)
from incident_manager.errors import Unavailable
from incident_manager.settings import DatabaseSettings
from incident_manager.telemetry import Telemetry, named

T = TypeVar("T")

SEES_ALL_TENANTS: Final[Mapping[str, Any]] = {"sees_all_tenants": True}
ATTEMPTS: Final = 6
SQLITE_READERS: Final = 6
LOOKS: Final = 2_000  # at once
CLOSE_SECONDS: Final = 1.0  # for looks that are under way at the end


class TenantOwned:
    """Mixed into every table that belongs to a tenant: the first part of its primary key, and what sessions filter by."""

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True, sort_order=-2)


class Session(AsyncSession):
    """A session of one tenant, or of none for what comes before a tenant is known."""

    execute = named(AsyncSession.execute)
    scalars = named(AsyncSession.scalars)
    scalar = named(AsyncSession.scalar)  # type: ignore[assignment, arg-type] # mypy takes its overloads for others

    @property
    def tenant_id(self) -> UUID:
        """The tenant this session is bound to."""
        tenant_id: UUID = self.sync_session.info["tenant_id"]
        return tenant_id

    @property
    def on_sqlite(self) -> bool:
        """Whether SQLite answers; PostgreSQL otherwise."""
        return self.get_bind().dialect.name == "sqlite"


Work = Callable[[Session], Awaitable[T]]


class Database:
    """The engines of one database and the ways to use them."""

    def __init__(self, url: str, settings: DatabaseSettings, telemetry: Telemetry | None = None) -> None:
        self.url: Final = async_url(url)
        self.is_sqlite: Final = self.url.get_backend_name() == "sqlite"
        self._wait: Final = settings.wait_seconds
        self._write_turn: Final = asyncio.Lock()
        self._looks: Final[set[asyncio.Task[Any]]] = set()
        self._telemetry: Final = telemetry or Telemetry()
        if self.is_sqlite:
            self.engine = sqlite_engine(self.url, settings, "BEGIN IMMEDIATE", pool_size=1)
            self._readers = sqlite_engine(self.url, settings, "BEGIN", pool_size=SQLITE_READERS)
            self._direct: SqliteWriter | PostgresqlWriters = SqliteWriter(
                self.url.database or "", settings, self._telemetry
            )
        else:
            self.engine = self._readers = postgresql_engine(url, settings)
            self._direct = PostgresqlWriters(url, settings, self._telemetry)
        self._working: Final = {self.engine: 0, self._readers: 0}
        for engine in self._working:
            self._measure(engine)

    async def close(self) -> None:
        """Close all connections."""
        if self._looks:
            await asyncio.wait(self._looks, timeout=CLOSE_SECONDS)
        await self._direct.close()
        await self.engine.dispose()
        await self._readers.dispose()

    async def transaction(self, work: Work[T], *, tenant_id: UUID | None) -> T:
        """Run `work` in one write transaction, commit, and return its result.

        1. A deadlock, a serialisation failure, or a connection lost before the commit was sent: rolled back, `work` runs
           again, up to ATTEMPTS times; so `work` must do nothing but use its session.
        2. A connection lost while committing is not retried: it may have committed. The caller is told 503 and finds out
           by its idempotency key.

        Raises Unavailable where the database does not answer, Conflict where a unique key is taken or a reference is gone.
        """
        with self._counted(self.engine):
            async with self._turn():
                return await self._repeat(lambda: _attempt(self.engine, work, tenant_id, self._commit))

    async def run(self, steps: Callable[[], Steps[T]]) -> T:
        """Run prebuilt statements in one write transaction, commit, and return what the generator returns.

        What `transaction` says of repeats and errors holds here; `steps` makes a fresh generator for each try. Its statements
        are bound to no tenant: the tenant is a column of the rows that they are given.
        """
        async with self._turn():
            return await self._repeat(lambda: self._direct.run(steps))

    async def read(self, work: Work[T], *, tenant_id: UUID | None) -> T:
        """Run `work`, which only reads, in one transaction; on SQLite it cannot write. A lost connection is replaced.

        Raises Unavailable where the database does not answer.
        """
        with self._counted(self._readers):
            return await self._repeat(lambda: _attempt(self._readers, work, tenant_id, _leave))

    async def look_up(self, work: Work[T], *, seconds: float) -> T:
        """Run a short `read` that sees no tenant, `in_time`: for what comes before all else of a request."""
        return await self.in_time(self.read(work, tenant_id=None), seconds)

    async def in_time(self, asked: Coroutine[Any, Any, T], seconds: float) -> T:
        """Wait for something that is asked of this database, but not for long: callers of one that hangs must not pile up.

        It goes on by itself until it ends, since to cancel it would hang as it does.

        Raises Unavailable after so many seconds, and at once where LOOKS are under way.
        """
        if len(self._looks) >= LOOKS:
            asked.close()
            raise Unavailable("too many wait for the database; try again")
        looking = asyncio.create_task(asked)
        self._looks.add(looking)
        looking.add_done_callback(self._heard)
        done, _ = await asyncio.wait({looking}, timeout=seconds)
        if not done:
            raise Unavailable("the database takes too long; try again")
        return looking.result()

    def _heard(self, looking: asyncio.Task[Any]) -> None:
        """Hear what became of a look, also where nobody waits for it any more."""
        self._looks.discard(looking)
        if not looking.cancelled():
            looking.exception()

    async def _repeat(self, attempted: Callable[[], Awaitable[T]]) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with Translated():
                    return await attempted()
            except Again as again:
                if attempt == ATTEMPTS:
                    raise Unavailable("the database is too busy; try again") from again.__cause__
                logger.debug("transaction repeated", attempt=attempt, reason=str(again))
                await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311 - spreads retries, hides nothing
        raise AssertionError

    async def _commit(self, session: Session) -> None:
        try:
            with self._telemetry.commit():
                await session.commit()
        except DBAPIError as error:
            if (
                code_of(error) in RETRIED_STATES
            ):  # the database says that it rolled back; a lost connection says nothing
                raise Again(type(error.orig).__name__) from error
            raise

    @contextmanager
    def _counted(self, engine: AsyncEngine) -> Iterator[None]:
        self._working[engine] += 1
        try:
            yield
        finally:
            self._working[engine] -= 1

    def _measure(self, engine: AsyncEngine) -> None:
        """Let the metrics see an engine's statements and its pool; who works and has no connection waits for one."""
        name = "shared" if engine is self.engine is self._readers else "writer" if engine is self.engine else "readers"
        self._telemetry.pool(name, lambda: (_pool(engine).size(), _pool(engine).checkedout(), self._working[engine]))
        event.listen(engine.sync_engine, "before_cursor_execute", self._telemetry.statement_begins)
        event.listen(engine.sync_engine, "after_cursor_execute", self._telemetry.statement_ends)
        event.listen(engine.sync_engine, "handle_error", self._telemetry.statement_fails)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Let this process's writers queue fairly for SQLite's one writer; its own busy wait is a lottery."""
        if not self.is_sqlite:
            yield
            return
        try:
            async with asyncio.timeout(self._wait):
                await self._write_turn.acquire()
        except TimeoutError as error:
            raise Unavailable("the database's writer is busy; try again") from error
        try:
            yield
        finally:
            self._write_turn.release()


async def _attempt(engine: AsyncEngine, work: Work[T], tenant_id: UUID | None, finish: Work[None]) -> T:
    async with Session(engine, expire_on_commit=False, info={"tenant_id": tenant_id}) as session:
        try:
            result = await work(session)
            await session.flush()
        except DBAPIError as error:
            if is_worth_another_try(error):
                raise Again(type(error.orig).__name__) from error
            raise
        await finish(session)
        return result


async def _leave(_session: Session) -> None:
    """Write nothing: closing the session ends its transaction."""


def _pool(engine: AsyncEngine) -> AsyncAdaptedQueuePool:
    return cast("AsyncAdaptedQueuePool", engine.pool)


@event.listens_for(SyncSession, "do_orm_execute")
def _bind_to_tenant(state: ORMExecuteState) -> None:
    """Add the tenant to whatever a statement takes from a table that has one, in joins, sub-selects and counts too.

    Raises RuntimeError where that cannot be done: the session has no tenant, the statement does not go through the models, or
    a row that is inserted is another tenant's.
    """
    if state.execution_options.get("sees_all_tenants") or state.is_column_load or state.is_relationship_load:
        return
    tenant_id = state.session.info.get("tenant_id")
    if tenant_id is None or not state.is_orm_statement:
        if _touches_tenants(state.statement):
            lacking = "in a session without a tenant" if tenant_id is None else "that does not go through its model"
            raise RuntimeError(f"a statement on a tenant's table {lacking}")
    elif state.is_insert:
        _check_rows(state, tenant_id)
    else:
        state.statement = state.statement.options(
            with_loader_criteria(TenantOwned, lambda table: table.tenant_id == tenant_id, include_aliases=True)
        )


@event.listens_for(SyncSession, "before_flush")
def _check_new(session: SyncSession, _context: object, _instances: object) -> None:
    tenant_id = session.info.get("tenant_id")
    if any(isinstance(new, TenantOwned) and new.tenant_id != tenant_id for new in session.new):
        raise RuntimeError("a row of another tenant than the session's")


def _check_rows(state: ORMExecuteState, tenant_id: UUID) -> None:
    if not any(issubclass(mapper.class_, TenantOwned) for mapper in state.all_mappers):
        return
    rows = [state.parameters] if isinstance(state.parameters, Mapping) else state.parameters or ()
    if not rows or any(row.get("tenant_id") != tenant_id for row in rows):
        raise RuntimeError("rows that are inserted name the session's tenant, as parameters")


def _touches_tenants(statement: Any) -> bool:
    tables = (getattr(part, "table", part) for part in visitors.iterate(statement))
    return any(isinstance(table, Table) and "tenant_id" in table.c for table in tables)
