"""Rows that are written past the ORM, as plain structs: a field's name is its column's, and tests/store holds that it is one.

The intake reads and writes thousands a second of these; an ORM's object costs ten times as much to make, and tracks what
nobody asks.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from incident_manager.rules.dedup import AlertStatus, KeyState, Reason, Verdict
from incident_manager.rules.incident_type import IncidentType
from incident_manager.rules.lifecycle import IncidentState, ResolutionMethod
from incident_manager.rules.severity import Severity


class AlertRow(msgspec.Struct, kw_only=True):
    """An alert as it came; the last six fields are what was decided about it."""

    tenant_id: UUID
    id: UUID
    source: str
    title: str
    description: str
    severity: Severity
    alert_type: IncidentType
    status: AlertStatus
    external_id: str | None
    dedup_key: str | None
    labels: dict[str, str]
    annotations: dict[str, str]
    affected_services: list[str]
    runbook_url: str | None
    links: list[Any]
    occurred_at: datetime
    received_at: datetime
    fingerprint: str
    integration_id: UUID | None
    incident_id: UUID | None = None
    previous_id: UUID | None = None
    outcome: Verdict = Verdict.NOTHING
    reason: Reason = Reason.NOTHING_OPEN
    occurrence: int = 0


class HeldIncident(msgspec.Struct, kw_only=True):
    """What intake reads and changes of an incident that is there; the row is locked as long as it is held."""

    tenant_id: UUID
    id: UUID
    number: int
    version: int
    updated_at: datetime
    state: IncidentState
    severity: Severity
    affected_resources: list[str]
    labels: dict[str, str]
    fingerprint: str
    occurrences: int
    last_seen_at: datetime
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    resolution_method: ResolutionMethod | None = None
    root_cause: str | None = None
    resolution_notes: str | None = None
    closed_at: datetime | None = None
    closed_by: str | None = None
    snoozed_until: datetime | None = None
    merged_into_id: UUID | None = None
    holds_several: bool = False
    timeline_length: int = 0
    last_alert_id: UUID | None = None


class NewIncident(HeldIncident, kw_only=True):
    """A whole incident that is being opened."""

    created_at: datetime
    incident_type: IncidentType
    source: str
    title: str
    description: str
    assignees: list[str]
    links: list[Any]
    first_seen_at: datetime
    recurrence_of_id: UUID | None
    related_incidents: list[str]


class CountedIncident(msgspec.Struct, kw_only=True):
    """The part of an incident that a repeat moves: no column of it stands in an index."""

    tenant_id: UUID
    id: UUID
    occurrences: int
    last_seen_at: datetime
    timeline_length: int
    last_alert_id: UUID | None


class EntryRow(msgspec.Struct, kw_only=True):
    """One thing that happened to an incident."""

    tenant_id: UUID
    incident_id: UUID
    seq: int
    at: datetime
    type: str
    actor: str
    reason: str
    description: str
    data: dict[str, Any]


class KeyRow(KeyState, frozen=True, kw_only=True):
    """What is known of a fingerprint, with its name."""

    tenant_id: UUID
    fingerprint: str


class ClaimRow(msgspec.Struct, frozen=True, kw_only=True):
    """A claim on being the first, for an alert."""

    tenant_id: UUID
    scope: str
    key: str
    body_digest: str
    alert_id: UUID | None
    created_at: datetime
    expires_at: datetime


class ReceivedRow(msgspec.Struct, frozen=True, kw_only=True):
    """What an integration brought: alerts more, and when it was last heard of."""

    tenant_id: UUID
    id: UUID
    alerts_received: int
    last_seen_at: datetime
