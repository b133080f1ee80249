"""Transactions of prebuilt statements, past SQLAlchemy: what intake writes by, thousands of rows at a time.

Such a transaction is a generator: it yields statements, is sent the first value of each one's first row (a JSON text where it
asks for rows), and returns its result. So it is written once and runs on either database: awaited statement by statement on
PostgreSQL, and on SQLite as a whole in a thread of its own. There each call of the driver lets go of the interpreter's lock
and must get it back from a busy event loop, so few statements with many rows each, as one JSON text, beat many that are small
(154 rows a second by executemany beside a busy thread, 2,085 so).
"""

import asyncio
import sqlite3
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Final, Generic, NamedTuple, TypeVar

import asyncpg
from loguru import logger

from incident_manager.engines import (
    DRIVER_ERRORS,
    RETRIED_STATES,
    Again,
    code_of,
    is_worth_another_try,
    postgresql_connector,
    sqlite_pragmas,
)
from incident_manager.settings import DatabaseSettings
from incident_manager.telemetry import Telemetry

T = TypeVar("T")

# A prebuilt statement is planned once and the plan is kept, which saves more than it takes to run it. A plan of
# when the tables were small reads them whole, so plans are made anew once a second while there is work, for a thousandth of it.
PLANNING: Final = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}
REPLANNED_EVERY: Final = 1.0  # seconds
PARTING_SECONDS: Final = 1.0  # for the end of a transaction that failed, and of a connection
CHECKPOINT_EVERY: Final = 0.5  # seconds, while there are commits


class Statement(NamedTuple):
    """A statement with its parameters, all texts; `name` is the metrics' word for it."""

    name: str
    text: str
    parameters: tuple[str, ...] = ()


Steps = Generator[Statement, str | None, T]


class _End(NamedTuple, Generic[T]):
    """What a transaction returns, in the place of a further statement."""

    value: T


def _next(steps: Steps[T], answer: str | None) -> Statement | _End[T]:
    """Tell a transaction what its last statement answered, and return the next one, or its end."""
    try:
        return steps.send(answer)
    except StopIteration as end:
        return _End(end.value)


class SqliteWriter:
    """One connection, used by one thread; what it wrote is moved from the log into the file by another one, beside it."""

    def __init__(self, path: str, settings: DatabaseSettings, telemetry: Telemetry) -> None:
        self._path: Final = path
        self._settings: Final = settings
        self._telemetry: Final = telemetry
        self._thread: Final = ThreadPoolExecutor(1, thread_name_prefix="intake")
        self._tender: Final = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._connection: sqlite3.Connection | None = None
        self._tended: asyncio.Future[None] | None = None
        self._tended_at = 0.0

    async def run(self, steps: Callable[[], Steps[T]]) -> T:
        """Run a transaction and commit it; see `Database.run`."""
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(self._thread, self._transact, steps)
        if loop.time() - self._tended_at >= CHECKPOINT_EVERY and (self._tended is None or self._tended.done()):
            self._tended_at = loop.time()
            self._tended = loop.run_in_executor(self._tender, self._checkpoint)
        return result

    async def close(self) -> None:
        """Close the connection and end the threads."""
        if self._tended is not None:
            await self._tended
        if self._connection is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown(wait=False)
        self._tender.shutdown(wait=False)

    def _transact(self, steps: Callable[[], Steps[T]]) -> T:
        connection = self._connection = self._connection or self._open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = self._drive(connection, steps())
            with self._telemetry.commit():
                connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return result

    def _drive(self, connection: sqlite3.Connection, steps: Steps[T]) -> T:
        answer: str | None = None
        while True:
            statement = _next(steps, answer)
            if isinstance(statement, _End):
                ended: _End[T] = statement
                return ended.value
            began = perf_counter()
            rows = connection.execute(statement.text, statement.parameters).fetchall()
            self._telemetry.statement(statement.name, perf_counter() - began)
            answer = rows[0][0] if rows else None

    def _checkpoint(self) -> None:
        """Move what is committed into the file, without holding anybody up; if it fails, the next commits will try."""
        try:
            with closing(self._open()) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error as error:
            logger.warning("checkpoint failed", error=type(error).__name__, code=code_of(error))

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=self._settings.wait_seconds, isolation_level=None, check_same_thread=False
        )
        for pragma in sqlite_pragmas(self._settings):
            connection.execute(f"PRAGMA {pragma}")
        return connection


@dataclass(slots=True)
class _Held:
    """A connection, and when its statements were planned."""

    connection: asyncpg.Connection
    planned_at: float = 0.0

    def begin(self, now: float) -> str:
        """Return how a transaction begins."""
        if now - self.planned_at < REPLANNED_EVERY:
            return "BEGIN"
        self.planned_at = now
        return "BEGIN; DISCARD PLANS"


class PostgresqlWriters:
    """Connections that are opened as they are needed at once, and kept."""

    def __init__(self, url: str, settings: DatabaseSettings, telemetry: Telemetry) -> None:
        self._connect: Final = postgresql_connector(url, settings, **PLANNING)
        self._telemetry: Final = telemetry
        self._idle: Final[list[_Held]] = []

    async def run(self, steps: Callable[[], Steps[T]]) -> T:
        """Run a transaction and commit it; see `Database.run`."""
        held = self._idle.pop() if self._idle else _Held(await self._connect())
        connection = held.connection
        try:
            result = await self._transact(held, steps)
        except BaseException:
            if connection.is_in_transaction():
                connection.terminate()
            raise
        finally:
            if not connection.is_closed():
                self._idle.append(held)
        return result

    async def close(self) -> None:
        """Close all connections; one over which nobody answers is cut."""
        while self._idle:
            with suppress(TimeoutError):
                await self._idle.pop().connection.close(timeout=PARTING_SECONDS)

    async def _transact(self, held: _Held, steps: Callable[[], Steps[T]]) -> T:
        connection = held.connection
        try:
            await connection.execute(held.begin(asyncio.get_running_loop().time()))
            result = await self._drive(connection, steps())
        except BaseException as error:
            await _roll_back(connection)
            if isinstance(error, (*DRIVER_ERRORS, ConnectionError)) and is_worth_another_try(error):
                raise Again(type(error).__name__) from error
            raise
        try:
            with self._telemetry.commit():
                await connection.execute("COMMIT")
        except asyncpg.PostgresError as error:
            # The database says that it rolled back; a lost connection says nothing.
            if code_of(error) in RETRIED_STATES:
                raise Again(type(error).__name__) from error
            raise
        return result

    async def _drive(self, connection: asyncpg.Connection, steps: Steps[T]) -> T:
        answer: str | None = None
        while True:
            statement = _next(steps, answer)
            if isinstance(statement, _End):
                ended: _End[T] = statement
                return ended.value
            began = perf_counter()
            answer = await connection.fetchval(statement.text, *statement.parameters)
            self._telemetry.statement(statement.name, perf_counter() - began)


async def _roll_back(connection: asyncpg.Connection) -> None:
    """End a transaction that failed; a connection on which that cannot be done soon is given up."""
    try:
        if not connection.is_closed():
            await connection.execute("ROLLBACK", timeout=PARTING_SECONDS)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        connection.terminate()
