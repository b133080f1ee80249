"""Changes to one locked incident, each with its timeline entry: what people, integrations and the engine have in common."""

from datetime import datetime
from typing import Final

from incident_manager.errors import InvalidTransition
from incident_manager.flows.timeline import Event, note
from incident_manager.flows.units import Unit
from incident_manager.models.incidents import Incident
from incident_manager.rules import lifecycle
from incident_manager.rules.lifecycle import IncidentState, Move, Step
from incident_manager.rules.severity import Severity
from incident_manager.schemas.incidents import ResolveIn

SEVERITY_RAISED: Final = "severity_raised"


def touch(unit: Unit, incident: Incident) -> None:
    """Mark an incident as changed: its version is what If-Match compares."""
    incident.version += 1
    incident.updated_at = unit.now


def acknowledge(unit: Unit, incident: Incident, by: str, reason: str) -> bool:
    """Take an incident; one that is acknowledged already stays as it is.

    Raises InvalidTransition where it is Resolved or Closed.
    """
    move = _allowed(lifecycle.acknowledge(incident.state))
    if incident.acknowledged_at is not None and move.step is Step.UNCHANGED:
        return False
    before = incident.state
    if move.step is Step.MOVED:
        incident.state = IncidentState.TRIAGED
    incident.acknowledged_at, incident.acknowledged_by = unit.now, by
    touch(unit, incident)
    note(
        unit,
        incident,
        Event.ACKNOWLEDGED,
        reason,
        f"acknowledged: {move.reason}",
        by=by,
        before=before,
        after=incident.state,
    )
    return True


def resolve(unit: Unit, incident: Incident, how: ResolveIn, reason: str) -> bool:
    """End an incident; one that is Resolved already stays as it is.

    Raises InvalidTransition where the table of moves says no.
    """
    move = _allowed(lifecycle.move(incident.state, IncidentState.RESOLVED))
    if move.step is Step.UNCHANGED:
        return False
    before = incident.state
    incident.state = IncidentState.RESOLVED
    incident.snoozed_until = None
    incident.resolved_at, incident.resolved_by = unit.now, how.resolved_by
    incident.resolution_method, incident.root_cause, incident.resolution_notes = (
        how.method,
        how.root_cause,
        how.notes,
    )
    touch(unit, incident)
    note(
        unit,
        incident,
        Event.RESOLVED,
        reason,
        f"resolved: {move.reason}",
        by=how.resolved_by,
        before=before,
        after=incident.state,
        method=how.method,
        root_cause=how.root_cause,
        notes=how.notes,
    )
    return True


def go(unit: Unit, incident: Incident, target: IncidentState, by: str, reason: str) -> bool:
    """Move an incident to a state other than Resolved (`resolve` says how it ended); the state it has is no move.

    Raises InvalidTransition where the table of moves says no.
    """
    move = _allowed(lifecycle.move(incident.state, target))
    return _go(unit, incident, move=move, target=target, by=by, reason=reason)


def reopen(unit: Unit, incident: Incident, by: str, reason: str) -> bool:
    """Take up an incident that has ended; one that is being investigated already stays as it is.

    Raises InvalidTransition where it has not ended.
    """
    move = _allowed(lifecycle.reopen(incident.state))
    return _go(unit, incident, move=move, target=IncidentState.INVESTIGATING, by=by, reason=reason)


def snooze(unit: Unit, incident: Incident, until: datetime, by: str, reason: str) -> bool:
    """Hold notifications and escalation until then; one that is snoozed until then already stays as it is.

    Raises InvalidTransition where it is Resolved or Closed.
    """
    _allowed(lifecycle.snooze(incident.state))
    if incident.snoozed_until == until:
        return False
    before, incident.snoozed_until = incident.snoozed_until, until
    touch(unit, incident)
    note(unit, incident, Event.SNOOZED, reason, "snoozed", by=by, before=before, until=until)
    return True


def unsnooze(unit: Unit, incident: Incident, by: str, reason: str) -> bool:
    """Let notifications and escalation go on; one that is not snoozed stays as it is."""
    if incident.snoozed_until is None:
        return False
    before, incident.snoozed_until = incident.snoozed_until, None
    touch(unit, incident)
    note(unit, incident, Event.UNSNOOZED, reason, f"no longer snoozed: {reason}", by=by, before=before)
    return True


def raise_severity(unit: Unit, incident: Incident, severity: Severity, reason: str, told: str, **data: object) -> None:
    """Make an incident more urgent, which ends its snooze; whoever calls this marks it as changed."""
    before, incident.severity = incident.severity, severity
    description = f"raised from {before} to {severity} by {told}"
    note(unit, incident, Event.SEVERITY_RAISED, reason, description, before=before, after=severity, **data)
    unsnooze(unit, incident, unit.actor.name, SEVERITY_RAISED)


def close_merged(unit: Unit, incident: Incident, into: Incident, by: str) -> None:
    """Close an incident whose alerts another one has taken over; from any state, and for good."""
    before = incident.state
    incident.state, incident.merged_into_id = IncidentState.CLOSED, into.id
    incident.closed_at, incident.closed_by, incident.snoozed_until = unit.now, by, None
    incident.occurrences = 0
    touch(unit, incident)
    data = {"into": str(into.id), "into_number": into.number, "before": before, "after": incident.state}
    note(unit, incident, Event.MERGED, "requested", f"merged into #{into.number}", by=by, **data)


def _go(unit: Unit, incident: Incident, *, move: Move, target: IncidentState, by: str, reason: str) -> bool:
    if move.step is Step.UNCHANGED:
        return False
    if move.step is Step.REOPENED and incident.merged_into_id is not None:
        raise InvalidTransition("was merged into another incident, which has its alerts now", allowed=[])
    before, data = incident.state, {}
    incident.state = target
    event = {Step.CLOSED: Event.CLOSED, Step.REOPENED: Event.REOPENED}.get(move.step, Event.STATE_CHANGED)
    if move.step is Step.CLOSED:
        incident.closed_at, incident.closed_by = unit.now, by
    elif move.step is Step.REOPENED:
        data = _clear_end(incident)
    touch(unit, incident)
    note(
        unit,
        incident,
        event,
        reason,
        f"{event.value.replace('_', ' ')}: {move.reason}",
        by=by,
        before=before,
        after=target,
        **data,
    )
    return True


def _clear_end(incident: Incident) -> dict[str, object]:
    """Take the end off an incident that goes on, and return it for the timeline, where it is kept."""
    kept: dict[str, object] = {
        "resolved_at": incident.resolved_at,
        "resolved_by": incident.resolved_by,
        "resolution_method": incident.resolution_method,
        "root_cause": incident.root_cause,
        "notes": incident.resolution_notes,
    }
    incident.resolved_at = incident.resolved_by = incident.resolution_method = None
    incident.root_cause = incident.resolution_notes = None
    incident.closed_at = incident.closed_by = None
    incident.acknowledged_at = incident.acknowledged_by = None
    return {"resolution": kept}


def _allowed(move: Move) -> Move:
    if move.step is Step.REFUSED:
        raise InvalidTransition(move.reason, allowed=[str(state) for state in move.allowed])
    return move
