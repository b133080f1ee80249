"""How connections to either database are opened, and what the errors of their drivers mean.

On SQLite there is one writer connection, which begins IMMEDIATE (a deferred transaction that turns writer fails when another
one wrote), and readers that cannot write. On PostgreSQL the address is given to asyncpg as it is written, so that it means
what libpq says (`?sslmode=require`).
"""

import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import asyncpg
import msgspec
from loguru import logger
from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool
from sqlalchemy.util.concurrency import in_greenlet

from incident_manager.errors import Conflict, Unavailable
from incident_manager.settings import DatabaseSettings

BARE_ERRORS: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, sqlite3.Error)
DRIVER_ERRORS: Final = (DBAPIError, *BARE_ERRORS)
RETRIED_STATES: Final = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected
# connection, shutdown, out of resources, read-only, not let in any more, database gone
_DOWN_STATES: Final = ("08", "57P", "53", "25006", "28", "3D000")
_LOST_STATES: Final = ("08", "57P01", "57P02")  # connection, admin_shutdown, crash_shutdown
_STALE: Final = (
    AsyncAdapt_asyncpg_dbapi.InvalidCachedStatementError,
    asyncpg.exceptions.InvalidCachedStatementError,
    asyncpg.exceptions.OutdatedSchemaCacheError,
)
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
# Statements are short, so compiling them costs more than it brings. What a search finds is gathered as a set of rows: with the
# usual 4 MB it becomes a set of pages, each of which is looked through again (a common word: 770 ms instead of 48).
_SESSION: Final = {"jit": "off", "work_mem": "16MB"}
_SQLITE_PRIMARY_CODE: Final = 0xFF


class Again(Exception):
    """A transaction was rolled back for a reason that may be gone by now."""


class Translated:
    """Turns what a driver raises into this package's errors; what is a defect of ours stays what it is."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if _is_taken(error):  # a NULL or a value outside its set is a defect
            raise Conflict("the change collides with what was stored meanwhile") from error
        if isinstance(error, PoolTimeoutError):
            raise Unavailable("all database connections are in use; try again") from error
        if isinstance(error, DRIVER_ERRORS) and is_down(error):
            logger.warning("database unavailable", error=_kind(error), code=code_of(error))
            raise Unavailable("the database does not answer; try again") from error
        if isinstance(error, OSError):  # asyncpg: connection refused, reset, name not found, time-out
            logger.warning("database unreachable", error=type(error).__name__)
            raise Unavailable("the database cannot be reached; try again") from error


def is_down(error: BaseException) -> bool:
    """Say whether a driver's error, bare or as SQLAlchemy wraps it, is the database's condition and no statement's fault."""
    if isinstance(error, asyncpg.InterfaceError | InterfaceError) or _lost_connection(error):
        return True
    code = code_of(error)
    if isinstance(code, int):
        return (code & _SQLITE_PRIMARY_CODE) in _SQLITE_DOWN
    return code.startswith(_DOWN_STATES) or (isinstance(error, OperationalError) and not code)


def is_worth_another_try(error: BaseException) -> bool:
    """Say whether a transaction that was not yet told to commit may well pass if it is run again, at once.

    So after a deadlock or a serialisation failure, a connection that is gone, and a plan that a migration elsewhere made stale.
    """
    stale = isinstance(_bare(error), _STALE)
    return stale or _lost_connection(error) or code_of(error) in RETRIED_STATES


def code_of(error: BaseException) -> int | str:
    """Return SQLite's extended result code, or PostgreSQL's SQLSTATE; "" where there is neither."""
    bare = _bare(error)
    code: int | str | None = getattr(bare, "sqlite_errorcode", None)
    return code if code is not None else str(getattr(bare, "sqlstate", None) or "")


def _bare(error: BaseException) -> object:
    return error.orig if isinstance(error, DBAPIError) else error


def _kind(error: BaseException) -> str:
    return type(_bare(error)).__name__


def _is_taken(error: BaseException | None) -> bool:
    return isinstance(error, (IntegrityError, *BARE_ERRORS)) and code_of(error) in _TAKEN


def _lost_connection(error: BaseException) -> bool:
    if isinstance(error, DBAPIError):
        return error.connection_invalidated
    if isinstance(error, asyncpg.InterfaceError):
        return "connection is closed" in str(error)
    if isinstance(error, asyncpg.InternalClientError):  # it is still reading that the server ends the connection
        return True
    code = code_of(error)
    return isinstance(error, asyncpg.PostgresError) and isinstance(code, str) and code.startswith(_LOST_STATES)


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


def sqlite_pragmas(settings: DatabaseSettings) -> tuple[str, ...]:
    """Return what every connection to SQLite is told."""
    return (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "wal_autocheckpoint = 8000",
        f"busy_timeout = {settings.wait_seconds * 1000}",
    )


def sqlite_engine(url: URL, settings: DatabaseSettings, begin: str, *, pool_size: int) -> AsyncEngine:
    """Return an engine whose transactions begin with `begin`; with a bare BEGIN it cannot write."""
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
        for pragma in (*sqlite_pragmas(settings), f"query_only = {'ON' if reads_only else 'OFF'}"):
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


def postgresql_connector(
    url: str, settings: DatabaseSettings, **more: str
) -> Callable[[], Awaitable[asyncpg.Connection]]:
    """Return what opens a connection of asyncpg's own kind; `more` are settings of its session."""
    return partial(
        asyncpg.connect,
        url,
        timeout=min(settings.wait_seconds, _CONNECT_SECONDS),
        command_timeout=settings.statement_seconds,
        server_settings={"application_name": "incident-manager", "timezone": "UTC", **_SESSION, **more},
    )


def postgresql_engine(url: str, settings: DatabaseSettings) -> AsyncEngine:
    """Return the engine that sessions work on."""
    return create_async_engine(
        async_url(url),
        async_creator=postgresql_connector(url, settings),
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=settings.wait_seconds,
        pool_pre_ping=False,  # a lost connection is retried in transaction(); a ping would cost each request a round trip
        pool_recycle=1800,
        hide_parameters=True,
        json_serializer=_json_text,
        json_deserializer=msgspec.json.decode,
    )
