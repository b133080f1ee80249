"""Requests made up from the description: whatever is sent, by whomever, the answer is one that is described, and no 5xx."""

import asyncio
from typing import Any

import httpx2
import pytest
from schemathesis import Case

from incident_manager.rules.access import Role
from tests.api.fuzzing import check, fuzz, operations, request_of, there
from tests.api.routes import things
from tests.world import World

TAGS = ("alerts", "incidents", "integrations", "access", "operations")
CASES = 8  # of each operation


async def described(world: World) -> dict[str, Any]:
    return (await world.as_key(None).get("/schema/openapi.json")).json()


async def everybody(world: World) -> list[httpx2.AsyncClient]:
    """Return callers of every kind, and one more admin: what he sends has been done once already."""
    return [world.as_key(None), *[world.as_key(await world.key(role)) for role in Role], world.http]


async def test_every_operation_is_tried_by_one_of_these(world: World) -> None:
    assert {tag for one in operations(await described(world)) for tag in one.tags or [""]} == set(TAGS)


@pytest.mark.parametrize("tag", TAGS)
async def test_no_request_is_answered_with_a_defect_or_with_what_is_not_described(world: World, tag: str) -> None:
    """The cases are made in a thread, which waits there for what is answered here. Some of every operation succeed."""
    made, callers, loop = await things(world), await everybody(world), asyncio.get_running_loop()
    tried = [one for one in operations(await described(world)) if tag in one.tags]
    succeeded = set()

    def send(case: Case) -> None:
        for caller in callers:
            answer = asyncio.run_coroutine_threadsafe(caller.request(**request_of(case)), loop).result()
            check(case, answer)
            if answer.is_success:
                succeeded.add(case.operation.label)

    for operation in tried:
        fill = there(made, operation.path)
        await asyncio.to_thread(fuzz, operation, fill, send, count=CASES, start=1)
    assert {one.label for one in tried} - succeeded == set()
