"""From rows to what is shown."""

from typing import Any
from uuid import UUID

import msgspec

from incident_manager.models.incidents import Incident, TimelineEntry
from incident_manager.schemas.base import Link
from incident_manager.schemas.incidents import IncidentOut, Resolution, TimelineEvent

_SAME_NAME = tuple(
    name for name in IncidentOut.__struct_fields__ if name not in {"resolution", "related_incidents", "links"}
)


def view(incident: Incident) -> IncidentOut:
    """Return what the outside sees of an incident."""
    same = {name: getattr(incident, name) for name in _SAME_NAME}
    related = [UUID(incident_id) for incident_id in incident.related_incidents]
    return IncidentOut(**same, resolution=_resolution(incident), related_incidents=related, links=links(incident.links))


def plain(incident: Incident) -> dict[str, Any]:
    """Return the view as plain JSON values, for the audit's before and after."""
    values = msgspec.to_builtins(view(incident))
    return {key: value for key, value in values.items() if key not in {"updated_at", "version"}}


def links(stored: list[Any]) -> list[Link | str]:
    """Read links as they are stored: an address, or an address with its words."""
    return [msgspec.convert(link, Link) if isinstance(link, dict) else str(link) for link in stored]


def event(entry: TimelineEntry) -> TimelineEvent:
    """Return what the outside sees of a timeline entry."""
    return TimelineEvent(
        seq=entry.seq,
        at=entry.at,
        type=entry.type,
        actor=entry.actor,
        reason=entry.reason,
        description=entry.description,
        data=entry.data,
    )


def _resolution(incident: Incident) -> Resolution | None:
    if incident.resolved_at is None or incident.resolved_by is None or incident.resolution_method is None:
        return None
    return Resolution(
        resolved_at=incident.resolved_at,
        resolved_by=incident.resolved_by,
        resolution_method=incident.resolution_method,
        root_cause=incident.root_cause,
        notes=incident.resolution_notes or "",
    )
