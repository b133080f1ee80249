"""Incidents and each other: linked, merged into one, split in two.

Locks are taken in intake's order: deduplication keys, then incidents by id.
"""

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from incident_manager.errors import Conflict, InvalidTransition, NotFound, ValidationFailed
from incident_manager.flows.incidents import moves
from incident_manager.flows.incidents.opening import Draft, add_incident
from incident_manager.flows.incidents.requests import BY_REQUEST
from incident_manager.flows.incidents.views import plain, view
from incident_manager.flows.timeline import Event, note, record
from incident_manager.flows.units import Unit
from incident_manager.ids import new_id
from incident_manager.models.alerts import Alert, DedupKey
from incident_manager.models.incidents import Incident
from incident_manager.rules import lifecycle
from incident_manager.rules.absorb import Facts, absorb
from incident_manager.rules.dedup import Verdict
from incident_manager.schemas.incidents import RELATED_LIMIT, IncidentOut
from incident_manager.store import alert_chain
from incident_manager.store import alerts as alert_store
from incident_manager.store import incidents as store
from incident_manager.store.numbers import NumberPromise

_COUNTED = frozenset({Verdict.OPEN, Verdict.ATTACH})  # what `occurrences` counts


async def link(unit: Unit, reference: str, others: Sequence[str]) -> IncidentOut:
    """Let incidents name each other as related; those that do already stay as they are.

    Raises NotFound, ValidationFailed for the incident itself and where one would have more than RELATED_LIMIT.
    """
    incident, *related = await store.lock_referred(unit.session, [reference, *others])
    _check_others(incident, related, "incident_ids")
    with _audited(unit, "link", [incident, *related]):
        for other in related:
            if str(other.id) not in incident.related_incidents:
                _relate(unit, incident, other)
                _relate(unit, other, incident)
    return view(incident)


async def unlink(unit: Unit, reference: str, others: Sequence[str]) -> IncidentOut:
    """Undo a link; what is not linked stays as it is.

    Raises NotFound, ValidationFailed for the incident itself.
    """
    incident, *related = await store.lock_referred(unit.session, [reference, *others])
    _check_others(incident, related, "incident_ids")
    with _audited(unit, "unlink", [incident, *related]):
        for other in related:
            if str(other.id) in incident.related_incidents:
                _part(unit, incident, other)
                _part(unit, other, incident)
    return view(incident)


async def merge(unit: Unit, reference: str, into: str) -> IncidentOut:
    """Let another incident take this one's alerts, keys and later repeats, and close this one; return this one.

    Its alerts move in one statement, so this takes as long as there are many, of its own and of the other one since its first.
    Merged into that one already: as it is.
    Raises NotFound, ValidationFailed for itself, Conflict where `into` has ended or this one was merged into a third.
    """
    await alert_store.lock_keys_of(unit.session, [reference, into])
    incident, target = await store.lock_referred(unit.session, [reference, into])
    _check_others(incident, [target], "into")
    if incident.merged_into_id == target.id:
        return view(incident)
    if incident.merged_into_id is not None:
        raise Conflict("it was merged into another incident before", incident_id=str(incident.merged_into_id))
    if not lifecycle.is_active(target.state):
        raise Conflict(f"#{target.number} is {target.state} and takes nothing in", incident_id=str(target.id))
    with _audited(unit, "merge", [incident, target]):
        await alert_store.rename_keys(unit.session, incident.id, target.id)
        moved = await alert_chain.move(unit.session, incident, target)
        _take_in(unit, target, incident, moved)
        moves.close_merged(unit, incident, target, unit.actor.name)
    return view(incident)


async def split(unit: Unit, reference: str, alert_ids: Sequence[UUID], numbers: NumberPromise) -> IncidentOut:
    """Open a new incident of some of an incident's alerts, and return it.

    A fingerprint's later repeats follow its alerts where all of them have moved; where some stay, they stay with those.
    Raises NotFound, InvalidTransition where it has ended, ValidationFailed for alerts of another incident, for alerts none of
    which fires, and where nothing would stay.
    """
    numbers.rewind()
    keys = await alert_store.lock_keys_of(unit.session, [reference])
    incident = await store.get(unit.session, reference, for_update=True)
    if not lifecycle.is_active(incident.state):
        raise InvalidTransition(f"{incident.state} cannot be split", allowed=lifecycle.ALLOWED[incident.state])
    alerts = await alert_store.list_by_id(unit.session, alert_ids)
    counted = _counted(incident, alerts, alert_ids)
    with _audited(unit, "split", [incident]):
        going, marks = [alert.id for alert in alerts], {alert.fingerprint for alert in alerts}
        staying = set(await alert_chain.list_fingerprints(unit.session, incident.id, marks, but=going))
        new = _open_split(unit, incident, counted, numbers.next())
        await unit.session.flush()
        await alert_chain.move(unit.session, incident, new, only=going)
        _share_keys(keys, incident, new, marks - staying)
        incident.occurrences -= len(counted)
        moves.touch(unit, incident)
        told = f"{len(alerts)} alerts went to #{new.number}"
        note(unit, incident, Event.SPLIT, BY_REQUEST, told, into=str(new.id), into_number=new.number)
    record(unit, "create", resource="incident", resource_id=new.id, before={}, after=plain(new))
    return view(new)


