"""What people and tools ask of incidents: each locks, checks, moves, and records it on the audit."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import UNSET

from incident_manager.errors import Conflict, ValidationFailed
from incident_manager.flows import dedup_keys, versions
from incident_manager.flows.incidents import moves
from incident_manager.flows.incidents.opening import Draft, add_incident
from incident_manager.flows.incidents.views import plain, view
from incident_manager.flows.timeline import Event, note, record
from incident_manager.flows.units import Unit
from incident_manager.ids import new_id
from incident_manager.models.alerts import DedupKey
from incident_manager.models.incidents import Incident
from incident_manager.rules import dedup, fingerprint
from incident_manager.rules.dedup import MESSAGES, DedupPolicy, Report, Verdict
from incident_manager.rules.lifecycle import IncidentState, ResolutionMethod
from incident_manager.rules.severity import Severity
from incident_manager.schemas.incidents import IncidentIn, IncidentOut, IncidentPatch, ResolveIn
from incident_manager.store import alerts as alert_store
from incident_manager.store import incidents as store
from incident_manager.store.numbers import NumberPromise

BY_REQUEST: Final = "requested"
SNOOZE_LIMIT: Final = timedelta(days=366)
_PLAIN_FIELDS = (
    "severity",
    "title",
    "description",
    "assignees",
    "labels",
    "affected_resources",
    "service",
    "team",
)


async def create(unit: Unit, wanted: IncidentIn, policy: DedupPolicy, numbers: NumberPromise) -> IncidentOut:
    """Open an incident by hand; later alerts of the same fingerprint attach to it.

    Raises Conflict with `incident_id` where an alert like this would have attached.
    """
    numbers.rewind()
    mark = fingerprint.of_text(wanted.source, wanted.incident_type, wanted.title, wanted.affected_resources)
    incident_id = new_id()
    report = Report(status=dedup.AlertStatus.FIRING, occurred_at=unit.now, received_at=unit.now)
    key = await alert_store.lock_key(unit.session, dedup_keys.new_row(unit.tenant_id, mark, report, incident_id))
    known = dedup_keys.known_state(key, incident_id)
    decision = dedup.decide(known, report, policy)
    if decision.verdict is not Verdict.OPEN:
        message = "an open incident of this source, type, title and resources exists"
        raise Conflict(message, incident_id=str(key.incident_id))
    draft = Draft(
        id=incident_id,
        seen_at=unit.now,
        number=numbers.next(),
        fingerprint=mark,
        links=[],
        recurrence_of_id=known.incident_id,
        **{name: getattr(wanted, name) for name in IncidentIn.__struct_fields__},
    )
    incident = add_incident(unit, draft, decision.reason, MESSAGES[decision.reason])
    dedup_keys.save(key, dedup.advance(known, report, decision.verdict, incident_id))
    record(unit, "create", resource="incident", resource_id=incident.id, before={}, after=plain(incident))
    return view(incident)


async def change(unit: Unit, reference: str, patch: IncidentPatch, if_match: str | None) -> IncidentOut:
    """Change what the patch names; a state in it is a move in full, Resolved a resolve by `actor`.

    Raises NotFound, VersionConflict, InvalidTransition.
    """
    by = unit.actor.name if patch.actor is UNSET else patch.actor

    def apply(incident: Incident) -> None:
        _set_fields(unit, incident, patch, by)
        if patch.state is IncidentState.RESOLVED:
            how = ResolveIn(resolved_by=by, notes="", method=ResolutionMethod.MANUAL)
            moves.resolve(unit, incident, how, BY_REQUEST)
        elif patch.state is not UNSET:
            moves.go(unit, incident, patch.state, by, BY_REQUEST)

    return await _changed(
        unit, reference, action="update", apply=apply, if_match=if_match, moves_activity=patch.state is not UNSET
    )


async def acknowledge(unit: Unit, reference: str, by: str | None) -> IncidentOut:
    """Take an incident.

    Raises NotFound, InvalidTransition.
    """
    by = by or unit.actor.name
    return await _changed(
        unit, reference, action="acknowledge", apply=lambda incident: moves.acknowledge(unit, incident, by, BY_REQUEST)
    )


async def resolve(unit: Unit, reference: str, how: ResolveIn) -> IncidentOut:
    """End an incident.

    Raises NotFound, InvalidTransition.
    """

    def apply(incident: Incident) -> None:
        moves.resolve(unit, incident, how, BY_REQUEST)

    return await _changed(unit, reference, action="resolve", apply=apply, moves_activity=True)


async def close(unit: Unit, reference: str) -> IncidentOut:
    """Put a Resolved incident away.

    Raises NotFound, InvalidTransition.
    """

    def apply(incident: Incident) -> None:
        moves.go(unit, incident, IncidentState.CLOSED, unit.actor.name, BY_REQUEST)

    return await _changed(unit, reference, action="close", apply=apply, moves_activity=True)


async def reopen(unit: Unit, reference: str, reason: str) -> IncidentOut:
    """Take up a Resolved or Closed incident again; the timeline keeps how it had ended.

    Raises NotFound, InvalidTransition.
    """

    def apply(incident: Incident) -> None:
        moves.reopen(unit, incident, unit.actor.name, reason)

    return await _changed(unit, reference, action="reopen", apply=apply, moves_activity=True)


async def snooze(unit: Unit, reference: str, until: datetime | None) -> IncidentOut:
    """Hold notifications and escalation until then; None lets them go on.

    Raises NotFound, InvalidTransition, ValidationFailed for a time that is not ahead, or further than a year.
    """
    if until is not None and not unit.now < until <= unit.now + SNOOZE_LIMIT:
        raise ValidationFailed.of("until", f"must be ahead, by at most {SNOOZE_LIMIT.days} days")
    by = unit.actor.name

    def apply(incident: Incident) -> None:
        if until is None:
            moves.unsnooze(unit, incident, by, BY_REQUEST)
        else:
            moves.snooze(unit, incident, until, by, BY_REQUEST)

    return await _changed(unit, reference, action="snooze", apply=apply)


async def add_note(unit: Unit, reference: str, content: str) -> IncidentOut:
    """Write a note on the timeline.

    Raises NotFound.
    """

    def apply(incident: Incident) -> None:
        moves.touch(unit, incident)
        note(unit, incident, Event.NOTE, BY_REQUEST, content)

    return await _changed(unit, reference, action="note", apply=apply)


async def _changed(
    unit: Unit,
    reference: str,
    *,
    action: str,
    apply: Callable[[Incident], object],
    if_match: str | None = None,
    moves_activity: bool = False,
) -> IncidentOut:
    """Lock (keys before the incident, as intake does), check, apply, and audit what changed."""
    locked: Sequence[DedupKey] = await alert_store.lock_keys_of(unit.session, [reference]) if moves_activity else ()
    incident = await store.get(unit.session, reference, for_update=True)
    versions.check(incident.version, if_match)
    before, version = plain(incident), incident.version
    apply(incident)
    if incident.version != version:
        await dedup_keys.follow(unit, locked, incident)
        record(unit, action, resource="incident", resource_id=incident.id, before=before, after=plain(incident))
    return view(incident)


def _set_fields(unit: Unit, incident: Incident, patch: IncidentPatch, by: str) -> None:
    wanted = {name: getattr(patch, name) for name in _PLAIN_FIELDS if getattr(patch, name) is not UNSET}
    changed = {name: value for name, value in wanted.items() if getattr(incident, name) != value}
    if not changed:
        return
    raised = Severity(changed.get("severity", incident.severity)) < incident.severity
    before = {name: getattr(incident, name) for name in changed}
    for name, value in changed.items():
        setattr(incident, name, value)
    moves.touch(unit, incident)
    event = Event.SEVERITY_RAISED if raised else Event.CHANGED
    note(
        unit,
        incident,
        event,
        BY_REQUEST,
        f"changed {', '.join(changed)}",
        by=by,
        before=before,
        after=changed,
    )
    if raised:
        moves.unsnooze(unit, incident, by, moves.SEVERITY_RAISED)
