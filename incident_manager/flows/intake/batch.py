"""The transaction of intake: lock what is known of the fingerprints, decide each alert in turn, write all at once.

The order of locks is the same everywhere, so that transactions wait and do not deadlock: claims, deduplication keys (each in
sorted order), incidents. One alert takes four statements where it opens the first incident of its fingerprint or attaches, two
more for the first repeat on the timeline, one more with an external_id or an Idempotency-Key (tests/flows counts them).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from incident_manager.flows import dedup_keys
from incident_manager.flows.incidents import moves
from incident_manager.flows.incidents.opening import Draft, open_incident
from incident_manager.flows.intake.folded import Folded
from incident_manager.flows.intake.submissions import Submission, row
from incident_manager.flows.timeline import Event, note
from incident_manager.flows.units import Unit
from incident_manager.ids import new_id
from incident_manager.models.alerts import DedupKey
from incident_manager.models.incidents import Incident
from incident_manager.rules import dedup
from incident_manager.rules.absorb import Facts, absorb
from incident_manager.rules.dedup import AlertStatus, Decision, KeyState, Reason, Verdict
from incident_manager.rules.lifecycle import ResolutionMethod
from incident_manager.schemas.incidents import ResolveIn
from incident_manager.store import alerts as alert_store
from incident_manager.store import incidents as incident_store
from incident_manager.store.numbers import NumberPromise


class Outcome(NamedTuple):
    """What became of one alert: the decision, the incident it names (None for none), and that incident's count by then."""

    decision: Decision
    incident: Incident | None
    occurrence: int


class _Plan(NamedTuple):
    submission: Submission
    decision: Decision
    incident_id: UUID | None
    recurrence_of_id: UUID | None
    was_firing: bool


