"""Old rows go: alerts by age, claims on first answers once they have expired; a call is a batch, a batch a transaction.

Incidents, timelines and deduplication keys stay, so that no decision about an alert depends on what was pruned. An alert
stays as long as a claim names it that has not expired: a repeated delivery is answered from its row.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from incident_manager.db import Database, Session
from incident_manager.flows.timeline import record
from incident_manager.flows.units import Unit
from incident_manager.ids import first_id
from incident_manager.store import pruning as store
from incident_manager.store.pruning import Old

BATCH: Final = 500
# What has expired is left alone for as long: by then no transaction that began before the expiry, and no clock that is a
# little behind, takes the claim for good any more and lets another claim name the same alert.
CLAIM_GRACE: Final = timedelta(hours=1)
_ID_DELAY: Final = timedelta(minutes=1)  # an alert gets its id after it was received, by far less than that
_SLICE: Final = timedelta(minutes=15)  # of claims are read by a statement, so that none of them takes long


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run takes away: alerts received before `cutoff`, but for those `claimed`, by tenant, when it was made."""

    cutoff: datetime
    batch: int
    claimed: Mapping[UUID, frozenset[UUID]]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run has come in a tenant; `more` says whether another call is due."""

    gone: int = 0
    audited: int = 0  # of those gone
    after: UUID | None = None
    more: bool = True


async def plan(database: Database, now: datetime, *, keep: timedelta, ttl: timedelta, batch: int = BATCH) -> Plan:
    """Return what may go of alerts that are kept for so long, where claims live for `ttl`.

    Claims are looked at once a run and not once a batch, which would want an index for each claim that is made. What is found
    stays enough: a claim that is made later comes to name an old alert only through one that names it already.
    """
    cutoff = now - max(keep, ttl + CLAIM_GRACE)  # or all that came in that hour would be named by claims of their own
    claimed: dict[UUID, set[UUID]] = {}

    async def read(session: Session) -> datetime | None:
        return await store.find_last_expiry(session)

    last = await database.read(read, tenant_id=None)
    since = now - CLAIM_GRACE
    while last is not None and since <= last:
        for tenant_id, alert_id in await _list_claimed(database, cutoff, since):
            claimed.setdefault(tenant_id, set()).add(alert_id)
        since += _SLICE
    return Plan(cutoff=cutoff, batch=batch, claimed={tenant: frozenset(ids) for tenant, ids in claimed.items()})


async def prune_alerts(unit: Unit, wanted: Plan, so_far: Progress) -> Progress:
    """Delete one batch of a tenant's alerts and return how far that comes.

    The audit tells of the first batch and, in one row, of the rest: who is killed in between has left a trace.
    """
    page = await store.claim_oldest(unit.session, after=so_far.after, below=_bound(wanted.cutoff), limit=wanted.batch)
    if going := _going(unit, wanted, page):
        await store.delete_alerts(unit.session, going)
    progress = _advanced(wanted, so_far, page, len(going))
    if so_far.audited == 0 or not progress.more:
        return await finish(unit, wanted, progress)
    return progress


async def count_alerts(unit: Unit, wanted: Plan, so_far: Progress) -> Progress:
    """Do as `prune_alerts`, but only count."""
    page = await store.list_oldest(unit.session, after=so_far.after, below=_bound(wanted.cutoff), limit=wanted.batch)
    return _advanced(wanted, so_far, page, len(_going(unit, wanted, page)))


async def finish(unit: Unit, wanted: Plan, so_far: Progress) -> Progress:
    """Put what the audit does not tell of yet on it: for who stops before nothing more is due."""
    if so_far.gone == so_far.audited:
        return so_far
    told = {"alerts_pruned": so_far.gone - so_far.audited, "received_before": msgspec.to_builtins(wanted.cutoff)}
    record(unit, "prune", resource="tenant", resource_id=unit.tenant_id, before={}, after=told)
    return msgspec.structs.replace(so_far, audited=so_far.gone)


async def prune_claims(database: Database, now: datetime, batch: int = BATCH) -> int:
    """Delete one batch of expired claims of all tenants, and return how many; fewer than `batch`: nothing more is due.

    They are not on the audit: an expired claim is no claim, so that nothing can be told from its absence.
    """

    async def work(session: Session) -> int:
        return await store.delete_expired(session, before=now - CLAIM_GRACE, limit=batch)

    return await database.transaction(work, tenant_id=None)


async def count_claims(database: Database, now: datetime) -> int:
    """Return how many claims `prune_claims` would delete, in all."""

    async def work(session: Session) -> int:
        return await store.count_expired(session, before=now - CLAIM_GRACE)

    return await database.read(work, tenant_id=None)


async def _list_claimed(database: Database, cutoff: datetime, since: datetime) -> Sequence[tuple[UUID, UUID]]:
    async def work(session: Session) -> Sequence[tuple[UUID, UUID]]:
        return await store.list_claimed(session, below=_bound(cutoff), since=since, until=since + _SLICE)

    return await database.read(work, tenant_id=None)


def _bound(cutoff: datetime) -> UUID:
    """Return the id below which all alerts stand that were received before an instant."""
    return first_id(cutoff + _ID_DELAY)


def _going(unit: Unit, wanted: Plan, page: Sequence[Old]) -> list[UUID]:
    claimed = wanted.claimed.get(unit.tenant_id, frozenset())
    return [old.id for old in page if old.received_at < wanted.cutoff and old.id not in claimed]


def _advanced(wanted: Plan, so_far: Progress, page: Sequence[Old], going: int) -> Progress:
    """Go on behind a page that was full, unless all of it was too young: by id, the rest is younger still."""
    old = any(found.received_at < wanted.cutoff for found in page)
    return Progress(
        gone=so_far.gone + going,
        audited=so_far.audited,
        after=page[-1].id if page else so_far.after,
        more=old and len(page) == wanted.batch,
    )
