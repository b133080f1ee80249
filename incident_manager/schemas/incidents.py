"""Incidents and their timeline on the wire."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from incident_manager.rules.incident_type import IncidentType
from incident_manager.rules.lifecycle import IncidentState, ResolutionMethod
from incident_manager.rules.severity import Severity
from incident_manager.schemas.base import (
    Instant,
    Labels,
    Link,
    Name,
    RequiredText,
    ResourceName,
    Services,
    Text,
    Title,
    in_utc,
)

RELATED_LIMIT: Final = 100
SPLIT_LIMIT: Final = 1_000

# an incident's id or number; a number may come as such
Reference = Annotated[str, Meta(min_length=1, max_length=64)] | Annotated[int, Meta(ge=0, le=2**63 - 1)]
Assignees = Annotated[list[Name], Meta(max_length=64)]


class IncidentIn(Struct, kw_only=True, forbid_unknown_fields=True):
    """An incident that a person or a tool opens without an alert."""

    source: Name
    title: Title
    severity: Severity
    incident_type: IncidentType
    description: Text = ""
    affected_resources: Services = field(default_factory=list)
    labels: Labels = field(default_factory=dict)
    assignees: Assignees = field(default_factory=list)


class IncidentPatch(Struct, kw_only=True, forbid_unknown_fields=True):
    """What may be changed; what is left out stays. `actor` is who asked for it, where that is not the key's owner."""

    state: IncidentState | UnsetType = UNSET
    severity: Severity | UnsetType = UNSET
    title: Title | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    assignees: Assignees | UnsetType = UNSET
    labels: Labels | UnsetType = UNSET
    affected_resources: Services | UnsetType = UNSET
    service: ResourceName | None | UnsetType = UNSET
    team: ResourceName | None | UnsetType = UNSET
    actor: Name | UnsetType = UNSET


class AcknowledgeIn(Struct, kw_only=True, forbid_unknown_fields=True):
    """Who takes it; the key's name where nobody is named."""

    by: Name | None = None


class ResolveIn(Struct, kw_only=True, forbid_unknown_fields=True):
    """How it ended."""

    resolved_by: Name
    notes: Text
    method: ResolutionMethod = ResolutionMethod.MANUAL
    root_cause: Text | None = None


class CloseIn(Struct, kw_only=True, forbid_unknown_fields=True):
    """Nothing more to say."""


class ReopenIn(Struct, kw_only=True, forbid_unknown_fields=True):
    """Why it is not over."""

    reason: RequiredText


class NoteIn(Struct, kw_only=True, forbid_unknown_fields=True):
    """A note for the timeline."""

    content: RequiredText


class SnoozeIn(Struct, kw_only=True, forbid_unknown_fields=True):
    """Until when it may wait, at most 366 days; null ends a snooze."""

    until: Instant | None

    def __post_init__(self) -> None:
        """Bring the time to UTC."""
        in_utc(self, "until")


class LinkIn(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which incidents have to do with this one."""

    incident_ids: Annotated[list[Reference], Meta(min_length=1, max_length=RELATED_LIMIT)]


class MergeIn(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which incident takes this one's alerts."""

    into: Reference


class SplitIn(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which alerts are another problem."""

    alert_ids: Annotated[list[UUID], Meta(min_length=1, max_length=SPLIT_LIMIT)]


class Resolution(Struct, kw_only=True, frozen=True):
    """How and by whom an incident was ended."""

    resolved_at: datetime
    resolved_by: str
    resolution_method: ResolutionMethod
    root_cause: str | None
    notes: str


class IncidentOut(Struct, kw_only=True, frozen=True):
    """The whole of an incident but its alerts and its timeline."""

    id: UUID
    number: int
    created_at: datetime
    updated_at: datetime
    version: int
    state: IncidentState
    severity: Severity
    incident_type: IncidentType
    source: str
    title: str
    description: str
    affected_resources: list[str]
    labels: dict[str, str]
    assignees: list[str]
    resolution: Resolution | None
    fingerprint: str
    occurrences: int
    first_seen_at: datetime
    last_seen_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    closed_at: datetime | None
    snoozed_until: datetime | None
    related_incidents: list[UUID]
    recurrence_of_id: UUID | None
    merged_into_id: UUID | None
    service: str | None
    team: str | None
    links: list[Link | str]


class IncidentSort(StrEnum):
    """What a list of incidents can be sorted by; `-` in front turns it around."""

    CREATED = "created_at"
    CREATED_LAST = "-created_at"
    UPDATED = "updated_at"
    UPDATED_LAST = "-updated_at"
    SEEN = "last_seen_at"
    SEEN_LAST = "-last_seen_at"
    SEVERITY = "severity"
    SEVERITY_LAST = "-severity"
    NUMBER = "number"
    NUMBER_LAST = "-number"


class IncidentFilter(Struct, kw_only=True, frozen=True):
    """Which incidents: every filter given must hold, and of a repeated one any value. `[since, until)` is of created_at.

    `labels` are pairs of key and value, each key a filter of its own; `services` match the incident's service or an affected
    resource; `words` must all stand in the title or the description.
    """

    states: list[IncidentState]
    severities: list[Severity]
    sources: list[str]
    types: list[IncidentType]
    assignees: list[str]
    services: list[str]
    labels: list[tuple[str, str]]
    active_only: bool
    words: list[str]
    since: datetime | None
    until: datetime | None


class IncidentPage(Struct, kw_only=True, frozen=True):
    """A page of incidents; `total` is exact up to 10,000, beyond that `total_capped` is true."""

    incidents: list[IncidentOut]
    total: int
    page: int
    page_size: int
    next_cursor: str | None
    total_capped: bool = False


class TimelineEvent(Struct, kw_only=True, frozen=True):
    """One thing that happened to an incident, and why."""

    seq: int
    at: datetime
    type: str
    actor: str
    reason: str
    description: str
    data: dict[str, Any]


class TimelinePage(Struct, kw_only=True, frozen=True):
    """A page of the timeline, oldest first."""

    events: list[TimelineEvent]
    next_cursor: str | None
