"""The floor of everything that is durable: one upsert a transaction, by the raw driver, on one connection."""

import asyncio
import itertools
import os
import sqlite3
import statistics
import time
from contextlib import closing
from pathlib import Path

import asyncpg

from tests.bench.timing import ticks, timed

TABLE = "CREATE TABLE IF NOT EXISTS bench_floor (id TEXT PRIMARY KEY, seen INTEGER NOT NULL)"
UPSERT = "INSERT INTO bench_floor VALUES ({}, 1) ON CONFLICT (id) DO UPDATE SET seen = bench_floor.seen + 1"
KEYS = 1_000


def commit_ms(url: str, seconds: float) -> float:
    """Return the median of what one durable commit takes, in the database of an address, in milliseconds."""
    if url.startswith("sqlite"):
        return statistics.median(_sqlite(url.removeprefix("sqlite:///"), seconds))
    return statistics.median(asyncio.run(_postgres(url, seconds)))


def flush_ms(folder: Path, seconds: float) -> float:
    """Return the median of what it takes to write 4 KiB of a file and have them on the disk, in milliseconds."""
    path, block = folder / "flushed", b"x" * 4096
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)

    def write() -> None:
        os.pwrite(descriptor, block, 0)
        os.fdatasync(descriptor)

    try:
        return statistics.median(timed(write, seconds))
    finally:
        os.close(descriptor)
        path.unlink()


def _sqlite(path: str, seconds: float) -> list[float]:
    numbers = itertools.cycle(range(KEYS))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", TABLE):
            connection.execute(statement)
        upsert = UPSERT.format("?")
        return timed(lambda: connection.execute(upsert, (str(next(numbers)),)), seconds)


async def _postgres(url: str, seconds: float) -> list[float]:
    times = []
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(TABLE)
        upsert = await connection.prepare(UPSERT.format("$1"))
        for number, began in enumerate(ticks(seconds)):
            await upsert.fetch(str(number % KEYS))
            times.append((time.perf_counter() - began) * 1_000)
    finally:
        await connection.close()
    return times
