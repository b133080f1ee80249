"""First answers, kept so that a repeated request gets the same one and has no second effect."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from incident_manager.db import TenantOwned
from incident_manager.models.base import Base


class IdempotencyKey(TenantOwned, Base):
    """A claim on one effect: of an alert (`alert_id`, from which its answer is told again), or of another write (`answer`)."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (sa.Index("ix_idempotency_keys_expires", "expires_at"),)

    scope: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    body_digest: Mapped[str]
    alert_id: Mapped[UUID | None]
    answer: Mapped[str | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
