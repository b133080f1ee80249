"""Alerts, and the deduplication keys that are locked while alerts are decided."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select

from incident_manager.db import Session
from incident_manager.errors import NotFound
from incident_manager.models.alerts import Alert, DedupKey
from incident_manager.models.incidents import Incident
from incident_manager.store.incidents import refers
from incident_manager.store.upsert import insert_for


async def lock_keys(session: Session, rows: Sequence[Mapping[str, Any]]) -> dict[str, DedupKey]:
    """Insert the keys that are new, lock those that exist, and return all by fingerprint, in one statement.

    1. The rows go in the order of their fingerprints, so that two batches wait for each other in the same order.
    2. A row that exists is "updated" to what it holds: that locks it and returns it.
    3. Until the transaction ends nobody else decides about these fingerprints.
    """
    statement = (
        insert_for(session, DedupKey)
        .on_conflict_do_update(index_elements=["tenant_id", "fingerprint"], set_={"open": DedupKey.open})
        .returning(DedupKey)
    )
    ordered = sorted(rows, key=lambda row: row["fingerprint"])
    keys = await session.scalars(statement, ordered, execution_options={"populate_existing": True})
    return {key.fingerprint: key for key in keys}


async def lock_keys_of(session: Session, reference: str) -> Sequence[DedupKey]:
    """Lock the keys of an incident (an id or a number), before the incident itself, as intake does.

    They are the one of its fingerprint, whichever incident that names by now, and those that name this incident.
    """
    named = select(Incident.id).where(refers(reference))
    marks = select(Incident.fingerprint).where(refers(reference))
    query = select(DedupKey).where(DedupKey.incident_id.in_(named) | DedupKey.fingerprint.in_(marks))
    return (await session.scalars(query.order_by(DedupKey.fingerprint).with_for_update())).all()


async def insert_alerts(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write alerts as they came."""
    await session.execute(insert(Alert), rows)


async def get_alert(session: Session, alert_id: UUID) -> Alert:
    """Return an alert.

    Raises NotFound.
    """
    alert = (await session.scalars(select(Alert).where(Alert.id == alert_id))).one_or_none()
    if alert is None:
        raise NotFound("no such alert")
    return alert


async def list_with_numbers(session: Session, alert_ids: Sequence[UUID]) -> dict[UUID, tuple[Alert, int | None]]:
    """Return alerts by id, each with its incident's number."""
    query = (
        select(Alert, Incident.number)
        .outerjoin(Incident, (Incident.tenant_id == Alert.tenant_id) & (Incident.id == Alert.incident_id))
        .where(Alert.id.in_(alert_ids))
    )
    return {alert.id: (alert, number) for alert, number in await session.execute(query)}


async def list_alerts(
    session: Session, *, incident_id: UUID | None, before: UUID | None, limit: int
) -> Sequence[Alert]:
    """Return up to `limit` alerts, newest first, from the one before `before`; of one incident where one is named."""
    query = select(Alert).order_by(Alert.id.desc()).limit(limit)
    if incident_id is not None:
        query = query.where(Alert.incident_id == incident_id)
    if before is not None:
        query = query.where(Alert.id < before)
    return (await session.scalars(query)).all()
