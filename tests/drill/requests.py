"""The long run of requests made up from the description of the API (the short one: tests/api/test_fuzz.py)."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx2
from loguru import logger
from schemathesis import APIOperation, Case

from incident_manager import migrate
from incident_manager.rules.access import Role
from incident_manager.settings import load
from tests.api.fuzzing import check, fuzz, operations, request_of, there
from tests.api.routes import things
from tests.bench.engines import Engine
from tests.drill.invariants import Invariant, none_of
from tests.drill.plan import Plan
from tests.world import running


def run(plan: Plan) -> list[Invariant]:
    """Send made-up requests to every operation on every engine, each as every role and as nobody."""
    return [invariant for engine in plan.engines for invariant in _on(engine, plan)]


def _on(engine: Engine, plan: Plan) -> Iterator[Invariant]:
    folder = plan.folder / f"requests-{engine.name}"
    with engine.database(folder) as url:
        sent, wrong = asyncio.run(_fuzzed(url, str(folder / "data"), plan))
    yield none_of(f"requests {engine.name}", "every answer is one that is described, and no 5xx", wrong, sent)


async def _fuzzed(url: str, data_dir: str, plan: Plan) -> tuple[int, list[str]]:
    logger.disable("incident_manager")  # a line for every request is nothing that anybody reads
    await migrate.upgrade(url)
    async with running(load({"database.url": url, "server.data_dir": data_dir})) as world:
        document = (await world.as_key(None).get("/schema/openapi.json")).json()
        made, every = await things(world), operations(document)
        callers = [world.as_key(None), *[world.as_key(await world.key(role)) for role in Role]]
        count = max(1, plan.requests // (len(plan.engines) * len(callers) * len(every)))
        found = [await _tried(one, there(made, one.path), callers, count, plan.seed) for one in every]
    return sum(sent for sent, _ in found), [wrong for _, wrong in found if wrong]


async def _tried(
    operation: APIOperation[Any, Any, Any, Any],
    fill: dict[str, str],
    callers: list[httpx2.AsyncClient],
    count: int,
    seed: int,
) -> tuple[int, str]:
    """Return how many requests an operation was sent, and what was wrong with the first answer that was.

    The cases are made in a thread, which waits there for what is answered here.
    """
    loop, sent = asyncio.get_running_loop(), 0

    def send(case: Case[Any]) -> None:
        nonlocal sent
        for caller in callers:
            response = asyncio.run_coroutine_threadsafe(caller.request(**request_of(case)), loop).result()
            sent += 1
            check(case, response)

    try:
        await asyncio.to_thread(fuzz, operation, fill, send, count=count, start=seed)
    except BaseExceptionGroup as wrong:
        return sent, f"{operation.label}: {wrong.exceptions[0]}"
    return sent, ""
