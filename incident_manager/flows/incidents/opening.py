"""A new incident: from an alert that opens one, or by hand."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from incident_manager.flows.timeline import Event, note
from incident_manager.flows.units import Act, Unit
from incident_manager.models.incidents import Incident
from incident_manager.rules.incident_type import IncidentType
from incident_manager.rules.lifecycle import IncidentState
from incident_manager.rules.severity import Severity
from incident_manager.store.rows import NewIncident


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


def open_incident(act: Act, draft: Draft, reason: str, told: str, **data: str) -> NewIncident:
    """Make the incident's row and the first entry of its timeline; the caller writes the row."""
    incident = NewIncident(
        tenant_id=act.tenant_id,
        id=draft.id,
        number=draft.number,
        version=1,
        created_at=act.now,
        updated_at=act.now,
        state=IncidentState.DETECTED,
        severity=draft.severity,
        incident_type=draft.incident_type,
        source=draft.source,
        title=draft.title,
        description=draft.description,
        affected_resources=draft.affected_resources,
        labels=draft.labels,
        assignees=draft.assignees,
        links=draft.links,
        fingerprint=draft.fingerprint,
        occurrences=1,
        first_seen_at=draft.seen_at,
        last_seen_at=draft.seen_at,
        recurrence_of_id=draft.recurrence_of_id,
        related_incidents=[],
    )
    if draft.recurrence_of_id:
        data["recurrence_of_id"] = str(draft.recurrence_of_id)
    note(act, incident, Event.OPENED, reason, told, severity=draft.severity, **data)
    return incident


def add_incident(unit: Unit, draft: Draft, reason: str, told: str, **data: str) -> Incident:
    """Open an incident in the unit's session, which writes it."""
    opened = open_incident(unit, draft, reason, told, **data)
    incident = Incident(**msgspec.structs.asdict(opened))
    unit.session.add(incident)
    return incident
