"""A service that has lost its database: SQLite's file is no file any more, PostgreSQL's server is out of reach."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from incident_manager.settings import Settings
from tests.world import World, running


@asynccontextmanager
async def cut_off(settings: Settings) -> AsyncIterator[World]:
    """A service that has taken an alert in, and whose database has gone since."""
    if settings.database_url.startswith("sqlite"):
        async with running(settings) as world:
            await world.alert()
            for engine in (world.parts.database.engine, world.parts.database._readers):
                await engine.dispose()
            await _close(world.parts.database._direct)
            _replace_by_a_folder(Path(settings.database_url.removeprefix("sqlite:///")))
            yield world
        return
    async with relay(settings.database_url) as (url, stop):
        relayed = msgspec.structs.replace(settings, database=msgspec.structs.replace(settings.database, url=url))
        async with running(relayed) as world:
            await world.alert()
            stop()
            yield world


@asynccontextmanager
async def relay(url: str) -> AsyncIterator[tuple[str, Callable[[], None]]]:
    """Stand between a service and PostgreSQL until told to stop; then nobody answers any more."""
    parts = urlsplit(url)
    folder = parse_qs(parts.query).get("host", [""])[0]
    writers: list[asyncio.StreamWriter] = []

    def connect() -> Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        port = parts.port or 5432
        if folder:
            return asyncio.open_unix_connection(f"{folder}/.s.PGSQL.{port}")
        return asyncio.open_connection(parts.hostname, port)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await connect()
        writers.extend((writer, forth))
        async with asyncio.TaskGroup() as group:
            group.create_task(_pump(reader, forth))
            group.create_task(_pump(back, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)

    def stop() -> None:
        server.close()
        for writer in writers:
            writer.transport.abort()

    user = parts.netloc.rpartition("@")[0] or "postgres"
    yield f"postgresql://{user}@127.0.0.1:{server.sockets[0].getsockname()[1]}{parts.path}", stop
    stop()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()


async def _close(direct: Any) -> None:
    """Close intake's connection, to be opened anew by whoever needs it."""
    await asyncio.get_running_loop().run_in_executor(direct._thread, direct._connection.close)
    direct._connection = None


def _replace_by_a_folder(file: Path) -> None:
    for beside in file.parent.glob(f"{file.name}*"):
        beside.unlink()
    file.mkdir()
