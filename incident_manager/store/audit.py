"""The audit: written in the transaction of the change it tells of, never changed."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import func, select

from incident_manager.db import Session
from incident_manager.models.audit import AuditEntry

COUNT_LIMIT: Final = 10_000


async def list_entries(session: Session, *, before: UUID | None, limit: int) -> Sequence[AuditEntry]:
    """Return up to `limit` entries, newest first, from the one before `before`."""
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    return (await session.scalars(query)).all()


async def count_entries(session: Session) -> int:
    """Return how many there are, COUNT_LIMIT where there are more: an audit only grows, and its length is for orientation."""
    some = select(AuditEntry.id).limit(COUNT_LIMIT).subquery()
    return await session.scalar(select(func.count()).select_from(some)) or 0
