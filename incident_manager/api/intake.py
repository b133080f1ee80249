"""From an alert on the wire to a parcel for the intake: what the handlers and the short way in front of them have in common."""

from typing import Final

from incident_manager.api.parts import Parts
from incident_manager.flows.idempotency import Claim
from incident_manager.flows.intake.line import Parcel
from incident_manager.flows.intake.submissions import submit
from incident_manager.rules.access import Actor
from incident_manager.schemas.alerts import AlertIn
from incident_manager.store.intake import Credential

ALERTS: Final = "/v1/alerts"
SCOPE: Final = f"POST {ALERTS}"  # of an Idempotency-Key
BODY_LIMIT: Final = 256 * 1024
BATCH_LIMIT: Final = 1024 * 1024
KEY_LIMIT: Final = 255


def single(
    parts: Parts, actor: Actor, alert: AlertIn, claim: Claim | None, credential: Credential | None = None
) -> Parcel:
    """Return a parcel of one alert. `credential`: of a caller whom the intake's own transaction still has to check."""
    now, settings = parts.clock.now(), parts.settings.dedup
    made = submit(alert, actor, source=alert.source, settings=settings, received_at=now, header_claim=claim)
    return Parcel([made], tenant_id=actor.tenant_id, received_at=now, credential=credential)
