"""Tenants and their keys."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from incident_manager.models.base import Base, Record
from incident_manager.models.types import closed_set
from incident_manager.rules.access import Role


class Tenant(Base):
    """A team's or a customer's world; the only table that belongs to no tenant."""

    __tablename__ = "tenants"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    secret_fingerprint: Mapped[str]  # of the auth.secret under which its keys are digested
    next_incident_number: Mapped[int] = mapped_column(sa.BigInteger, default=1)


class ApiKey(Record, Base):
    """A key, as its keyed digest; the key itself is shown once and stored nowhere."""

    __tablename__ = "api_keys"
    __table_args__ = (
        sa.Index(
            "uq_api_keys_name_valid",
            "tenant_id",
            "name",
            unique=True,
            sqlite_where=sa.text("revoked_at IS NULL"),
            postgresql_where=sa.text("revoked_at IS NULL"),
        ),
        sa.Index("ix_api_keys_id", "id", unique=True),  # the look-up that comes before the tenant is known
    )

    name: Mapped[str]
    role: Mapped[Role] = mapped_column(closed_set(Role, "role"))
    digest: Mapped[str]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
