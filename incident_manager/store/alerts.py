"""Alerts, and the deduplication keys that are locked while alerts are decided."""

from collections.abc import Collection, Sequence
from uuid import UUID

import msgspec
from sqlalchemy import select, update

from incident_manager.db import Session
from incident_manager.errors import NotFound
from incident_manager.models.alerts import Alert, DedupKey
from incident_manager.models.incidents import Incident
from incident_manager.store import alert_chain
from incident_manager.store.incidents import refer
from incident_manager.store.rows import KeyRow
from incident_manager.store.upsert import insert_for


async def lock_key(session: Session, row: KeyRow) -> DedupKey:
    """Insert a key that is new, or lock the one there is, in one statement; nobody else decides about it meanwhile.

    One that exists is "updated" to what it holds: that locks it and returns it.
    """
    statement = (
        insert_for(session, DedupKey)
        .on_conflict_do_update(index_elements=["tenant_id", "fingerprint"], set_={"open": DedupKey.open})
        .returning(DedupKey)
    )
    rows = [msgspec.structs.asdict(row)]
    return (await session.scalars(statement, rows, execution_options={"populate_existing": True})).one()


async def lock_keys_of(session: Session, references: Sequence[str]) -> Sequence[DedupKey]:
    """Lock the keys of incidents (ids or numbers), before the incidents themselves, as intake does.

    They are those of their fingerprints, whichever incident each names by now, and those that name one of these incidents.
    """
    named = select(Incident.id).where(refer(references))
    marks = select(Incident.fingerprint).where(refer(references))
    query = select(DedupKey).where(DedupKey.incident_id.in_(named) | DedupKey.fingerprint.in_(marks))
    query = query.order_by(DedupKey.fingerprint).with_for_update().execution_options(populate_existing=True)
    return (await session.scalars(query)).all()


async def list_firing(session: Session, incident: Incident) -> Sequence[str]:
    """Return the fingerprints that fire in an incident: its own, and those whose key names it."""
    mine = (DedupKey.incident_id == incident.id) | (DedupKey.fingerprint == incident.fingerprint)
    return (await session.scalars(select(DedupKey.fingerprint).where(mine, DedupKey.firing))).all()


async def rename_keys(session: Session, incident_id: UUID, into: UUID) -> None:
    """Let every key that names an incident name another one, which is active."""
    moved = update(DedupKey).where(DedupKey.incident_id == incident_id).values(incident_id=into, open=True)
    await session.execute(moved, execution_options={"synchronize_session": False})


async def list_by_id(session: Session, alert_ids: Collection[UUID]) -> Sequence[Alert]:
    """Return these alerts, as far as they exist, oldest first."""
    return (await session.scalars(select(Alert).where(Alert.id.in_(alert_ids)).order_by(Alert.id))).all()


async def find_key(session: Session, fingerprint: str) -> DedupKey | None:
    """Return what is known of a fingerprint, unlocked."""
    return (await session.scalars(select(DedupKey).where(DedupKey.fingerprint == fingerprint))).one_or_none()


async def get_alert(session: Session, alert_id: UUID) -> Alert:
    """Return an alert.

    Raises NotFound.
    """
    alert = (await session.scalars(select(Alert).where(Alert.id == alert_id))).one_or_none()
    if alert is None:
        raise NotFound("no such alert")
    return alert


async def list_alerts(
    session: Session, *, incident_id: UUID | None, before: UUID | None, limit: int
) -> Sequence[Alert]:
    """Return up to `limit` alerts, newest first, from the one before `before`; of one incident where one is named."""
    if incident_id is not None:
        return await alert_chain.list_page(session, incident_id, before=before, limit=limit)
    query = select(Alert).order_by(Alert.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Alert.id < before)
    return (await session.scalars(query)).all()
