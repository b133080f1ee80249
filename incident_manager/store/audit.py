"""The audit: written in the transaction of the change it tells of, never changed."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select

from incident_manager.db import Session
from incident_manager.models.audit import AuditEntry


async def list_entries(session: Session, *, before: UUID | None, limit: int) -> Sequence[AuditEntry]:
    """Return up to `limit` entries, newest first, from the one before `before`."""
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    return (await session.scalars(query)).all()