class Batch:
    """Alerts of one tenant that share a transaction; `write` is called once."""

    def __init__(self, unit: Unit, numbers: NumberPromise) -> None:
        self._unit = unit
        self._numbers = numbers
        self._keys: dict[str, DedupKey] = {}
        self._states: dict[str, KeyState] = {}
        self._first_ids: dict[str, UUID] = {}
        self._incidents: dict[UUID, Incident] = {}
        self._counts: dict[UUID, int] = {}
        self._folded = Folded()

    async def write(self, submissions: Sequence[Submission]) -> list[Outcome]:
        """Decide and write alerts in their order; return what became of each, in that order."""
        await self._lock(submissions)
        outcomes: list[Outcome] = []
        for part in parts(submissions):
            outcomes += await self._write_part(part)
        for mark, state in self._states.items():
            dedup_keys.save(self._keys[mark], state)
        await self._unit.session.flush()
        rows = [alert_row(self._unit, *pair) for pair in zip(submissions, outcomes, strict=True)]
        await alert_store.insert_alerts(self._unit.session, rows)
        return outcomes

    async def _lock(self, submissions: Sequence[Submission]) -> None:
        rows = {}
        for submission in submissions:
            mark = submission.fingerprint
            if mark not in rows:
                self._first_ids[mark] = new_id()
                rows[mark] = dedup_keys.new_row(self._unit.tenant_id, mark, submission.report, self._first_ids[mark])
        self._keys = await alert_store.lock_keys(self._unit.session, list(rows.values()))
        self._states = {mark: dedup_keys.known_state(key, self._first_ids[mark]) for mark, key in self._keys.items()}

    async def _write_part(self, part: Sequence[Submission]) -> list[Outcome]:
        plans = [self._plan(submission) for submission in part]
        await self._count_attached(plans)
        resolved = await self._lock_named(plans)
        outcomes = [self._apply(plan, resolved) for plan in plans]
        await self._unit.session.flush()
        await self._folded.let_keys_follow(self._unit, self._states)
        return outcomes

    def _plan(self, submission: Submission) -> _Plan:
        """Decide one alert and carry its key's state on to the next."""
        mark, report = submission.fingerprint, submission.report
        known = self._states[mark]
        decision = dedup.decide(known, report, submission.policy)
        opened_id = None
        if decision.verdict is Verdict.OPEN:
            opened_id = self._first_ids[mark] if known.incident_id is None else new_id()
        state = self._states[mark] = dedup.advance(known, report, decision.verdict, opened_id)
        recurrence_of_id = known.incident_id if opened_id else None
        return _Plan(submission, decision, state.incident_id, recurrence_of_id, known.firing)

    async def _count_attached(self, plans: Sequence[_Plan]) -> None:
        """Count repeats into the incidents that exist already, which locks and reads them."""
        opened = {plan.incident_id for plan in plans if plan.decision.verdict is Verdict.OPEN}
        repeats: dict[UUID, tuple[int, datetime]] = {}
        for plan in plans:
            if plan.decision.verdict is Verdict.ATTACH and plan.incident_id and plan.incident_id not in opened:
                number, _ = repeats.get(plan.incident_id, (0, None))
                repeats[plan.incident_id] = (number + 1, plan.submission.report.received_at)
        if repeats:
            self._incidents |= await incident_store.count_repeats(self._unit.session, repeats)
            self._counts |= {key: self._incidents[key].occurrences - number for key, (number, _) in repeats.items()}

    async def _lock_named(self, plans: Sequence[_Plan]) -> dict[str, list[Incident]]:
        """Lock what acknowledgements and late messages name, and return the open incidents of resolved fingerprints."""
        named = {
            plan.incident_id
            for plan in plans
            if plan.incident_id
            and (plan.decision.verdict is Verdict.ACKNOWLEDGE or plan.decision.reason is Reason.OUT_OF_ORDER)
        }
        if named:
            locked = await incident_store.lock_many(self._unit.session, named)
            self._incidents |= {incident.id: incident for incident in locked}
        names = {
            plan.submission.fingerprint: plan.incident_id for plan in plans if plan.decision.verdict is Verdict.RESOLVE
        }
        if not names:
            return {}
        found = await incident_store.lock_open(self._unit.session, names)
        self._folded = await Folded.of(self._unit, found)
        return {
            mark: [incident for incident in found if incident.fingerprint == mark or incident.id == incident_id]
            for mark, incident_id in names.items()
        }

    def _apply(self, plan: _Plan, resolved: dict[str, list[Incident]]) -> Outcome:
        match plan.decision.verdict:
            case Verdict.OPEN:
                return self._open(plan)
            case Verdict.ATTACH:
                return self._attach(plan)
            case Verdict.RESOLVE:
                return self._resolve(plan, resolved[plan.submission.fingerprint])
            case Verdict.ACKNOWLEDGE:
                return self._acknowledge(plan)
            case Verdict.SUPPRESS | Verdict.NOTHING:
                return self._leave(plan)

    def _open(self, plan: _Plan) -> Outcome:
        alert = plan.submission.alert
        assert plan.incident_id is not None  # noqa: S101 - OPEN always has one
        draft = Draft(
            id=plan.incident_id,
            seen_at=plan.submission.report.received_at,
            number=self._numbers.next(),
            source=plan.submission.source,
            title=alert.title,
            description=alert.description,
            severity=alert.severity,
            incident_type=alert.alert_type,
            fingerprint=plan.submission.fingerprint,
            affected_resources=list(dict.fromkeys(alert.affected_services)),
            labels=dict(alert.labels),
            assignees=[],
            links=row(plan.submission, self._unit.tenant_id)["links"],
            recurrence_of_id=plan.recurrence_of_id,
        )
        reason = plan.decision.reason
        incident = self._incidents[draft.id] = open_incident(self._unit, draft, reason, dedup.MESSAGES[reason])
        self._counts[draft.id] = 1
        return Outcome(plan.decision, incident, 1)

    def _attach(self, plan: _Plan) -> Outcome:
        assert plan.incident_id is not None  # noqa: S101 - ATTACH always has one
        incident = self._incidents[plan.incident_id]
        count = self._counts[incident.id] = self._counts[incident.id] + 1
        incident.occurrences = max(incident.occurrences, count)  # a repeat of what this very batch opened
        if count == 2:  # noqa: PLR2004 - the first repeat is told, later ones are counted and listed as alerts
            note(
                self._unit,
                incident,
                Event.ATTACHED,
                plan.decision.reason,
                "a repeat attached",
                alert_id=str(plan.submission.id),
            )
        self._merge(incident, plan.submission)
        return Outcome(plan.decision, incident, count)

    def _merge(self, incident: Incident, submission: Submission) -> None:
        alert, before = submission.alert, incident.severity
        held = Facts(severity=before, labels=incident.labels, services=incident.affected_resources)
        merged = absorb(held, Facts(severity=alert.severity, labels=alert.labels, services=alert.affected_services))
        if merged == held:
            return
        incident.labels, incident.affected_resources = dict(merged.labels), list(merged.services)
        moves.touch(self._unit, incident)
        if merged.severity != before:
            alert_id = str(submission.id)
            moves.raise_severity(
                self._unit, incident, merged.severity, "more_urgent_alert", "a repeat", alert_id=alert_id
            )

    def _resolve(self, plan: _Plan, incidents: Sequence[Incident]) -> Outcome:
        """End what is open of the fingerprint, but what holds others that still fire; the newest of what it changed answers."""
        how = ResolveIn(resolved_by=plan.submission.source, notes="", method=ResolutionMethod.AUTOMATED)
        mark, outcome = plan.submission.fingerprint, Outcome(Decision(Verdict.NOTHING, Reason.NOTHING_OPEN), None, 0)
        for incident in incidents:
            decision = dedup.ends(others_firing=self._folded.others_fire(incident, mark, self._states))
            if decision.verdict is Verdict.NOTHING:
                self._states[mark] = dedup.hold(self._states[mark], incident.id)
                if plan.was_firing:
                    told = "one of what was merged into it is resolved, others still fire"
                    alert_id = str(plan.submission.id)
                    note(self._unit, incident, Event.PARTLY_RESOLVED, decision.reason, told, alert_id=alert_id)
            elif not moves.resolve(self._unit, incident, how, decision.reason) and not incident.holds_several:
                continue
            outcome = Outcome(decision, incident, incident.occurrences)
        return outcome

    def _acknowledge(self, plan: _Plan) -> Outcome:
        assert plan.incident_id is not None  # noqa: S101 - ACKNOWLEDGE always has one
        incident = self._incidents[plan.incident_id]
        moves.acknowledge(self._unit, incident, plan.submission.source, plan.decision.reason)
        return Outcome(plan.decision, incident, incident.occurrences)

    def _leave(self, plan: _Plan) -> Outcome:
        """Change nothing; a late message is told on the timeline of the incident that it came too late for."""
        if plan.decision.reason is Reason.OUT_OF_ORDER and plan.incident_id is not None:
            incident, report = self._incidents[plan.incident_id], plan.submission.report
            told = f"a late {report.status} message changed nothing"
            data = {"alert_id": str(plan.submission.id), "occurred_at": report.occurred_at}
            note(self._unit, incident, Event.OUT_OF_ORDER, plan.decision.reason, told, **data)
        return Outcome(plan.decision, None, 0)


def parts(submissions: Sequence[Submission]) -> Iterator[list[Submission]]:
    """Cut a batch where a fingerprint comes again with another status: within a part their order does not matter."""
    part: list[Submission] = []
    statuses: dict[str, AlertStatus] = {}
    for submission in submissions:
        if statuses.setdefault(submission.fingerprint, submission.report.status) is not submission.report.status:
            yield part
            part, statuses = [], {submission.fingerprint: submission.report.status}
        part.append(submission)
    if part:
        yield part


def alert_row(unit: Unit, submission: Submission, outcome: Outcome) -> dict[str, object]:
    """Return an alert's row with what was decided about it."""
    return {
        **row(submission, unit.tenant_id),
        "incident_id": outcome.incident.id if outcome.incident else None,
        "outcome": outcome.decision.verdict,
        "reason": outcome.decision.reason,
        "occurrence": outcome.occurrence,
    }
