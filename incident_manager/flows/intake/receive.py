"""Alerts in, answers out: repeated deliveries get their first answer, the others are decided and written."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec
from loguru import logger

from incident_manager.errors import ValidationFailed
from incident_manager.flows.idempotency import claim_row
from incident_manager.flows.intake.batch import Batch, Outcome
from incident_manager.flows.intake.submissions import Submission
from incident_manager.flows.units import Unit, Units
from incident_manager.rules.dedup import MESSAGES, AlertStatus, Decision, SubmissionStatus, Verdict
from incident_manager.schemas.alerts import AlertAccepted
from incident_manager.store import alerts as alert_store
from incident_manager.store import idempotency, integrations
from incident_manager.store.numbers import IncidentNumbers, NumberPromise
from incident_manager.telemetry import Telemetry

REPEATED: Final = "repeated"
STATUS_OF: Final = {
    Verdict.OPEN: SubmissionStatus.ACCEPTED,
    Verdict.ATTACH: SubmissionStatus.DUPLICATE,
    Verdict.RESOLVE: SubmissionStatus.ACCEPTED,
    Verdict.ACKNOWLEDGE: SubmissionStatus.ACCEPTED,
    Verdict.NOTHING: SubmissionStatus.ACCEPTED,
    Verdict.SUPPRESS: SubmissionStatus.SUPPRESSED,
}


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, and what was done with the alert: OPEN answers 201, all else 200."""

    verdict: Verdict
    answer: AlertAccepted

    @property
    def opened(self) -> bool:
        """Whether the alert opened an incident."""
        return self.verdict is Verdict.OPEN


class Intake:
    """Takes alerts in; one a process, for it holds the incident numbers."""

    def __init__(
        self, numbers: IncidentNumbers, idempotency_ttl: timedelta, telemetry: Telemetry | None = None
    ) -> None:
        self._numbers: Final = numbers
        self._telemetry: Final = telemetry or Telemetry()
        self.idempotency_ttl: Final = idempotency_ttl

    async def receive(
        self, units: Units, submissions: Sequence[Submission], integration_id: UUID | None = None
    ) -> list[Result]:
        """Commit alerts and return an answer for each, in order.

        Raises ValidationFailed where an Idempotency-Key comes again with another body, Unavailable where nothing was committed.
        """
        firing = sum(submission.report.status is AlertStatus.FIRING for submission in submissions)
        async with self._numbers.promise(units.actor.tenant_id, firing) as numbers:
            results = await units.write(self._write, submissions, numbers, integration_id)
        for submission, result in zip(submissions, results, strict=True):
            self._tell(submission, result)
        return results

    def _tell(self, submission: Submission, result: Result) -> None:
        """Count an alert that is committed, and log it: what opened an incident, where all is logged every one."""
        answer = result.answer
        if answer.alert_id != submission.id:  # delivered before: it got the first one's answer
            self._telemetry.alert(REPEATED, REPEATED)
            return
        self._telemetry.alert(result.verdict, answer.reason)
        ids = {"alert_id": answer.alert_id, "incident_id": answer.incident_id, "number": answer.incident_number}
        if result.opened:
            logger.info("incident opened", reason=answer.reason, **ids)
        else:
            logger.debug("alert taken in", outcome=result.verdict, reason=answer.reason, **ids)

    async def _write(
        self,
        unit: Unit,
        submissions: Sequence[Submission],
        numbers: NumberPromise,
        integration_id: UUID | None,
    ) -> list[Result]:
        numbers.rewind()
        first_of = await self._claim(unit, submissions)
        fresh = [submission for submission in submissions if first_of[submission.id] == submission.id]
        results: dict[UUID, Result] = {}
        if fresh:
            outcomes = await Batch(unit, numbers).write(fresh)
            results = {new.id: _told(new.id, outcome) for new, outcome in zip(fresh, outcomes, strict=True)}
        results |= await _stored(unit, set(first_of.values()) - results.keys())
        if integration_id is not None:
            await integrations.record_delivery(unit.session, integration_id, alerts=len(submissions), at=unit.now)
        return [results[first_of[submission.id]] for submission in submissions]

    async def _claim(self, unit: Unit, submissions: Sequence[Submission]) -> dict[UUID, UUID]:
        """Return, for each submission, the alert whose answer it gets: its own, or an earlier one's with the same claim."""
        rows = {
            (claim.scope, claim.key): claim_row(unit, claim, self.idempotency_ttl, submission.id)
            for submission in reversed(submissions)  # so that of equals within the batch the first one stands
            for claim in submission.claims
        }
        held = await idempotency.claim(unit.session, list(rows.values())) if rows else {}
        first_of: dict[UUID, UUID] = {}
        for submission in submissions:
            mine = [(claim, held[claim.scope, claim.key]) for claim in submission.claims]
            if any(found.body_digest != claim.body_digest for claim, found in mine):
                raise ValidationFailed.of("Idempotency-Key", "was used before with another body")
            earlier = [found.alert_id for _, found in mine if found.alert_id not in (None, submission.id)]
            first = earlier[0] if earlier else submission.id
            first_of[submission.id] = first_of.get(first, first)
            for _, found in mine:
                found.alert_id = first_of[submission.id]
        return first_of


async def _stored(unit: Unit, alert_ids: Iterable[UUID]) -> dict[UUID, Result]:
    """Tell again what was answered before, from the alerts' own rows."""
    wanted = list(alert_ids)
    found = await alert_store.list_with_answered(unit.session, wanted) if wanted else {}
    return {
        alert.id: _result(alert.id, Decision(alert.outcome, alert.reason), incident_id, number, alert.occurrence)
        for alert, incident_id, number in found.values()
    }


def _told(alert_id: UUID, outcome: Outcome) -> Result:
    incident = outcome.incident
    if incident is None:
        return _result(alert_id, outcome.decision, None, None, 0)
    return _result(alert_id, outcome.decision, incident.id, incident.number, outcome.occurrence)


def _result(
    alert_id: UUID, decision: Decision, incident_id: UUID | None, number: int | None, occurrences: int
) -> Result:
    answer = AlertAccepted(
        alert_id=alert_id,
        incident_id=incident_id,
        incident_number=number,
        status=STATUS_OF[decision.verdict],
        reason=decision.reason,
        message=MESSAGES[decision.reason],
        occurrences=occurrences,
    )
    return Result(verdict=decision.verdict, answer=answer)
