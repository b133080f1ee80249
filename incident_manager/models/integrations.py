"""Integrations: an address of its own for each monitor that posts."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from incident_manager.models.base import Base, Record
from incident_manager.models.types import closed_set
from incident_manager.rules.dedup import DedupMode

_LIVING = sa.text("deleted_at IS NULL")


class Integration(Record, Base):
    """One monitor's way in; a deleted one stays as what its alerts came by."""

    __tablename__ = "integrations"
    __table_args__ = (
        sa.Index(
            "uq_integrations_name_living",
            "tenant_id",
            "name",
            unique=True,
            sqlite_where=_LIVING,
            postgresql_where=_LIVING,
        ),
        sa.Index(
            "ix_integrations_key_digest", "key_digest", unique=True
        ),  # the look-up that comes before the tenant is known
    )

    name: Mapped[str]
    monitor: Mapped[str]
    key_digest: Mapped[str]
    severity_map: Mapped[dict[str, str]]
    dedup_mode: Mapped[DedupMode | None] = mapped_column(closed_set(DedupMode, "dedup_mode"))
    window_seconds: Mapped[int | None]
    labels: Mapped[dict[str, str]]
    signing_secret: Mapped[str | None]  # encrypted
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    last_seen_at: Mapped[datetime | None]
    alerts_received: Mapped[int] = mapped_column(sa.BigInteger, default=0)
