"""What came in, ready to be decided: texts as they are stored, fingerprint, times, policy, claims on being the first."""

import hashlib
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final
from uuid import UUID

import msgspec

from incident_manager.flows.idempotency import Claim
from incident_manager.ids import new_id
from incident_manager.rules import dedup, fingerprint
from incident_manager.rules.access import Actor
from incident_manager.rules.dedup import DedupMode, DedupPolicy, Report
from incident_manager.schemas.alerts import AlertFields
from incident_manager.settings import DedupSettings
from incident_manager.store.rows import AlertRow

Key = tuple[UUID, str]

DELIVERY_SCOPE: Final = "delivery"


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What of an integration counts for its alerts."""

    integration_id: UUID
    dedup_mode: DedupMode | None
    window_seconds: int | None
    restates_start: bool

    @property
    def identity(self) -> str:
        """What stands in the place of a source in fingerprints and claims.

        So an integration that is renamed keeps its open incidents, and a new one of the old name does not inherit them. A NUL
        stands before the id because no source can hold one: nobody else's alerts can pass for the integration's.
        """
        return f"\x00{self.integration_id}"


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """One alert on its way in: who brought it, its row to be, and what is decided by."""

    actor: Actor
    row: AlertRow
    report: Report
    policy: DedupPolicy
    claims: tuple[Claim, ...]

    @property
    def key(self) -> Key:
        """What it is folded by: its tenant and its fingerprint."""
        return self.row.tenant_id, self.row.fingerprint


def policy_for(settings: DedupSettings, *, has_identity: bool, origin: Origin | None = None) -> DedupPolicy:
    """Return how an alert is folded: by its integration's wish, else by whether it brings an identity of its own."""
    by_nature = DedupMode.WHILE_OPEN if has_identity else DedupMode.WINDOW
    mode = (origin.dedup_mode if origin else None) or by_nature
    seconds = (origin.window_seconds if origin else None) or settings.window_seconds
    return _policy(settings.enabled, mode, seconds)


@lru_cache(1_000)
def _policy(enabled: bool, mode: DedupMode, window_seconds: int) -> DedupPolicy:
    return DedupPolicy(enabled=enabled, mode=mode, window=timedelta(seconds=window_seconds))


def submit(
    alert: AlertFields,
    actor: Actor,
    *,
    source: str,
    settings: DedupSettings,
    received_at: datetime,
    origin: Origin | None = None,
    header_claim: Claim | None = None,
) -> Submission:
    """Make a submission of an alert; `header_claim` is what its request or delivery claims, beside its external_id."""
    named = origin.identity if origin else source
    claims = [] if header_claim is None else [header_claim]
    if alert.external_id is not None:
        claims.append(_delivery_claim(named, alert.external_id, alert.status))
    occurred_at = dedup.clamp(alert.occurred_at, received_at)
    row = AlertRow(
        tenant_id=actor.tenant_id,
        id=new_id(),
        source=source,
        title=alert.title,
        description=alert.description,
        severity=alert.severity,
        alert_type=alert.alert_type,
        status=alert.status,
        external_id=alert.external_id,
        dedup_key=alert.dedup_key,
        labels=alert.labels,
        annotations=alert.annotations,
        affected_services=alert.affected_services,
        runbook_url=alert.runbook_url,
        links=alert.links,
        occurred_at=occurred_at,
        received_at=received_at,
        fingerprint=_fingerprint(alert, named),
        integration_id=origin.integration_id if origin else None,
    )
    report = Report(
        status=alert.status,
        occurred_at=occurred_at,
        received_at=received_at,
        restates_start=origin is not None and origin.restates_start,
    )
    policy = policy_for(settings, has_identity=alert.dedup_key is not None, origin=origin)
    return Submission(actor=actor, row=row, report=report, policy=policy, claims=tuple(claims))


def _fingerprint(alert: AlertFields, origin: str) -> str:
    """Return the fingerprint of an alert from a source, or from an integration: then its id counts in place of the name."""
    if alert.dedup_key is not None:
        return fingerprint.of_dedup_key(origin, alert.dedup_key)
    return fingerprint.of_text(origin, alert.alert_type, alert.title, alert.affected_services)


def _delivery_claim(origin: str, external_id: str, status: str) -> Claim:
    """Return the claim of a delivery: (source or integration, external_id, status) name it, its body does not count."""
    parts = msgspec.json.encode([origin, external_id, status])
    return Claim(scope=DELIVERY_SCOPE, key=hashlib.sha256(parts).hexdigest(), body_digest="")
