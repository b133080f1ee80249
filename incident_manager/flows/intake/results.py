"""Answers to alerts."""

from typing import Final
from uuid import UUID

import msgspec

from incident_manager.rules.dedup import MESSAGES, Decision, SubmissionStatus, Verdict
from incident_manager.schemas.alerts import AlertAccepted

STATUS_OF: Final = {
    Verdict.OPEN: SubmissionStatus.ACCEPTED,
    Verdict.ATTACH: SubmissionStatus.DUPLICATE,
    Verdict.RESOLVE: SubmissionStatus.ACCEPTED,
    Verdict.ACKNOWLEDGE: SubmissionStatus.ACCEPTED,
    Verdict.NOTHING: SubmissionStatus.ACCEPTED,
    Verdict.SUPPRESS: SubmissionStatus.SUPPRESSED,
}


class Result(msgspec.Struct, frozen=True):
    """An answer, and what was done with the alert: OPEN answers 201, all else 200."""

    verdict: Verdict
    answer: AlertAccepted

    @property
    def opened(self) -> bool:
        """Whether the alert opened an incident."""
        return self.verdict is Verdict.OPEN


def result(
    alert_id: UUID, decision: Decision, incident_id: UUID | None, number: int | None, occurrences: int
) -> Result:
    """Return what the sender of an alert is told."""
    answer = AlertAccepted(
        alert_id=alert_id,
        incident_id=incident_id,
        incident_number=number,
        status=STATUS_OF[decision.verdict],
        reason=decision.reason,
        message=MESSAGES[decision.reason],
        occurrences=occurrences,
    )
    return Result(decision.verdict, answer)
