"""The list that people look at first: the newest 20 that are active, of ten thousand and of a hundred thousand."""

import asyncio
import json
import sqlite3
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import asyncpg

from incident_manager.settings import load as load_settings
from tests.bench import servers
from tests.bench.bodies import USUAL_BODY
from tests.bench.engines import Engine
from tests.bench.filling import ACTIVE_EVERY, fill
from tests.bench.plan import Plan
from tests.bench.rows import Row, measured
from tests.bench.servers import Served
from tests.bench.targets import LIST_GROWTH, LIST_RAW
from tests.bench.timing import ticks, timed
from tests.sql import recording
from tests.world import running

SIZES = (10_000, 100_000)
PAGE = 20
QUERY = {"active_only": "true", "page_size": str(PAGE)}
PATH = "/v1/incidents"
RAW = "the same SQL by the raw driver"

Statements = list[tuple[str, Any]]


class Store(NamedTuple):
    """A filled database, the server over it, and the statements that a list there is made of."""

    size: int
    url: str
    served: Served
    statements: Statements


def measure(plan: Plan) -> list[Row]:
    """Measure each engine at both sizes, in rounds of the raw driver and the service, small and large in turn."""
    return [row for engine in plan.engines for row in _of_engine(plan, engine)]


def _of_engine(plan: Plan, engine: Engine) -> Iterator[Row]:
    seen: dict[tuple[str, int], list[float]] = defaultdict(list)
    with ExitStack() as stack:
        stores = [stack.enter_context(_store(plan, engine, size)) for size in SIZES]
        for _ in range(plan.rounds):
            for store in stores:
                raw = _sqlite if engine.name == "SQLite" else _postgres
                seen[RAW, store.size].append(raw(store, plan.seconds / 2))
                seen["list", store.size].append(_over_http(store, plan.seconds / 2))
    small, large = SIZES
    for size in SIZES:
        yield measured(
            f"newest {PAGE} active of {size:,}, {engine.name}",
            "ms",
            ours=seen["list", size],
            floor=seen[RAW, size],
            floor_name=RAW,
            target=LIST_RAW,
            store=f"{size:,} incidents, one in {ACTIVE_EVERY} active",
        )
    yield measured(
        f"newest {PAGE} active, {large:,} against {small:,}, {engine.name}",
        "ms",
        ours=seen["list", large],
        floor=seen["list", small],
        floor_name=f"of {small:,}",
        target=LIST_GROWTH,
        store=f"{large:,} incidents, one in {ACTIVE_EVERY} active",
    )


@contextmanager
def _store(plan: Plan, engine: Engine, size: int) -> Iterator[Store]:
    """Make, fill and serve a database of so many incidents."""
    folder = plan.folder / f"list-{engine.name}-{size}"
    with engine.database(folder) as url, servers.ours(folder, url) as served:
        _open_one(served)
        fill(url, size)
        yield Store(size, url, served, asyncio.run(_statements(url, folder)))


def _open_one(served: Served) -> None:
    headers = {"Authorization": f"Bearer {served.key}", "Content-Type": "application/json"}
    with closing(HTTPConnection(urlsplit(served.url).netloc)) as connection:
        connection.request("POST", "/v1/alerts", USUAL_BODY, headers)
        answer = connection.getresponse()
        if answer.status != HTTPStatus.CREATED:
            raise SystemExit(f"the server does not take an alert: {answer.read().decode()}")


def _over_http(store: Store, seconds: float) -> float:
    """Return the median of what the list takes on one connection, in milliseconds."""
    headers = {"Authorization": f"Bearer {store.served.key}"}
    with closing(HTTPConnection(urlsplit(store.served.url).netloc)) as connection:

        def ask() -> None:
            connection.request("GET", f"{PATH}?{urlencode(QUERY)}", headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != HTTPStatus.OK or len(json.loads(body)["incidents"]) != PAGE:
                raise SystemExit(f"the server does not list: {body.decode()}")

        return statistics.median(timed(ask, seconds))


def _sqlite(store: Store, seconds: float) -> float:
    with closing(sqlite3.connect(store.url.removeprefix("sqlite:///"))) as connection:

        def ask() -> None:
            for statement, values in store.statements:
                connection.execute(statement, values).fetchall()

        return statistics.median(timed(ask, seconds))


def _postgres(store: Store, seconds: float) -> float:
    async def ask_for_a_while() -> float:
        connection = await asyncpg.connect(store.url, server_settings={"jit": "off"})
        times = []
        try:
            for began in ticks(seconds):
                async with connection.transaction(readonly=True):
                    for statement, values in store.statements:
                        await connection.fetch(statement, *values)
                times.append((time.perf_counter() - began) * 1_000)
        finally:
            await connection.close()
        return statistics.median(times)

    return asyncio.run(ask_for_a_while())


async def _statements(url: str, folder: Path) -> Statements:
    """Return what the service sends to its database for this list: asked of a second one, in this process."""
    settings = load_settings({"database.url": url, "server.data_dir": str(folder / "data")})
    async with running(settings) as world:
        await world.get(PATH, **QUERY)  # the first use of a key notes that it is used
        with recording(world.parts.database) as statements:
            await world.get(PATH, **QUERY)
    return statements
