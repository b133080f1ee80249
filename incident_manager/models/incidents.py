"""Incidents and their timeline."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from incident_manager.db import TenantOwned
from incident_manager.models.base import Base, Record, same_tenant
from incident_manager.models.types import closed_set
from incident_manager.rules.incident_type import IncidentType
from incident_manager.rules.lifecycle import ENDED, IncidentState, ResolutionMethod
from incident_manager.rules.severity import Severity

# Written as literals, so that the planner of either database sees that a query's condition implies an index's.
IS_ACTIVE = sa.text(f"state NOT IN ({', '.join(f'{state.value!r}' for state in IncidentState if state in ENDED)})")


class Incident(Record, Base):
    """A problem that somebody may have to work on. What repeats move (`occurrences`, `last_...`) stands in no index."""

    __tablename__ = "incidents"
    __table_args__ = (
        same_tenant("recurrence_of_id", "incidents"),
        same_tenant("merged_into_id", "incidents"),
        sa.UniqueConstraint("tenant_id", "number"),
        sa.Index("ix_incidents_created", "tenant_id", "created_at", "id"),
        sa.Index("ix_incidents_updated", "tenant_id", "updated_at", "id"),
        sa.Index("ix_incidents_source", "tenant_id", "source", "created_at", "id"),
        sa.Index("ix_incidents_type", "tenant_id", "incident_type", "created_at", "id"),
        sa.Index("ix_incidents_service", "tenant_id", "service", "created_at", "id"),
        sa.Index("ix_incidents_severity", "tenant_id", "severity", "id"),
        sa.Index(
            "ix_incidents_active",
            "tenant_id",
            "created_at",
            "id",
            "state",  # so that SQLite counts active ones from the index alone
            sqlite_where=IS_ACTIVE,
            postgresql_where=IS_ACTIVE,
        ),
        sa.Index(
            "ix_incidents_open_fingerprint",
            "tenant_id",
            "fingerprint",
            sqlite_where=IS_ACTIVE,
            postgresql_where=IS_ACTIVE,
        ),
        {"postgresql_with": {"fillfactor": 80}},
    )

    number: Mapped[int] = mapped_column(sa.BigInteger)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    state: Mapped[IncidentState] = mapped_column(closed_set(IncidentState, "state"))
    severity: Mapped[Severity] = mapped_column(closed_set(Severity, "severity"))
    incident_type: Mapped[IncidentType] = mapped_column(closed_set(IncidentType, "incident_type"))
    source: Mapped[str]
    title: Mapped[str]
    description: Mapped[str]
    affected_resources: Mapped[list[str]]
    labels: Mapped[dict[str, str]]
    assignees: Mapped[list[str]]
    links: Mapped[list[Any]]
    service: Mapped[str | None]
    team: Mapped[str | None]
    fingerprint: Mapped[str]
    occurrences: Mapped[int]
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str | None]
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[str | None]
    resolution_method: Mapped[ResolutionMethod | None] = mapped_column(
        closed_set(ResolutionMethod, "resolution_method")
    )
    root_cause: Mapped[str | None]
    resolution_notes: Mapped[str | None]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None]
    snoozed_until: Mapped[datetime | None]
    recurrence_of_id: Mapped[UUID | None]
    merged_into_id: Mapped[UUID | None]
    related_incidents: Mapped[list[str]]  # ids; each of them names this one too
    holds_several: Mapped[bool]  # fingerprints: by a merge; ends by itself only when none of them fires
    timeline_length: Mapped[int]
    last_alert_id: Mapped[UUID | None]  # its newest, from which its alerts are walked


class TimelineEntry(TenantOwned, Base):
    """One thing that happened to an incident: append-only, `seq` from 1 without gaps."""

    __tablename__ = "timeline"
    __table_args__ = (same_tenant("incident_id", "incidents"),)

    incident_id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    type: Mapped[str]
    actor: Mapped[str]
    reason: Mapped[str]
    description: Mapped[str]
    data: Mapped[dict[str, Any]]
