"""Alerts in, answers out: parcels wait in line, share a transaction, and are answered when it is committed."""

from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Final
from uuid import UUID

from loguru import logger

from incident_manager.db import Database
from incident_manager.flows.intake.line import Line, Parcel
from incident_manager.flows.intake.results import Result
from incident_manager.flows.intake.submissions import Submission
from incident_manager.flows.intake.transaction import Transaction
from incident_manager.rules.dedup import AlertStatus
from incident_manager.schemas.alerts import AlertAccepted
from incident_manager.settings import IntakeSettings
from incident_manager.store.intake import IntakeStatements
from incident_manager.store.numbers import IncidentNumbers, NumberPromise
from incident_manager.telemetry import Telemetry

REPEATED: Final = "repeated"


class Intake:
    """Takes alerts in; one a process, for it holds the incident numbers and the line."""

    def __init__(
        self,
        database: Database,
        numbers: IncidentNumbers,
        settings: IntakeSettings,
        idempotency_ttl: timedelta,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._database: Final = database
        self._numbers: Final = numbers
        self._telemetry: Final = telemetry or Telemetry()
        self._statements: Final = IntakeStatements(on_sqlite=database.is_sqlite)
        self._line: Final = Line(
            self._commit,
            lanes=1 if database.is_sqlite else settings.committers,
            limit=settings.queue_alerts,
            seconds=settings.answer_seconds,
        )
        self.idempotency_ttl: Final = idempotency_ttl
        self._telemetry.line(lambda: self._line.waiting)

    async def receive(self, parcel: Parcel) -> list[Result]:
        """Commit a parcel and return an answer for each of its alerts, in order.

        Raises ValidationFailed where an Idempotency-Key comes again with another body, AuthenticationFailed where its
        credential is no longer valid, Unavailable where it was not committed, or is not known to be.
        """
        return await self._line.hand_in(parcel)

    async def close(self) -> None:
        """Wait until everything in line is committed."""
        await self._line.drain()

    async def _commit(self, parcels: Sequence[Parcel]) -> None:
        """Commit a batch and answer it."""
        submissions = [submission for parcel in parcels for submission in parcel.submissions]
        wanted: dict[UUID, int] = {}
        for submission in submissions:
            if submission.report.status is AlertStatus.FIRING:
                wanted[submission.row.tenant_id] = wanted.get(submission.row.tenant_id, 0) + 1
        async with AsyncExitStack() as stack:
            numbers: dict[UUID, NumberPromise] = {}
            for tenant_id, count in wanted.items():
                numbers[tenant_id] = await stack.enter_async_context(self._numbers.promise(tenant_id, count))
            transaction = Transaction(self._statements, parcels, numbers, self.idempotency_ttl)
            results = await self._database.run(transaction.steps)
        for parcel in parcels:
            parcel.reply([results[submission.row.id] for submission in parcel.submissions])
        self._telemetry.batch(Counter(_tell(submission, results[submission.row.id]) for submission in submissions))


def _tell(submission: Submission, result: Result) -> tuple[str, str]:
    """Log an alert that is committed (what opened an incident; where all is logged every one), and say what it counts as."""
    answer = result.answer
    if answer.alert_id != submission.row.id:  # delivered before: it got the first one's answer
        return REPEATED, REPEATED
    named = _named(submission, answer)
    if result.opened:
        logger.info("incident opened", reason=answer.reason, **named)
    else:
        logger.debug("alert taken in", outcome=result.verdict, reason=answer.reason, **named)
    return result.verdict, answer.reason


def _named(submission: Submission, answer: AlertAccepted) -> dict[str, object]:
    """Return the ids for a line of the log, with that of the request: its commit is shared by many."""
    return {
        "request_id": submission.actor.request_id,
        "alert_id": answer.alert_id,
        "incident_id": answer.incident_id,
        "number": answer.incident_number,
    }
