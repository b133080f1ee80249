"""From an alert on the wire to a parcel for the intake: what the handlers and the short way in front of them have in common."""

from collections.abc import Iterable, Sequence
from typing import Final

from incident_manager.api.parts import Parts
from incident_manager.errors import FieldError
from incident_manager.flows.idempotency import Claim, claim_of
from incident_manager.flows.intake.line import Parcel
from incident_manager.flows.intake.results import Result
from incident_manager.flows.intake.submissions import submit
from incident_manager.rules.access import Actor
from incident_manager.rules.dedup import SubmissionStatus
from incident_manager.schemas.alerts import AlertAccepted, AlertIn, BatchAccepted, BatchResult
from incident_manager.schemas.base import FieldProblem
from incident_manager.store.intake import Credential

ALERTS: Final = "/v1/alerts"
SCOPE: Final = f"POST {ALERTS}"  # of an Idempotency-Key
BODY_LIMIT: Final = 256 * 1024
BATCH_LIMIT: Final = 1024 * 1024
ITEMS_LIMIT: Final = 1_000
BATCH_SCOPE: Final = f"POST {ALERTS}/batch"
KEY_LIMIT: Final = 255
INVALID: Final = "invalid"  # the reason of what is rejected


def single(
    parts: Parts, actor: Actor, alert: AlertIn, claim: Claim | None, credential: Credential | None = None
) -> Parcel:
    """Return a parcel of one alert. `credential`: of a caller whom the intake's own transaction still has to check."""
    now, settings = parts.clock.now(), parts.settings.dedup
    made = submit(alert, actor, source=alert.source, settings=settings, received_at=now, header_claim=claim)
    return Parcel([made], tenant_id=actor.tenant_id, received_at=now, credential=credential)


def several(parts: Parts, actor: Actor, items: Sequence[AlertIn | FieldError], key: str | None, body: bytes) -> Parcel:
    """Return a parcel of those items of a batch that are alerts; under an Idempotency-Key each has a claim of its place."""
    now, settings = parts.clock.now(), parts.settings.dedup
    made = [
        submit(
            item,
            actor,
            source=item.source,
            settings=settings,
            received_at=now,
            header_claim=claim_of(f"{BATCH_SCOPE} {place}", key, body) if key else None,
        )
        for place, item in enumerate(items)
        if isinstance(item, AlertIn)
    ]
    return Parcel(made, tenant_id=actor.tenant_id, received_at=now)


def told(items: Sequence[AlertIn | FieldError], results: Iterable[Result]) -> BatchAccepted:
    """Return what became of the items of a batch, given what became of those that are alerts."""
    answers = iter(results)
    shown = [_rejected(item) if isinstance(item, FieldError) else _accepted(next(answers).answer) for item in items]
    return BatchAccepted(accepted=sum(isinstance(item, AlertIn) for item in items), results=shown)


def _accepted(answer: AlertAccepted) -> BatchResult:
    return BatchResult(**{name: getattr(answer, name) for name in AlertAccepted.__struct_fields__})


def _rejected(error: FieldError) -> BatchResult:
    named = f"{error.field}: {error.message}" if error.field else error.message
    return BatchResult(
        alert_id=None,
        incident_id=None,
        incident_number=None,
        status=SubmissionStatus.REJECTED,
        reason=INVALID,
        message=named,
        occurrences=0,
        errors=[FieldProblem(field=error.field, message=error.message)],
    )
