"""What came in, ready to be decided: texts as they are stored, fingerprint, times, policy, claims on being the first."""

import hashlib
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from incident_manager.flows.idempotency import Claim
from incident_manager.ids import new_id
from incident_manager.models.integrations import Integration
from incident_manager.rules import dedup, fingerprint
from incident_manager.rules.dedup import DedupMode, DedupPolicy, Report
from incident_manager.schemas.alerts import AlertFields
from incident_manager.settings import DedupSettings

DELIVERY_SCOPE: Final = "delivery"


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """One alert on its way in."""

    id: UUID
    alert: AlertFields
    source: str
    integration_id: UUID | None
    fingerprint: str
    report: Report
    policy: DedupPolicy
    claims: tuple[Claim, ...]


def policy_for(settings: DedupSettings, *, has_identity: bool, integration: Integration | None = None) -> DedupPolicy:
    """Return how an alert is folded: by its integration's wish, else by whether it brings an identity of its own."""
    by_nature = DedupMode.WHILE_OPEN if has_identity else DedupMode.WINDOW
    wished = integration.dedup_mode if integration else None
    seconds = integration.window_seconds if integration else None
    return DedupPolicy(
        enabled=settings.enabled,
        mode=wished or by_nature,
        window=timedelta(seconds=seconds or settings.window_seconds),
    )


def submit(
    alert: AlertFields,
    *,
    source: str,
    settings: DedupSettings,
    received_at: datetime,
    integration: Integration | None = None,
    restates_start: bool = False,
    header_claim: Claim | None = None,
) -> Submission:
    """Make a submission of an alert; `header_claim` is what its request or delivery claims, beside its external_id."""
    origin = f"\x00{integration.id}" if integration else source
    claims = [] if header_claim is None else [header_claim]
    if alert.external_id is not None:
        claims.append(_delivery_claim(origin, alert.external_id, alert.status))
    return Submission(
        id=new_id(),
        alert=alert,
        source=source,
        integration_id=integration.id if integration else None,
        fingerprint=_fingerprint(alert, origin),
        report=Report(
            status=alert.status,
            occurred_at=dedup.clamp(alert.occurred_at, received_at),
            received_at=received_at,
            restates_start=restates_start,
        ),
        policy=policy_for(settings, has_identity=alert.dedup_key is not None, integration=integration),
        claims=tuple(claims),
    )


def row(submission: Submission, tenant_id: UUID) -> dict[str, Any]:
    """Return what of a submission goes into its alert's row; the decision is added by the batch."""
    fields = msgspec.to_builtins(submission.alert, builtin_types=(datetime,), str_keys=True)
    fields.pop("source", None)
    for name in ("severity", "alert_type", "status"):
        fields[name] = getattr(submission.alert, name)
    return {
        **fields,
        "tenant_id": tenant_id,
        "id": submission.id,
        "source": submission.source,
        "integration_id": submission.integration_id,
        "fingerprint": submission.fingerprint,
        "occurred_at": submission.report.occurred_at,
        "received_at": submission.report.received_at,
    }


def _fingerprint(alert: AlertFields, origin: str) -> str:
    """Return the fingerprint of an alert from a source, or from an integration: then its id counts in place of the name.

    So an integration that is renamed keeps its open incidents, and a new one of the old name does not inherit them. A NUL
    stands before the id because no source can hold one: nobody else's alerts can pass for the integration's.
    """
    if alert.dedup_key is not None:
        return fingerprint.of_dedup_key(origin, alert.dedup_key)
    return fingerprint.of_text(origin, alert.alert_type, alert.title, alert.affected_services)


def _delivery_claim(origin: str, external_id: str, status: str) -> Claim:
    """Return the claim of a delivery: (source or integration, external_id, status) name it, its body does not count."""
    parts = msgspec.json.encode([origin, external_id, status])
    return Claim(scope=DELIVERY_SCOPE, key=hashlib.sha256(parts).hexdigest(), body_digest="")
