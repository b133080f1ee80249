"""What becomes of the alerts of a batch: decided one after the other on what is locked, written all at once afterwards.

Pure but for new ids: no statement runs in here, so a batch of any size is decided between two of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec

from incident_manager.flows import dedup_keys
from incident_manager.flows.incidents import moves
from incident_manager.flows.incidents.opening import Draft, open_incident
from incident_manager.flows.intake.submissions import Key, Submission
from incident_manager.flows.timeline import Event, note
from incident_manager.flows.units import Act
from incident_manager.ids import new_id
from incident_manager.rules import dedup, lifecycle
from incident_manager.rules.absorb import Facts, absorb
from incident_manager.rules.dedup import Decision, Reason, Verdict
from incident_manager.rules.lifecycle import ResolutionMethod
from incident_manager.schemas.incidents import ResolveIn
from incident_manager.store.intake import Changes, FiringKey, Locked
from incident_manager.store.numbers import NumberPromise
from incident_manager.store.rows import CountedIncident, HeldIncident, KeyRow, NewIncident


class Outcome(NamedTuple):
    """What became of one alert: the decision, the incident it names (None for none), and that incident's count by then."""

    decision: Decision
    incident: HeldIncident | None
    occurrence: int


class _Before(NamedTuple):
    version: int
    occurrences: int
    timeline_length: int
    last_alert_id: UUID | None


def _before(incident: HeldIncident) -> _Before:
    return _Before(incident.version, incident.occurrences, incident.timeline_length, incident.last_alert_id)


