"""What is old enough to go, found by the indexes that are there anyway: the intake pays for none of it.

Whoever deletes passes over rows that somebody else has locked, so that two who prune, or one beside a merge, never wait for
each other. Claims have no index by tenant and time, so that their look-ups see all tenants.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Select, delete, func, select

from incident_manager.db import SEES_ALL_TENANTS, Session
from incident_manager.models.alerts import Alert
from incident_manager.models.idempotency import IdempotencyKey


class Old(NamedTuple):
    """An alert that may be old enough."""

    id: UUID
    received_at: datetime


async def list_oldest(session: Session, *, after: UUID | None, below: UUID, limit: int) -> list[Old]:
    """Return up to `limit` alerts in the order of their ids, from the one after `after`, with ids below `below`."""
    return [Old(row.id, row.received_at) for row in await session.execute(_oldest(after, below, limit))]


async def claim_oldest(session: Session, *, after: UUID | None, below: UUID, limit: int) -> list[Old]:
    """Do as `list_oldest`, and lock them; what is locked already is passed over."""
    query = _oldest(after, below, limit).with_for_update(skip_locked=True)
    return [Old(row.id, row.received_at) for row in await session.execute(query)]


async def delete_alerts(session: Session, alert_ids: Sequence[UUID]) -> None:
    """Delete alerts. No table refers to them; what a timeline says of one stays."""
    gone = delete(Alert).where(Alert.id.in_(alert_ids))
    await session.execute(gone, execution_options={"synchronize_session": False})


async def find_last_expiry(session: Session) -> datetime | None:
    """Return when the last of all claims expires; None without any."""
    query = select(IdempotencyKey.expires_at).order_by(IdempotencyKey.expires_at.desc()).limit(1)
    return (await session.scalars(query, execution_options=SEES_ALL_TENANTS)).one_or_none()


async def list_claimed(session: Session, *, below: UUID, since: datetime, until: datetime) -> list[tuple[UUID, UUID]]:
    """Return tenant and id of alerts with ids below `below` that claims name which expire in [since, until)."""
    expires = IdempotencyKey.expires_at
    query = select(IdempotencyKey.tenant_id, IdempotencyKey.alert_id)
    query = query.where(expires >= since, expires < until, IdempotencyKey.alert_id < below)
    found = await session.execute(query, execution_options=SEES_ALL_TENANTS)
    return [(tenant_id, alert_id) for tenant_id, alert_id in found if alert_id is not None]


async def delete_expired(session: Session, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` claims of whatever tenant that expired before an instant, oldest first; return how many.

    Which ones is settled before the first is deleted: PostgreSQL runs a sub-select with LIMIT as often as its plan has it, but
    a common table expression that locks rows once.
    """
    mark = (IdempotencyKey.tenant_id, IdempotencyKey.scope, IdempotencyKey.key)
    due = select(*mark).where(IdempotencyKey.expires_at < before).order_by(IdempotencyKey.expires_at).limit(limit)
    chosen = due.with_for_update(skip_locked=True).cte("due")
    # RETURNING, because the standard library's sqlite3 counts no rows of a statement that begins with WITH
    gone = delete(IdempotencyKey).where(sa.tuple_(*mark).in_(select(chosen))).returning(IdempotencyKey.key)
    options = {**SEES_ALL_TENANTS, "synchronize_session": False}
    return len((await session.scalars(gone, execution_options=options)).all())


async def count_expired(session: Session, *, before: datetime) -> int:
    """Return how many claims of all tenants expired before an instant."""
    query = select(func.count()).select_from(IdempotencyKey).where(IdempotencyKey.expires_at < before)
    return await session.scalar(query, execution_options=SEES_ALL_TENANTS) or 0


def _oldest(after: UUID | None, below: UUID, limit: int) -> Select[UUID, datetime]:
    """Walk along the primary key: ids ascend with time. Rows deleted before are not read over again where `after` is given."""
    query = select(Alert.id, Alert.received_at).where(Alert.id < below).order_by(Alert.id).limit(limit)
    return query if after is None else query.where(Alert.id > after)
