"""A store as large as years make it, in minutes: the service writes one incident, and one statement a table copies it.

So every column holds what the service writes there; what tells rows apart, and how often each value occurs, is in `shapes`.
Indexes and keys are taken away first and made again, from what the database says of them, when the rows are there; SQLite's
triggers stay, and fill what is searched.
"""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

import asyncpg

from tests.bench.shapes import Rows, Shape, Words

ALERTS_EACH = 10
LONG = 100_000  # alerts of the oldest incident, and entries of the next one's timeline

_SQLITE_FAST = ("journal_mode = OFF", "synchronous = OFF", "foreign_keys = OFF", "cache_size = -1000000", "threads = 2")


class Large(NamedTuple):
    """How much there is: `long` alerts of one incident, and as many entries in another one's timeline."""

    incidents: int
    alerts: int
    long: int

    def __str__(self) -> str:
        return f"{self.incidents:,} incidents, {self.alerts:,} alerts"


def sized(incidents: int) -> Large:
    """Return what stands beside so many incidents."""
    alerts = incidents * ALERTS_EACH
    return Large(incidents, alerts, min(LONG, alerts // 10))


def enlarge(url: str, size: Large) -> None:
    """Copy the one incident of a database, which nobody else uses meanwhile, until there is so much; statistics are taken."""
    if url.startswith("sqlite"):
        _enlarge_sqlite(url.removeprefix("sqlite:///"), size)
    else:
        asyncio.run(_enlarge_postgresql(url, size))


def _enlarge_sqlite(path: str, size: Large) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in _SQLITE_FAST:
            connection.execute(f"PRAGMA {pragma}")
        taken = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
            " AND tbl_name IN ('incidents', 'alerts', 'timeline', 'dedup_keys')"
        ).fetchall()
        connection.execute("BEGIN")
        for name, _ in taken:
            connection.execute(f"DROP INDEX {name}")
        rows = Rows(Shape(*size, int(time.time())), Words(on_sqlite=True))
        for statement in (*rows.statements(), *(sql for _, sql in taken)):
            connection.execute(statement)
        connection.execute("COMMIT")
        for statement in ("ANALYZE", "PRAGMA journal_mode = WAL", "PRAGMA wal_checkpoint(TRUNCATE)"):
            connection.execute(statement).fetchall()


async def _enlarge_postgresql(url: str, size: Large) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET maintenance_work_mem = '1GB'; SET jit = off; SET synchronous_commit = off")
        taken = await connection.fetch(_CONSTRAINTS), await connection.fetch(_INDEXES)
        for table, name, _ in reversed(taken[0]):
            await connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        for name, _ in taken[1]:
            await connection.execute(f"DROP INDEX {name}")
        rows = Rows(Shape(*size, int(time.time())), Words(on_sqlite=False))
        for statement in (*rows.statements(), *_made_again(*taken), "VACUUM ANALYZE", "CHECKPOINT"):
            await connection.execute(statement)
    finally:
        await connection.close()


# primary and unique keys before the foreign keys that need them
_CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE contype IN ('p', 'u', 'f') AND (
    conrelid IN ('incidents'::regclass, 'alerts'::regclass, 'timeline'::regclass, 'dedup_keys'::regclass)
    OR confrelid IN ('incidents'::regclass, 'alerts'::regclass)
) ORDER BY contype = 'f'
"""
_INDEXES = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
WHERE indrelid IN ('incidents'::regclass, 'alerts'::regclass, 'timeline'::regclass, 'dedup_keys'::regclass)
AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""


def _made_again(constraints: list[asyncpg.Record], indexes: list[asyncpg.Record]) -> Iterator[str]:
    for table, name, definition in constraints:
        yield f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}"
    for _, definition in indexes:
        yield definition
