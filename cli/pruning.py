"""`db prune`: old rows go in small batches, beside servers that take alerts in, and it can be stopped between any two."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
import rich_click as click

from cli import local, output
from incident_manager.errors import IncidentManagerError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cli.local import Place
    from incident_manager.flows.pruning import Plan
    from incident_manager.flows.units import Units
    from incident_manager.settings import Settings

T = TypeVar("T")

_BATCH: Final = 500  # flows.pruning.BATCH, without loading the flows
_LARGEST: Final = 10_000  # rows: SQLite takes 32,766 parameters, and a batch holds its one writer
_LEAST_REST: Final = 0.01  # seconds
_TOLD_EVERY: Final = 2.0  # seconds


class Stopped(IncidentManagerError):
    """Somebody stopped it before it was done."""


class PrunedTenant(msgspec.Struct, kw_only=True):
    """What went of one tenant."""

    tenant: str
    alerts: int


class Pruned(msgspec.Struct, kw_only=True):
    """What went, or would go; `received_before` is None where alerts are kept for ever."""

    dry_run: bool
    complete: bool
    received_before: datetime | None
    alerts: int
    idempotency_keys: int
    tenants: list[PrunedTenant]


@click.command("prune")
@click.option(
    "--alerts-days",
    type=int,
    metavar="N",
    help="Delete alerts older than that; 0 keeps all.  [default: the setting retention.alerts_days]",
)
@click.option(
    "--batch",
    type=click.IntRange(1, _LARGEST),
    default=_BATCH,
    show_default=True,
    help="Rows a transaction; on SQLite nobody else writes meanwhile.",
)
@click.option("--dry-run", is_flag=True, help="Delete nothing; say how much would go.")
@local.options
def prune(alerts_days: int | None, batch: int, dry_run: bool) -> None:
    """Delete old alerts, and idempotency keys that have expired, while servers go on.

    Incidents, their timelines and counts stay, and no alert to come is decided otherwise. At least half of the time is left
    to servers. Ctrl-C ends it after the batch at hand: what went is gone, and the next run goes on.
    """
    found = local.settings({"retention.alerts_days": alerts_days})
    pruned = asyncio.run(_run(found, batch, dry_run=dry_run))
    output.show(msgspec.json.encode(pruned), Pruned, _draw)
    if not pruned.complete:
        raise Stopped("stopped before it was done; run it again for the rest")


class _Pace:
    """Batches one after the other until it is told to stop, and as much time for servers after each as it took."""

    def __init__(self) -> None:
        self._stop: Final = asyncio.Event()
        self._told_at = asyncio.get_running_loop().time()

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._stop.is_set()

    @contextlib.contextmanager
    def stoppable(self) -> Iterator[None]:
        """Let the first Ctrl-C or SIGTERM stop it after the batch at hand; the second ends the process as ever."""
        loop, signals = asyncio.get_running_loop(), (signal.SIGINT, signal.SIGTERM)

        def release() -> None:
            for number in signals:
                loop.remove_signal_handler(number)

        def stop() -> None:
            self._stop.set()
            release()

        for number in signals:
            loop.add_signal_handler(number, stop)
        try:
            yield
        finally:
            release()

    async def step(self, batch: Awaitable[T]) -> T:
        """Run a batch, and rest."""
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        result = await batch
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), max(loop.time() - began_at, _LEAST_REST))
        return result

    def tell(self, words: str) -> None:
        """Say how far it has come, now and then."""
        now = asyncio.get_running_loop().time()
        if now - self._told_at >= _TOLD_EVERY:
            self._told_at = now
            output.say(words)


async def _run(settings: "Settings", batch: int, *, dry_run: bool) -> Pruned:
    from incident_manager.clock import SystemClock
    from incident_manager.flows import access
    from incident_manager.ids import new_id

    alerts, keys = (_count_alerts, _count_keys) if dry_run else (_prune_alerts, _prune_keys)
    pace, now, tenants = _Pace(), SystemClock().now(), []
    async with local.opened(settings) as place:
        with pace.stoppable():
            wanted = await _plan(settings, place, now, batch)
            for tenant in await access.list_tenants(place.units(new_id())) if wanted else []:
                gone = await alerts(pace, place.units(tenant.id), wanted, tenant.name) if wanted else 0
                tenants.append(PrunedTenant(tenant=tenant.name, alerts=gone))
            expired = await keys(pace, place, now, batch)
    return Pruned(
        dry_run=dry_run,
        complete=not pace.stopped,
        received_before=wanted.cutoff if wanted else None,
        alerts=sum(tenant.alerts for tenant in tenants),
        idempotency_keys=expired,
        tenants=tenants,
    )


async def _plan(settings: "Settings", place: "Place", now: datetime, batch: int) -> "Plan | None":
    from incident_manager.flows import pruning

    if settings.retention.alerts_days == 0:
        return None
    keep, ttl = timedelta(days=settings.retention.alerts_days), timedelta(seconds=settings.idempotency.ttl_seconds)
    return await pruning.plan(place.database, now, keep=keep, ttl=ttl, batch=batch)


async def _prune_alerts(pace: _Pace, units: "Units", wanted: "Plan", name: str) -> int:
    """Delete a tenant's alerts, and return how many went; who is stopped puts what the audit does not tell of yet on it."""
    from incident_manager.flows import pruning

    progress = pruning.Progress()
    while progress.more and not pace.stopped:
        progress = await pace.step(units.write(pruning.prune_alerts, wanted, progress))
        pace.tell(f"{name}: {progress.gone:,} alerts so far")
    if progress.audited < progress.gone:
        progress = await units.write(pruning.finish, wanted, progress)
    return progress.gone


async def _count_alerts(pace: _Pace, units: "Units", wanted: "Plan", name: str) -> int:
    from incident_manager.flows import pruning

    progress = pruning.Progress()
    while progress.more and not pace.stopped:
        progress = await units.read(pruning.count_alerts, wanted, progress)
        pace.tell(f"{name}: {progress.gone:,} alerts so far")
    return progress.gone


async def _prune_keys(pace: _Pace, place: "Place", now: datetime, batch: int) -> int:
    from incident_manager.flows import pruning

    gone, last = 0, batch
    while last == batch and not pace.stopped:
        last = await pace.step(pruning.prune_claims(place.database, now, batch))
        gone += last
        pace.tell(f"{gone:,} idempotency keys so far")
    return gone


async def _count_keys(_pace: _Pace, place: "Place", now: datetime, _batch: int) -> int:
    from incident_manager.flows import pruning

    return await pruning.count_claims(place.database, now)


def _draw(found: Pruned) -> "RenderableType":
    title = "Alerts that would go" if found.dry_run else "Alerts gone"
    before = output.at(found.received_before)
    alerts = f"{found.alerts:,}, received before {before}" if before else "none: they are kept for ever"
    several = {tenant.tenant: f"{tenant.alerts:,}" for tenant in found.tenants} if len(found.tenants) > 1 else {}
    return output.sheet({title: alerts, **several, "Idempotency keys": f"{found.idempotency_keys:,}"})