def _check_others(incident: Incident, others: Sequence[Incident], field: str) -> None:
    if incident in others:
        raise ValidationFailed.of(field, "names the incident itself")


@contextmanager
def _audited(unit: Unit, action: str, incidents: Sequence[Incident]) -> Iterator[None]:
    """Record on the audit each of these incidents that changes meanwhile."""
    before = [(incident, plain(incident), incident.version) for incident in dict.fromkeys(incidents)]
    yield
    for incident, was, version in before:
        if incident.version != version:
            record(unit, action, resource="incident", resource_id=incident.id, before=was, after=plain(incident))


def _relate(unit: Unit, incident: Incident, other: Incident) -> None:
    if len(incident.related_incidents) >= RELATED_LIMIT:
        message = f"#{incident.number} has {RELATED_LIMIT} related incidents, the most there may be"
        raise ValidationFailed.of("incident_ids", message)
    incident.related_incidents = [*incident.related_incidents, str(other.id)]
    moves.touch(unit, incident)
    data = {"incident_id": str(other.id), "incident_number": other.number}
    note(unit, incident, Event.LINKED, BY_REQUEST, f"linked to #{other.number}", **data)


def _part(unit: Unit, incident: Incident, other: Incident) -> None:
    incident.related_incidents = [found for found in incident.related_incidents if found != str(other.id)]
    moves.touch(unit, incident)
    data = {"incident_id": str(other.id), "incident_number": other.number}
    note(unit, incident, Event.UNLINKED, BY_REQUEST, f"no longer linked to #{other.number}", **data)


def _take_in(unit: Unit, target: Incident, incident: Incident, alerts: int) -> None:
    held, more = _facts(target), _facts(incident)
    merged = absorb(held, more)
    target.labels, target.affected_resources = dict(merged.labels), list(merged.services)
    target.occurrences += incident.occurrences
    target.first_seen_at = min(target.first_seen_at, incident.first_seen_at)
    target.last_seen_at = max(target.last_seen_at, incident.last_seen_at)
    target.holds_several = True
    moves.touch(unit, target)
    data = {"incident_id": str(incident.id), "incident_number": incident.number, "alerts": alerts}
    note(unit, target, Event.MERGED, BY_REQUEST, f"took in #{incident.number}", **data)
    if merged.severity != held.severity:
        moves.raise_severity(unit, target, merged.severity, "merged", f"#{incident.number}")


def _facts(incident: Incident) -> Facts:
    return Facts(severity=incident.severity, labels=incident.labels, services=incident.affected_resources)


def _counted(incident: Incident, alerts: Sequence[Alert], wanted: Sequence[UUID]) -> list[Alert]:
    """Return those of the chosen alerts that `occurrences` counts, oldest first.

    Raises as `split` does.
    """
    by_id = {alert.id: alert for alert in alerts}
    for place, alert_id in enumerate(wanted):
        if alert_id not in by_id:
            raise NotFound("no such alert")
        if by_id[alert_id].incident_id != incident.id:
            raise ValidationFailed.of(f"alert_ids[{place}]", "is not an alert of this incident")
    counted = [alert for alert in alerts if alert.outcome in _COUNTED]
    if not counted:
        raise ValidationFailed.of("alert_ids", "holds no alert that fires")
    if len(counted) >= incident.occurrences:
        raise ValidationFailed.of("alert_ids", "would leave nothing of the incident")
    return counted


def _open_split(unit: Unit, incident: Incident, alerts: Sequence[Alert], number: int) -> Incident:
    """Open an incident of alerts as if they had come by themselves, its words the first one's."""
    first = alerts[0]
    each = (Facts(severity=one.severity, labels=one.labels, services=one.affected_services) for one in alerts)
    facts = functools.reduce(absorb, each)
    draft = Draft(
        id=new_id(),
        seen_at=first.received_at,
        number=number,
        source=first.source,
        title=first.title,
        description=first.description,
        severity=facts.severity,
        incident_type=first.alert_type,
        fingerprint=first.fingerprint,
        affected_resources=list(dict.fromkeys(facts.services)),
        labels=dict(facts.labels),
        assignees=[],
        links=first.links,
        recurrence_of_id=None,
    )
    origin = {"split_from": str(incident.id), "split_from_number": str(incident.number)}
    new = add_incident(unit, draft, "split", f"split from #{incident.number}", **origin)
    new.occurrences, new.last_seen_at = len(alerts), max(alert.received_at for alert in alerts)
    new.holds_several = len({alert.fingerprint for alert in alerts}) > 1
    return new


def _share_keys(keys: Sequence[DedupKey], incident: Incident, new: Incident, gone: set[str]) -> None:
    """Let the keys of fingerprints that have gone name the new incident; what stays is known by a fingerprint of its own."""
    mine = [key for key in keys if key.incident_id == incident.id]
    for key in mine:
        if key.fingerprint in gone:
            key.incident_id = new.id
    left = [key.fingerprint for key in mine if key.fingerprint not in gone]
    if incident.fingerprint in gone and left:
        incident.fingerprint = left[0]
