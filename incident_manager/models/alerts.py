"""Alerts as they came, and the deduplication keys by which they find their incident."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from incident_manager.db import TenantOwned
from incident_manager.models.base import Base, Record, same_tenant
from incident_manager.models.types import closed_set
from incident_manager.rules.dedup import AlertStatus, Reason, Verdict
from incident_manager.rules.incident_type import IncidentType
from incident_manager.rules.severity import Severity


class Alert(Record, Base):
    """An alert as it was received, with what was decided and why. It may move to another incident, else it never changes.

    An incident's alerts are a chain, not an index, which would cost the intake more than all the rest of its row: each names
    the one before it, the incident its newest. A chain ends where a row is pruned.
    """

    __tablename__ = "alerts"
    __table_args__ = (
        same_tenant("incident_id", "incidents"),
        same_tenant("integration_id", "integrations"),
    )

    source: Mapped[str]
    title: Mapped[str]
    description: Mapped[str]
    severity: Mapped[Severity] = mapped_column(closed_set(Severity, "severity"))
    alert_type: Mapped[IncidentType] = mapped_column(closed_set(IncidentType, "alert_type"))
    status: Mapped[AlertStatus] = mapped_column(closed_set(AlertStatus, "status"))
    external_id: Mapped[str | None]
    dedup_key: Mapped[str | None]
    labels: Mapped[dict[str, str]]
    annotations: Mapped[dict[str, str]]
    affected_services: Mapped[list[str]]
    runbook_url: Mapped[str | None]
    links: Mapped[list[Any]]
    occurred_at: Mapped[datetime]
    received_at: Mapped[datetime]
    fingerprint: Mapped[str]
    incident_id: Mapped[UUID | None]
    previous_id: Mapped[UUID | None]  # the alert before it of the same incident
    answered_incident_id: Mapped[UUID | None]  # what its sender was told, where a merge or a split moved it since
    integration_id: Mapped[UUID | None]
    outcome: Mapped[Verdict] = mapped_column(closed_set(Verdict, "outcome"))
    reason: Mapped[Reason] = mapped_column(closed_set(Reason, "reason"))
    occurrence: Mapped[int]  # the incident's count when this alert was answered


class DedupKey(TenantOwned, Base):
    """What is known of a fingerprint: the row that is locked while its alerts are decided.

    The reference is checked at commit, because the row is written (and so locked) before the incident that it may name.
    """

    __tablename__ = "dedup_keys"
    __table_args__ = (
        same_tenant("incident_id", "incidents", deferred=True),
        sa.Index("ix_dedup_keys_incident", "tenant_id", "incident_id"),
        {"postgresql_with": {"fillfactor": 80}},
    )

    fingerprint: Mapped[str] = mapped_column(primary_key=True)
    incident_id: Mapped[UUID | None]
    open: Mapped[bool]  # the incident is active
    firing: Mapped[bool]  # what its source said last
    first_seen_at: Mapped[datetime | None]
    last_seen_at: Mapped[datetime | None]
    last_fired_at: Mapped[datetime | None]
    last_resolved_at: Mapped[datetime | None]
    occurrences: Mapped[int]
