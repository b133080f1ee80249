"""Engines, sessions, and `transaction()`: the only commit.

A session is bound to one tenant and adds the tenant to every statement on a table that has one; a statement that must see
more says so (`SEES_ALL_TENANTS`), and tests/house lists who does. On SQLite there is one writer connection, which begins
IMMEDIATE (a deferred transaction that turns writer fails when another one wrote), and readers that cannot write.
"""

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec
from loguru import logger
from sqlalchemy import URL, Connection, ForeignKey, event, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Mapped, ORMExecuteState, mapped_column, with_loader_criteria
from sqlalchemy.orm import Session as SyncSession
from sqlalchemy.pool import AsyncAdaptedQueuePool

from incident_manager.errors import Conflict, Unavailable
from incident_manager.settings import DatabaseSettings

T = TypeVar("T")

SEES_ALL_TENANTS: Final[Mapping[str, Any]] = {"sees_all_tenants": True}
ATTEMPTS: Final = 6
SQLITE_READERS: Final = 6
_RETRIED_STATES: Final = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected
_DOWN_STATES: Final = ("08", "57P", "53", "25006")  # connection, shutdown, out of resources, read-only
_SQLITE_DOWN: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
    }
)
_SQLITE_PRIMARY_CODE: Final = 0xFF


class TenantOwned:
    """Mixed into every table that belongs to a tenant: the first part of its primary key, and what sessions filter by."""

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True, sort_order=-2)


class Session(AsyncSession):
    """A session of one tenant, or of none for what comes before a tenant is known."""

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

    def __init__(self, url: str, settings: DatabaseSettings) -> None:
        self.url: Final = async_url(url)
        self.is_sqlite: Final = self.url.get_backend_name() == "sqlite"
        self._wait: Final = settings.wait_seconds
        self._write_turn: Final = asyncio.Lock()
        if self.is_sqlite:
            self.engine = _sqlite_engine(self.url, settings, "BEGIN IMMEDIATE", pool_size=1)
            self._readers = _sqlite_engine(self.url, settings, "BEGIN", pool_size=SQLITE_READERS)
        else:
            self.engine = self._readers = _postgresql_engine(self.url, settings)

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

        Raises Unavailable where the database does not answer, Conflict where a unique key is taken.
        """
        async with self._turn():
            return await self._repeat(self.engine, work, tenant_id, _commit)

    async def read(self, work: Work[T], *, tenant_id: UUID | None) -> T:
        """Run `work`, which only reads, in one transaction; on SQLite it cannot write. A lost connection is replaced.

        Raises Unavailable where the database does not answer.
        """
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
            if error.connection_invalidated or _state(error) in _RETRIED_STATES:
                raise _Again(type(error.orig).__name__) from error
            raise
        await finish(session)
        return result


async def _commit(session: Session) -> None:
    try:
        await session.commit()
    except DBAPIError as error:
        if _state(error) in _RETRIED_STATES:  # the database says that it rolled back; a lost connection says nothing
            raise _Again(type(error.orig).__name__) from error
        raise


async def _leave(_session: Session) -> None:
    """Write nothing: closing the session ends its transaction."""


class _Again(Exception):
    """The transaction was rolled back for a reason that may be gone by now."""


class _Translated:
    """Turn what a driver raises into this package's errors; what is a defect of ours stays what it is."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, IntegrityError):
            raise Conflict("the change collides with what was stored meanwhile") from error
        if isinstance(error, PoolTimeoutError):
            raise Unavailable("all database connections are in use; try again") from error
        if isinstance(error, DBAPIError) and is_down(error):
            logger.warning("database unavailable", error=type(error.orig).__name__, state=_state(error))
            raise Unavailable("the database does not answer; try again") from error
        if isinstance(error, OSError):  # asyncpg: connection refused, reset, name not found, time-out
            logger.warning("database unreachable", error=type(error).__name__)
            raise Unavailable("the database cannot be reached; try again") from error


def is_down(error: DBAPIError) -> bool:
    """Say whether an error is the database's condition and not the statement's fault."""
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return True
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return (code & _SQLITE_PRIMARY_CODE) in _SQLITE_DOWN
    state = _state(error)
    return state.startswith(_DOWN_STATES) or (isinstance(error, OperationalError) and not state)


def _state(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None) or "")


def async_url(url: str) -> URL:
    """Return the address with the async driver that its database takes."""
    parsed = make_url(url)
    driver = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}[parsed.get_backend_name()]
    return parsed.set(drivername=driver)


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
    )
    reads_only = begin == "BEGIN"

    @event.listens_for(engine.sync_engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the begin below is the only one
        connection.create_function("casefold", 1, _casefold, deterministic=True)
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

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _postgresql_engine(url: URL, settings: DatabaseSettings) -> AsyncEngine:
    return create_async_engine(
        url,
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=settings.wait_seconds,
        pool_pre_ping=False,  # a lost connection is retried in transaction(); a ping would cost each request a round trip
        pool_recycle=1800,
        json_serializer=_json_text,
        json_deserializer=msgspec.json.decode,
        connect_args={
            "timeout": min(settings.wait_seconds, 5),
            "command_timeout": settings.statement_seconds,
            "server_settings": {"application_name": "incident-manager", "timezone": "UTC", "jit": "off"},
        },
    )


def _casefold(text: str | None) -> str | None:
    return None if text is None else text.casefold()


@event.listens_for(SyncSession, "do_orm_execute")
def _bind_to_tenant(state: ORMExecuteState) -> None:
    """Add the tenant to every statement on a table that has one; refuse a session that has none."""
    if state.execution_options.get("sees_all_tenants") or state.is_column_load or state.is_relationship_load:
        return
    if state.is_insert or not any(issubclass(mapper.class_, TenantOwned) for mapper in state.all_mappers):
        return
    tenant_id = state.session.info.get("tenant_id")
    if tenant_id is None:
        raise RuntimeError("a statement on a tenant's table in a session without a tenant")
    state.statement = state.statement.options(
        with_loader_criteria(TenantOwned, lambda table: table.tenant_id == tenant_id, include_aliases=True)
    )
