"""Engines, sessions, and `transaction()`: the only commit.

A session is bound to one tenant and adds the tenant to every statement on a table that has one; a statement that must see
more says so (`SEES_ALL_TENANTS`), and tests/house lists who does. On SQLite there is one writer connection, which begins
IMMEDIATE (a deferred transaction that turns writer fails when another one wrote), and readers that cannot write. On
PostgreSQL the address is given to asyncpg as it is written, so that it means what libpq says (`?sslmode=require`).
"""

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Final, TypeVar, cast
from uuid import UUID

import asyncpg
import msgspec
from loguru import logger
from sqlalchemy import URL, Connection, ForeignKey, Table, event, make_url
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Mapped, ORMExecuteState, mapped_column, with_loader_criteria
from sqlalchemy.orm import Session as SyncSession
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool
from sqlalchemy.sql import visitors
from sqlalchemy.util.concurrency import in_greenlet

from incident_manager.errors import Conflict, Unavailable
from incident_manager.settings import DatabaseSettings
from incident_manager.telemetry import Telemetry, named

T = TypeVar("T")

SEES_ALL_TENANTS: Final[Mapping[str, Any]] = {"sees_all_tenants": True}
ATTEMPTS: Final = 6
SQLITE_READERS: Final = 6
_RETRIED_STATES: Final = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected
# connection, shutdown, out of resources, read-only, not let in any more, database gone
_DOWN_STATES: Final = ("08", "57P", "53", "25006", "28", "3D000")
_TAKEN: Final = frozenset(
    {
        *("23505", "23503", "23P01"),  # unique_violation, foreign_key_violation, exclusion_violation
        sqlite3.SQLITE_CONSTRAINT_UNIQUE,
        sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
        sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY,
    }
)
_SQLITE_DOWN: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PROTOCOL,
    }
)
_CONNECT_SECONDS: Final = 5
_SQLITE_PRIMARY_CODE: Final = 0xFF


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
        self._telemetry: Final = telemetry or Telemetry()
        if self.is_sqlite:
            self.engine = _sqlite_engine(self.url, settings, "BEGIN IMMEDIATE", pool_size=1)
            self._readers = _sqlite_engine(self.url, settings, "BEGIN", pool_size=SQLITE_READERS)
        else:
            self.engine = self._readers = _postgresql_engine(url, settings)
        self._working: Final = {self.engine: 0, self._readers: 0}
        for engine in self._working:
            self._measure(engine)

    async def close(self) -> None:
        """Close all connections."""
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
                return await self._repeat(self.engine, work, tenant_id, self._commit)

    async def read(self, work: Work[T], *, tenant_id: UUID | None) -> T:
        """Run `work`, which only reads, in one transaction; on SQLite it cannot write. A lost connection is replaced.

        Raises Unavailable where the database does not answer.
        """
        with self._counted(self._readers):
            return await self._repeat(self._readers, work, tenant_id, _leave)

    async def _repeat(self, engine: AsyncEngine, work: Work[T], tenant_id: UUID | None, finish: Work[None]) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with _Translated():
                    return await _attempt(engine, work, tenant_id, finish)
            except _Again as again:
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
            if _code(error) in _RETRIED_STATES:  # the database says that it rolled back; a lost connection says nothing
                raise _Again(type(error.orig).__name__) from error
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
            stale = isinstance(
                error.orig, AsyncAdapt_asyncpg_dbapi.InvalidCachedStatementError
            )  # by a migration elsewhere
            if error.connection_invalidated or stale or _code(error) in _RETRIED_STATES:
                raise _Again(type(error.orig).__name__) from error
            raise
        await finish(session)
        return result


async def _leave(_session: Session) -> None:
    """Write nothing: closing the session ends its transaction."""


class _Again(Exception):
    """The transaction was rolled back for a reason that may be gone by now."""


