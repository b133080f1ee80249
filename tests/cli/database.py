"""A look into a database from outside of the program."""

import asyncio
import sqlite3
from contextlib import closing
from typing import Any

import asyncpg

from incident_manager.clock import SystemClock
from incident_manager.db import Database
from incident_manager.settings import Settings
from incident_manager.start import prepare


def first_start(settings: Settings) -> None:
    """Make what a server's first start makes."""

    async def start() -> None:
        database = Database(settings.database_url, settings.database)
        await prepare(settings, database, SystemClock(), lambda _: None)
        await database.close()

    asyncio.run(start())


def rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Return what a statement finds, on either database."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            return connection.execute(statement).fetchall()
    return asyncio.run(_postgres_rows(url, statement))


async def _postgres_rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()
