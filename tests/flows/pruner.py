"""Pruning in a world, as the command line does it, and alerts that are as old as the world's clock says.

Ids tell the time of the machine that the tests run on. A world that is far ahead of it finds all of them old, so that what
goes and what stays is up to the time of receipt alone.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from incident_manager.flows import pruning
from incident_manager.flows.pruning import Plan, Progress
from incident_manager.flows.units import Units
from tests.world import World

KEPT = timedelta(days=30)
TTL = timedelta(hours=24)


def far_ahead(world: World) -> None:
    world.forward(days=36_500)


async def plan(world: World, *, keep: timedelta = KEPT, batch: int = 100) -> Plan:
    return await pruning.plan(world.parts.database, world.clock.now(), keep=keep, ttl=TTL, batch=batch)


async def prune(world: World, units: Units | None = None, *, keep: timedelta = KEPT, batch: int = 100) -> int:
    """Prune a tenant's alerts and return how many went."""
    wanted, units = await plan(world, keep=keep, batch=batch), units or await world.units()
    return (await steps(lambda at: units.write(pruning.prune_alerts, wanted, at)))[-1].gone


async def steps(step: Callable[[Progress], Awaitable[Progress]]) -> list[Progress]:
    """Return what each call says until nothing more is due."""
    told = [await step(Progress())]
    while told[-1].more:
        told.append(await step(told[-1]))
    return told


async def prune_claims(world: World) -> int:
    return await pruning.prune_claims(world.parts.database, world.clock.now())
