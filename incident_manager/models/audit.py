"""What people, keys and the command line changed. Alert intake is not here: its history is the alerts themselves."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from incident_manager.models.base import Base, Record
from incident_manager.models.types import closed_set
from incident_manager.rules.access import ActorKind


class AuditEntry(Record, Base):
    """One change: who, what, before and after. Append-only."""

    __tablename__ = "audit"
    __table_args__ = (sa.Index("ix_audit_resource", "tenant_id", "resource_id", "id"),)

    at: Mapped[datetime]
    actor_kind: Mapped[ActorKind] = mapped_column(closed_set(ActorKind, "actor_kind"))
    actor: Mapped[str]
    actor_id: Mapped[UUID | None]
    request_id: Mapped[str | None]
    action: Mapped[str]
    resource: Mapped[str]
    resource_id: Mapped[UUID | None]
    before: Mapped[dict[str, Any]]
    after: Mapped[dict[str, Any]]
