"""Writing history: the timeline of an incident, and the audit of what people and keys change."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any
from uuid import UUID

from incident_manager.flows.units import Act, Unit
from incident_manager.ids import new_id
from incident_manager.models.audit import AuditEntry
from incident_manager.models.incidents import Incident
from incident_manager.store.rows import EntryRow, HeldIncident


class Event(StrEnum):
    """What can stand on a timeline."""

    OPENED = "opened"
    ATTACHED = "attached"
    SEVERITY_RAISED = "severity_raised"
    ACKNOWLEDGED = "acknowledged"
    STATE_CHANGED = "state_changed"
    RESOLVED = "resolved"
    CLOSED = "closed"
    REOPENED = "reopened"
    CHANGED = "changed"
    NOTE = "note"
    SNOOZED = "snoozed"
    UNSNOOZED = "unsnoozed"
    LINKED = "linked"
    UNLINKED = "unlinked"
    MERGED = "merged"
    SPLIT = "split"
    OUT_OF_ORDER = "out_of_order"
    PARTLY_RESOLVED = "partly_resolved"


def note(act: Act, incident: Incident | HeldIncident, event: Event, reason: str, description: str, **data: Any) -> None:
    """Put one thing that happened on an incident's timeline; the incident must be new or locked, so that `seq` has no gap."""
    incident.timeline_length += 1
    act.entries.append(
        EntryRow(
            tenant_id=act.tenant_id,
            incident_id=incident.id,
            seq=incident.timeline_length,
            at=act.now,
            type=event.value,
            actor=data.pop("by", None) or act.actor.name,
            reason=reason,
            description=description,
            data=data,
        )
    )


def record(
    unit: Unit,
    action: str,
    *,
    resource: str,
    resource_id: UUID,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> None:
    """Put a change on the audit: only fields that differ; values must be plain JSON and no secret."""
    changed = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    unit.session.add(
        AuditEntry(
            tenant_id=unit.tenant_id,
            id=new_id(),
            at=unit.now,
            actor_kind=unit.actor.kind,
            actor=unit.actor.name,
            actor_id=unit.actor.id,
            request_id=unit.actor.request_id,
            action=action,
            resource=resource,
            resource_id=resource_id,
            before={key: before[key] for key in changed if key in before},
            after={key: after[key] for key in changed if key in after},
        )
    )
