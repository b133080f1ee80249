"""The same question to the service, over HTTP, and to its database, by the raw driver: how long each takes."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from incident_manager.settings import load as load_settings
from tests.bench.servers import Served
from tests.bench.timing import ticks, timed
from tests.sql import recording
from tests.world import running

Statements = list[tuple[str, Any]]


class Request(NamedTuple):
    """What is asked; a body makes it a POST."""

    path: str
    body: dict[str, Any] | None = None

    @property
    def method(self) -> str:
        return "GET" if self.body is None else "POST"


def answer(served: Served, request: Request) -> Any:
    """Return what the service answers to one request.

    Raises SystemExit where that is no 2xx.
    """
    with closing(HTTPConnection(urlsplit(served.url).netloc)) as connection:
        return json.loads(_ask(connection, served.key, request))


def over_http(served: Served, requests: Iterable[Request], seconds: float) -> list[float]:
    """Return the milliseconds of each request, one after the other on one connection, until the time is over."""
    following = iter(requests)
    with closing(HTTPConnection(urlsplit(served.url).netloc)) as connection:
        return timed(lambda: _ask(connection, served.key, next(following)), seconds)


def _ask(connection: HTTPConnection, key: str, request: Request) -> bytes:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    body = None if request.body is None else json.dumps(request.body)
    connection.request(request.method, request.path, body, headers)
    answered = connection.getresponse()
    text = answered.read()
    if answered.status >= HTTPStatus.MULTIPLE_CHOICES:
        raise SystemExit(f"{request.method} {request.path} is answered {answered.status}: {text.decode()}")
    return text


async def statements(url: str, folder: Path, request: Request) -> Statements:
    """Return what the service sends to its database for a request: asked of a second one, in this process.

    What it writes is rolled back, so that it can be run again as it is.
    """
    settings = load_settings({"database.url": url, "server.data_dir": str(folder / "data")})
    async with running(settings) as world:
        await world.get("/v1/incidents", page_size=1)  # the first use of a key notes that it is used
        world.parts.database._commit = AsyncSession.rollback
        with recording(world.parts.database) as found:
            answered = await world.http.request(request.method, request.path, json=request.body)
        if not answered.is_success:
            raise SystemExit(f"{request.path} is answered {answered.status_code}: {answered.text}")
    return found


def by_driver(url: str, found: Statements, seconds: float) -> list[float]:
    """Return the milliseconds of the statements together, again and again in a transaction that is rolled back."""
    if url.startswith("sqlite"):
        return _sqlite(url.removeprefix("sqlite:///"), found, seconds)
    return asyncio.run(_postgres(url, found, seconds))


def _sqlite(path: str, found: Statements, seconds: float) -> list[float]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:

        def ask() -> None:
            connection.execute("BEGIN")
            for statement, values in found:
                connection.execute(statement, values).fetchall()
            connection.execute("ROLLBACK")

        return timed(ask, seconds)


async def _postgres(url: str, found: Statements, seconds: float) -> list[float]:
    connection = await asyncpg.connect(url, server_settings={"jit": "off"})
    times = []
    try:
        for began in ticks(seconds):
            transaction = connection.transaction()
            await transaction.start()
            for statement, values in found:
                await connection.fetch(statement, *values)
            await transaction.rollback()
            times.append((time.perf_counter() - began) * 1_000)
    finally:
        await connection.close()
    return times


def percentile(times: list[float], part: float) -> float:
    """Return the time that so many parts of all keep within."""
    return sorted(times)[min(len(times) - 1, int(len(times) * part))]


def again(request: Request) -> Iterator[Request]:
    """Yield the same request without end."""
    while True:
        yield request
