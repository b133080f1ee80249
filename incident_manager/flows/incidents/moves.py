"""Changes to one locked incident, each with its timeline entry: what people, integrations and the engine have in common."""

from datetime import datetime
from typing import Final

from incident_manager.errors import InvalidTransition
from incident_manager.flows.timeline import Event, note
from incident_manager.flows.units import Act
from incident_manager.models.incidents import Incident
from incident_manager.rules import lifecycle
from incident_manager.rules.lifecycle import IncidentState, Move, Step
from incident_manager.rules.severity import Severity
from incident_manager.schemas.incidents import ResolveIn
from incident_manager.store.rows import HeldIncident

AnyIncident = Incident | HeldIncident  # a locked one, in a session or in the intake

SEVERITY_RAISED: Final = "severity_raised"


def touch(act: Act, incident: AnyIncident) -> None:
    """Mark an incident as changed: its version is what If-Match compares."""
    incident.version += 1
    incident.updated_at = act.now


def acknowledge(act: Act, incident: AnyIncident, by: str, reason: str) -> bool:
    """Take an incident; one that is acknowledged already stays as it is.

    Raises InvalidTransition where it is Resolved or Closed.
    """
    move = _allowed(lifecycle.acknowledge(incident.state))
    if incident.acknowledged_at is not None and move.step is Step.UNCHANGED:
        return False
    before = incident.state
    if move.step is Step.MOVED:
        incident.state = IncidentState.TRIAGED
    incident.acknowledged_at, incident.acknowledged_by = act.now, by
    touch(act, incident)
    note(
        act,
        incident,
        Event.ACKNOWLEDGED,
        reason,
        f"acknowledged: {move.reason}",
        by=by,
        before=before,
        after=incident.state,
    )
    return True


def resolve(act: Act, incident: AnyIncident, how: ResolveIn, reason: str) -> bool:
    """End an incident; one that is Resolved already stays as it is.

    Raises InvalidTransition where the table of moves says no.
    """
    move = _allowed(lifecycle.move(incident.state, IncidentState.RESOLVED))
    if move.step is Step.UNCHANGED:
        return False
    before = incident.state
    incident.state = IncidentState.RESOLVED
    incident.snoozed_until = None
    incident.resolved_at, incident.resolved_by = act.now, how.resolved_by
    incident.resolution_method, incident.root_cause, incident.resolution_notes = (
        how.method,
        how.root_cause,
        how.notes,
    )
    touch(act, incident)
    note(
        act,
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


def go(act: Act, incident: AnyIncident, target: IncidentState, by: str, reason: str) -> bool:
    """Move an incident to a state other than Resolved (`resolve` says how it ended); the state it has is no move.

    Raises InvalidTransition where the table of moves says no.
    """
    move = _allowed(lifecycle.move(incident.state, target))
    return _go(act, incident, move=move, target=target, by=by, reason=reason)


def reopen(act: Act, incident: AnyIncident, by: str, reason: str) -> bool:
    """Take up an incident that has ended; one that is being investigated already stays as it is.

    Raises InvalidTransition where it has not ended.
    """
    move = _allowed(lifecycle.reopen(incident.state))
    return _go(act, incident, move=move, target=IncidentState.INVESTIGATING, by=by, reason=reason)


def snooze(act: Act, incident: AnyIncident, until: datetime, by: str, reason: str) -> bool:
    """Hold notifications and escalation until then; one that is snoozed until then already stays as it is.

    Raises InvalidTransition where it is Resolved or Closed.
    """
    _allowed(lifecycle.snooze(incident.state))
    if incident.snoozed_until == until:
        return False
    before, incident.snoozed_until = incident.snoozed_until, until
    touch(act, incident)
    note(act, incident, Event.SNOOZED, reason, "snoozed", by=by, before=before, until=until)
    return True


def unsnooze(act: Act, incident: AnyIncident, by: str, reason: str) -> bool:
    """Let notifications and escalation go on; one that is not snoozed stays as it is."""
    if incident.snoozed_until is None:
        return False
    before, incident.snoozed_until = incident.snoozed_until, None
    touch(act, incident)
    note(act, incident, Event.UNSNOOZED, reason, f"no longer snoozed: {reason}", by=by, before=before)
    return True


def raise_severity(act: Act, incident: AnyIncident, severity: Severity, reason: str, told: str, **data: object) -> None:
    """Make an incident more urgent, which ends its snooze; whoever calls this marks it as changed."""
    before, incident.severity = incident.severity, severity
    description = f"raised from {before} to {severity} by {told}"
    note(act, incident, Event.SEVERITY_RAISED, reason, description, before=before, after=severity, **data)
    unsnooze(act, incident, act.actor.name, SEVERITY_RAISED)


def close_merged(act: Act, incident: AnyIncident, into: AnyIncident, by: str) -> None:
    """Close an incident whose alerts another one has taken over; from any state, and for good."""
    before = incident.state
    incident.state, incident.merged_into_id = IncidentState.CLOSED, into.id
    incident.closed_at, incident.closed_by, incident.snoozed_until = act.now, by, None
    incident.occurrences = 0
    touch(act, incident)
    data = {"into": str(into.id), "into_number": into.number, "before": before, "after": incident.state}
    note(act, incident, Event.MERGED, "requested", f"merged into #{into.number}", by=by, **data)


def _go(act: Act, incident: AnyIncident, *, move: Move, target: IncidentState, by: str, reason: str) -> bool:
    if move.step is Step.UNCHANGED:
        return False
    if move.step is Step.REOPENED and incident.merged_into_id is not None:
        raise InvalidTransition("was merged into another incident, which has its alerts now", allowed=[])
    before, data = incident.state, {}
    incident.state = target
    event = {Step.CLOSED: Event.CLOSED, Step.REOPENED: Event.REOPENED}.get(move.step, Event.STATE_CHANGED)
    if move.step is Step.CLOSED:
        incident.closed_at, incident.closed_by = act.now, by
    elif move.step is Step.REOPENED:
        data = _clear_end(incident)
    touch(act, incident)
    note(
        act,
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


def _clear_end(incident: AnyIncident) -> dict[str, object]:
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
