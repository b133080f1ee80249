"""A service whose database is there and does not answer: PostgreSQL's packets stop, SQLite's file is another's alone."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from urllib.parse import parse_qs, urlsplit

import msgspec

from incident_manager.settings import Settings
from tests.world import World, running


@asynccontextmanager
async def stalled(settings: Settings) -> AsyncIterator[tuple[World, Callable[[], None]]]:
    """A service whose database has stopped answering until told to go on, at the end at the latest, or nothing could close."""
    if settings.database_url.startswith("sqlite"):
        async with running(settings) as world:
            for engine in (world.parts.database.engine, world.parts.database._readers):
                await engine.dispose()
            with closing(
                sqlite3.connect(settings.database_url.removeprefix("sqlite:///"), isolation_level=None)
            ) as other:
                other.execute("PRAGMA locking_mode = EXCLUSIVE")  # with it, WAL keeps readers out as well
                other.execute("BEGIN EXCLUSIVE")
                yield world, other.close
        return
    async with _relay(settings.database_url) as (url, flowing):
        relayed = msgspec.structs.replace(settings, database=msgspec.structs.replace(settings.database, url=url))
        async with running(relayed) as world:
            flowing.clear()
            try:
                yield world, flowing.set
            finally:
                flowing.set()


@asynccontextmanager
async def _relay(url: str) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Stand between a service and PostgreSQL; connections stay open, and bytes pass while the event is set."""
    parts, flowing = urlsplit(url), asyncio.Event()
    folder, port = parse_qs(parts.query).get("host", [""])[0], parts.port or 5432
    flowing.set()
    open_writers: list[asyncio.StreamWriter] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_writers.append(writer)
        while data := await reader.read(65_536):
            await flowing.wait()
            writer.write(data)
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened = asyncio.open_unix_connection(f"{folder}/.s.PGSQL.{port}") if folder else None
        back, forth = await (opened or asyncio.open_connection(parts.hostname, port))
        await asyncio.gather(pump(reader, forth), pump(back, writer), return_exceptions=True)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    user = parts.netloc.rpartition("@")[0] or "postgres"
    yield f"postgresql://{user}@127.0.0.1:{server.sockets[0].getsockname()[1]}{parts.path}", flowing
    server.close()
    for writer in open_writers:
        writer.transport.abort()