class _Translated:
    """Turn what a driver raises into this package's errors; what is a defect of ours stays what it is."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if (
            isinstance(error, IntegrityError) and _code(error) in _TAKEN
        ):  # a NULL or a value outside its set is a defect
            raise Conflict("the change collides with what was stored meanwhile") from error
        if isinstance(error, PoolTimeoutError):
            raise Unavailable("all database connections are in use; try again") from error
        if isinstance(error, DBAPIError) and is_down(error):
            logger.warning("database unavailable", error=type(error.orig).__name__, code=_code(error))
            raise Unavailable("the database does not answer; try again") from error
        if isinstance(error, OSError):  # asyncpg: connection refused, reset, name not found, time-out
            logger.warning("database unreachable", error=type(error).__name__)
            raise Unavailable("the database cannot be reached; try again") from error


def _pool(engine: AsyncEngine) -> AsyncAdaptedQueuePool:
    return cast("AsyncAdaptedQueuePool", engine.pool)


def is_down(error: DBAPIError) -> bool:
    """Say whether an error is the database's condition and not the statement's fault."""
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return True
    code = _code(error)
    if isinstance(code, int):
        return (code & _SQLITE_PRIMARY_CODE) in _SQLITE_DOWN
    return code.startswith(_DOWN_STATES) or (isinstance(error, OperationalError) and not code)


def _code(error: DBAPIError) -> int | str:
    """Return SQLite's extended result code, or PostgreSQL's SQLSTATE."""
    code: int | str | None = getattr(error.orig, "sqlite_errorcode", None)
    return code if code is not None else str(getattr(error.orig, "sqlstate", None) or "")


def async_url(url: str) -> URL:
    """Return the address with the async driver that its database takes."""
    parsed = make_url(url)
    driver = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}[parsed.get_backend_name()]
    return parsed.set(drivername=driver)


def bare_engine(url: str, **options: Any) -> AsyncEngine:
    """Return an engine that opens a connection each time it is asked and adds nothing to it: for what works on the schema."""
    parsed = async_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_async_engine(parsed, poolclass=NullPool, **options)
        event.listen(engine.sync_engine, "do_connect", _try_to_open)
        return engine
    connect = partial(asyncpg.connect, url, timeout=_CONNECT_SECONDS)
    return create_async_engine(parsed, poolclass=NullPool, async_creator=connect, **options)


def _json_text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _sqlite_engine(url: URL, settings: DatabaseSettings, begin: str, *, pool_size: int) -> AsyncEngine:
    engine = create_async_engine(
        url,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=settings.wait_seconds,
        json_serializer=_json_text,
        json_deserializer=msgspec.json.decode,
        connect_args={"timeout": settings.wait_seconds},
        hide_parameters=True,  # what a statement's error says is logged
    )
    reads_only = begin == "BEGIN"
    event.listen(engine.sync_engine, "do_connect", _try_to_open)

    @event.listens_for(engine.sync_engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the begin below is the only one
        cursor = connection.cursor()
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            f"busy_timeout = {settings.wait_seconds * 1000}",
            f"query_only = {'ON' if reads_only else 'OFF'}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "close")
    def _close(connection: Any, _record: object) -> None:
        # SQLite keeps a connection that is closed, and its transaction, until its last cursor is gone. A caller's that was
        # cancelled lives on in tracebacks: nobody could write any more. So what is open ends before the close.
        if in_greenlet():
            connection.rollback()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _try_to_open(_dialect: object, _record: object, arguments: Any, options: Any) -> None:
    """Fail here where a file cannot be opened: aiosqlite starts a thread first, and nobody waits for its end if that fails.

    It then tells a loop that may be closed by now, and prints a trace: after a start that was refused in one sentence.
    """
    sqlite3.connect(*arguments, **options).close()


def _postgresql_engine(url: str, settings: DatabaseSettings) -> AsyncEngine:
    connect = partial(
        asyncpg.connect,
        url,
        timeout=min(settings.wait_seconds, _CONNECT_SECONDS),
        command_timeout=settings.statement_seconds,
        server_settings={"application_name": "incident-manager", "timezone": "UTC", "jit": "off"},
    )
    return create_async_engine(
        async_url(url),
        async_creator=connect,
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=settings.wait_seconds,
        pool_pre_ping=False,  # a lost connection is retried in transaction(); a ping would cost each request a round trip
        pool_recycle=1800,
        hide_parameters=True,
        json_serializer=_json_text,
        json_deserializer=msgspec.json.decode,
    )


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
