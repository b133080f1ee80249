"""Alerts on the wire."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct, field

from incident_manager.rules.dedup import AlertStatus, DedupMode, Reason, SubmissionStatus, Verdict
from incident_manager.rules.incident_type import IncidentType
from incident_manager.rules.severity import Severity
from incident_manager.schemas.base import (
    DEDUP_KEY_LIMIT,
    NO_NUL,
    FieldProblem,
    HttpUrl,
    Instant,
    Labels,
    Link,
    Links,
    Name,
    Services,
    Text,
    Title,
    in_utc,
)

DedupKey = Annotated[str, Meta(min_length=1, max_length=DEDUP_KEY_LIMIT, pattern=NO_NUL)]


class AlertFields(Struct, kw_only=True, forbid_unknown_fields=True):
    """What an alert may say, but for its source: shared by the API and the monitors."""

    title: Title
    description: Text = ""
    severity: Severity = Severity.P3
    alert_type: IncidentType = IncidentType.UNKNOWN
    status: AlertStatus = AlertStatus.FIRING
    external_id: Name | None = None
    dedup_key: DedupKey | None = None
    labels: Labels = field(default_factory=dict)
    annotations: Labels = field(default_factory=dict)
    affected_services: Services = field(default_factory=list)
    runbook_url: HttpUrl | None = None
    links: Links = field(default_factory=list)
    occurred_at: Instant | None = None

    def __post_init__(self) -> None:
        """Bring the instant to UTC."""
        in_utc(self, "occurred_at")


class AlertIn(AlertFields, kw_only=True, forbid_unknown_fields=True):
    """An alert as anybody may post it."""

    source: Name


class AlertAccepted(Struct, kw_only=True, frozen=True):
    """What became of an alert; `occurrences` counts the incident's firing alerts, this one included."""

    alert_id: UUID
    incident_id: UUID | None
    incident_number: int | None
    status: SubmissionStatus
    reason: Reason
    message: str
    occurrences: int


class BatchResult(Struct, kw_only=True, frozen=True):
    """What became of one item of a batch: as of an alert by itself, or `Rejected` with what is wrong with it."""

    alert_id: UUID | None
    incident_id: UUID | None
    incident_number: int | None
    status: SubmissionStatus
    reason: str
    message: str
    occurrences: int
    errors: list[FieldProblem] | None = None


class BatchAccepted(Struct, kw_only=True, frozen=True):
    """What became of a batch: one result an item, in its order; `accepted` of them were committed."""

    accepted: int
    results: list[BatchResult]


class AlertPreview(Struct, kw_only=True, frozen=True):
    """What would become of an alert now: by which fingerprint, found how, and the incident it would go to, if there is one."""

    fingerprint: str
    mode: DedupMode
    window_seconds: int
    outcome: Verdict
    status: SubmissionStatus
    reason: Reason
    message: str
    incident_id: UUID | None
    incident_number: int | None


class AlertOut(Struct, kw_only=True, frozen=True):
    """A stored alert: what was given, and what was decided."""

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
    links: list[Link | str]
    occurred_at: datetime
    received_at: datetime
    fingerprint: str
    incident_id: UUID | None
    integration_id: UUID | None
    outcome: Verdict
    reason: Reason


class AlertPage(Struct, kw_only=True, frozen=True):
    """Alerts, newest first."""

    alerts: list[AlertOut]
    next_cursor: str | None


class DeliveryAccepted(Struct, kw_only=True, frozen=True):
    """What became of a monitor's message: one result for each alert in it, in its order.

    `cut` counts texts that were shortened and labels or links that were left out to fit this service's limits.
    """

    accepted: int
    results: list[AlertAccepted]
    message: str = ""
    cut: int = 0