class Batch:
    """Alerts that share a transaction. It is told what is locked (`know`, `hold`, `learn`), then decides each alert in turn."""

    def __init__(self, submissions: Sequence[Submission], numbers: Mapping[UUID, NumberPromise]) -> None:
        self._submissions = submissions
        self._numbers = numbers
        self._first: dict[Key, KeyRow] = {}
        self._first_ids: dict[Key, UUID] = {}
        self._stored: dict[Key, KeyRow] = {}
        self._states: dict[Key, KeyRow] = {}
        self._incidents: dict[UUID, HeldIncident] = {}
        self._of_key: defaultdict[Key, list[HeldIncident]] = defaultdict(list)
        self._before: dict[UUID, _Before] = {}
        self._opened: list[NewIncident] = []
        self._firing: Sequence[FiringKey] = ()
        self._changes = Changes()
        self.ended: list[HeldIncident] = []
        for submission in submissions:
            if submission.key not in self._first:
                opens_id = self._first_ids[submission.key] = new_id()
                self._first[submission.key] = dedup_keys.new_row(*submission.key, submission.report, opens_id)

    @property
    def first_rows(self) -> list[KeyRow]:
        """The rows of its fingerprints as they would be after its first alerts of each, were they new."""
        return list(self._first.values())

    @property
    def rows(self) -> list[KeyRow]:
        """The rows of its fingerprints as they stand."""
        return list(self._states.values())

    @property
    def resolves(self) -> bool:
        """Whether an alert may end incidents, all of which must be held then."""
        return any(submission.report.status is dedup.AlertStatus.RESOLVED for submission in self._submissions)

    @property
    def several(self) -> list[HeldIncident]:
        """The incidents it holds that hold several fingerprints, since a merge."""
        return [incident for incident in self._incidents.values() if incident.holds_several]

    def know(self, locked: Locked) -> list[KeyRow]:
        """Take in what is known of the fingerprints, and return those whose incident is still to be held."""
        self.hold(locked.incidents)
        missing = []
        for key in locked.keys:
            name = key.tenant_id, key.fingerprint
            if key.incident_id is not None and key.incident_id == self._first_ids[name]:
                self._stored[name] = self._first[name]  # new, and written as it will be if all goes as it looks
                continue
            self._stored[name] = self._states[name] = key
            if key.incident_id is not None and key.incident_id not in self._incidents:
                missing.append(key)
        for name in self._first.keys() - self._states.keys():
            self._states[name] = KeyRow(tenant_id=name[0], fingerprint=name[1])
        return missing

    def hold(self, incidents: Iterable[HeldIncident]) -> None:
        """Take in locked incidents."""
        for incident in incidents:
            if incident.id not in self._incidents:
                self._add(incident)
                self._before[incident.id] = _before(incident)

    def learn(self, firing: Sequence[FiringKey]) -> None:
        """Take in which keys fire of the incidents that hold several fingerprints."""
        self._firing = firing

    def decide(self, submission: Submission) -> Outcome:
        """Decide one alert, and carry its key's state on to the next."""
        key, report = submission.key, submission.report
        known = self._states[key]
        decision = dedup.decide(known, report, submission.policy)
        opened_id = None
        if decision.verdict is Verdict.OPEN:
            opened_id = self._first_ids[key] if known.incident_id is None else new_id()
        self._states[key] = dedup.advance(known, report, decision.verdict, opened_id)
        outcome = self._apply(submission, decision, known)
        row = submission.row
        row.incident_id = row.previous_id = None  # a row is decided anew where its transaction is repeated
        if incident := outcome.incident:
            row.incident_id, row.previous_id = incident.id, incident.last_alert_id
            incident.last_alert_id = row.id
        row.outcome, row.reason = outcome.decision
        row.occurrence = outcome.occurrence
        self._changes.alerts.append(row)
        return outcome

    def changes(self) -> Changes:
        """Return what is to be written."""
        changes = self._changes
        changes.opened = self._opened
        changes.keys = [state for key, state in self._states.items() if state != self._stored.get(key)]
        for incident_id, before in self._before.items():
            incident = self._incidents[incident_id]
            if incident.version != before.version:
                changes.changed.append(incident)
            elif _before(incident) != before:
                changes.counted.append(_counted(incident))
        return changes

    def _apply(self, submission: Submission, decision: Decision, known: KeyRow) -> Outcome:
        match decision.verdict:
            case Verdict.OPEN:
                return self._open(submission, decision, known)
            case Verdict.ATTACH:
                return self._attach(submission, decision)
            case Verdict.RESOLVE:
                return self._resolve(submission, known)
            case Verdict.ACKNOWLEDGE:
                return self._acknowledge(submission, decision)
            case Verdict.SUPPRESS | Verdict.NOTHING:
                return self._leave(submission, decision)

    def _open(self, submission: Submission, decision: Decision, known: KeyRow) -> Outcome:
        row = submission.row
        draft = Draft(
            id=self._named(submission),
            seen_at=row.received_at,
            number=self._numbers[row.tenant_id].next(),
            source=row.source,
            title=row.title,
            description=row.description,
            severity=row.severity,
            incident_type=row.alert_type,
            fingerprint=row.fingerprint,
            affected_resources=list(dict.fromkeys(row.affected_services)),
            labels=row.labels,
            assignees=[],
            links=row.links,
            recurrence_of_id=known.incident_id,
        )
        incident = open_incident(self._act(submission), draft, decision.reason, dedup.MESSAGES[decision.reason])
        self._opened.append(incident)
        self._add(incident)
        return Outcome(decision, incident, 1)

    def _attach(self, submission: Submission, decision: Decision) -> Outcome:
        incident, seen_at = self._incidents[self._named(submission)], submission.row.received_at
        incident.occurrences += 1
        incident.last_seen_at = max(incident.last_seen_at, seen_at)
        if incident.occurrences == 2:  # noqa: PLR2004 - the first repeat is told, later ones are counted and listed as alerts
            alert_id = str(submission.row.id)
            act = self._act(submission)
            note(act, incident, Event.ATTACHED, decision.reason, "a repeat attached", alert_id=alert_id)
        self._merge(incident, submission)
        return Outcome(decision, incident, incident.occurrences)

    def _merge(self, incident: HeldIncident, submission: Submission) -> None:
        row, before = submission.row, incident.severity
        held = Facts(severity=before, labels=incident.labels, services=incident.affected_resources)
        merged = absorb(held, Facts(severity=row.severity, labels=row.labels, services=row.affected_services))
        if merged is held or merged == held:
            return
        act = self._act(submission)
        incident.labels, incident.affected_resources = dict(merged.labels), list(merged.services)
        moves.touch(act, incident)
        if merged.severity != before:
            alert_id = str(row.id)
            moves.raise_severity(act, incident, merged.severity, "more_urgent_alert", "a repeat", alert_id=alert_id)

    def _resolve(self, submission: Submission, known: KeyRow) -> Outcome:
        """End what is open of the fingerprint, but what holds others that still fire; the newest of what it changed answers."""
        how = ResolveIn(resolved_by=submission.row.source, notes="", method=ResolutionMethod.AUTOMATED)
        act, outcome = self._act(submission), Outcome(Decision(Verdict.NOTHING, Reason.NOTHING_OPEN), None, 0)
        for incident in self._open_of(submission.key):
            decision = dedup.ends(others_firing=self._others_fire(incident, submission.key))
            if decision.verdict is Verdict.NOTHING:
                self._states[submission.key] = dedup.hold(self._states[submission.key], incident.id)
                if known.firing:
                    told = "one of what was merged into it is resolved, others still fire"
                    alert_id = str(submission.row.id)
                    note(act, incident, Event.PARTLY_RESOLVED, decision.reason, told, alert_id=alert_id)
            else:
                moves.resolve(act, incident, how, decision.reason)
                if incident.holds_several:
                    self._let_keys_follow(incident)
            outcome = Outcome(decision, incident, incident.occurrences)
        return outcome

    def _acknowledge(self, submission: Submission, decision: Decision) -> Outcome:
        incident = self._incidents[self._named(submission)]
        moves.acknowledge(self._act(submission), incident, submission.row.source, decision.reason)
        return Outcome(decision, incident, incident.occurrences)

    def _leave(self, submission: Submission, decision: Decision) -> Outcome:
        """Change nothing; a late message is told on the timeline of the incident that it came too late for."""
        incident_id = self._states[submission.key].incident_id
        if decision.reason is Reason.OUT_OF_ORDER and incident_id is not None:
            incident, report = self._incidents[incident_id], submission.report
            told = f"a late {report.status} message changed nothing"
            data = {"alert_id": str(submission.row.id), "occurred_at": report.occurred_at}
            note(self._act(submission), incident, Event.OUT_OF_ORDER, decision.reason, told, **data)
        return Outcome(decision, None, 0)

    def _named(self, submission: Submission) -> UUID:
        """Return the incident that a key names, once it names one."""
        incident_id = self._states[submission.key].incident_id
        assert incident_id is not None  # noqa: S101 - OPEN, ATTACH and ACKNOWLEDGE always have one
        return incident_id

    def _act(self, submission: Submission) -> Act:
        return Act(actor=submission.actor, now=submission.row.received_at, entries=self._changes.entries)

    def _add(self, incident: HeldIncident) -> None:
        self._incidents[incident.id] = incident
        self._of_key[incident.tenant_id, incident.fingerprint].append(incident)

    def _open_of(self, key: Key) -> list[HeldIncident]:
        """Return the active incidents of a fingerprint and the one that its key names, oldest first."""
        found = {incident.id: incident for incident in self._of_key.get(key, ())}
        named = self._states[key].incident_id
        if named in self._incidents:
            found[named] = self._incidents[named]
        return [found[name] for name in sorted(found) if lifecycle.is_active(found[name].state)]

    def _others_fire(self, incident: HeldIncident, key: Key) -> bool:
        """Say whether another fingerprint still fires in an incident; what this batch knows counts first."""
        if not incident.holds_several:
            return False
        stored = {
            (one.tenant_id, one.fingerprint)
            for one in self._firing
            if _belongs(incident, one.fingerprint, one.incident_id)
        }
        mine = {
            name: state
            for name, state in self._states.items()
            if name[0] == incident.tenant_id and _belongs(incident, name[1], state.incident_id)
        }
        firing = (stored - self._states.keys()) | {name for name, state in mine.items() if state.firing}
        return bool(firing - {key})

    def _let_keys_follow(self, incident: HeldIncident) -> None:
        """Tell the batch's keys of an incident that held several that it has ended; the others are told in the database."""
        self.ended.append(incident)
        for name, state in self._states.items():
            if state.incident_id == incident.id:
                others = [one.id for one in self._of_key.get(name, ()) if lifecycle.is_active(one.state)]
                self._states[name] = msgspec.structs.replace(
                    state, incident_id=max(others, default=incident.id), open=bool(others)
                )


def _counted(incident: HeldIncident) -> CountedIncident:
    return CountedIncident(
        tenant_id=incident.tenant_id,
        id=incident.id,
        occurrences=incident.occurrences,
        last_seen_at=incident.last_seen_at,
        timeline_length=incident.timeline_length,
        last_alert_id=incident.last_alert_id,
    )


def _belongs(incident: HeldIncident, mark: str, incident_id: UUID | None) -> bool:
    return incident_id == incident.id or mark == incident.fingerprint
