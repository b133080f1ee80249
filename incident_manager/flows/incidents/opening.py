"""A new incident: from an alert that opens one, or by hand."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from incident_manager.flows.timeline import Event, note
from incident_manager.flows.units import Unit
from incident_manager.models.incidents import Incident
from incident_manager.rules.incident_type import IncidentType
from incident_manager.rules.lifecycle import IncidentState
from incident_manager.rules.severity import Severity


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What a new incident starts with; `seen_at` is when its first alert was received."""

    id: UUID
    seen_at: datetime
    number: int
    source: str
    title: str
    description: str
    severity: Severity
    incident_type: IncidentType
    fingerprint: str
    affected_resources: list[str]
    labels: dict[str, str]
    assignees: list[str]
    links: list[Any]
    recurrence_of_id: UUID | None


def open_incident(unit: Unit, draft: Draft, reason: str, told: str, **data: str) -> Incident:
    """Make the incident and the first entry of its timeline; the session writes both."""
    incident = Incident(
        tenant_id=unit.tenant_id,
        version=1,
        created_at=unit.now,
        updated_at=unit.now,
        state=IncidentState.DETECTED,
        occurrences=1,
        first_seen_at=draft.seen_at,
        last_seen_at=draft.seen_at,
        timeline_length=0,
        related_incidents=[],
        holds_several=False,
        **{name: getattr(draft, name) for name in Draft.__struct_fields__ if name != "seen_at"},
    )
    unit.session.add(incident)
    if draft.recurrence_of_id:
        data["recurrence_of_id"] = str(draft.recurrence_of_id)
    note(unit, incident, Event.OPENED, reason, told, severity=draft.severity, **data)
    return incident
