"""What monitors send: find the integration by the key in the address, check, read, and take the alerts in."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Final

import msgspec

from incident_manager.clock import Clock
from incident_manager.db import Database
from incident_manager.errors import AuthenticationFailed
from incident_manager.flows.idempotency import claim_of
from incident_manager.flows.intake.line import Parcel
from incident_manager.flows.intake.receive import Intake
from incident_manager.flows.intake.submissions import Origin, Submission, submit
from incident_manager.flows.keyring import Keyring
from incident_manager.models.integrations import Integration
from incident_manager.monitors import MONITORS
from incident_manager.monitors.base import Delivery, Fitting, Monitor
from incident_manager.rules.access import Actor, ActorKind
from incident_manager.rules.severity import Severity
from incident_manager.schemas.alerts import AlertAccepted, DeliveryAccepted
from incident_manager.settings import DedupSettings
from incident_manager.store import integrations as store
from incident_manager.store.intake import Credential
from incident_manager.vault import Vault

PART: Final = 1_000


@dataclass(frozen=True, slots=True)
class Admitted:
    """Whose delivery it is, and who reads it."""

    integration: Integration
    monitor: Monitor
    actor: Actor
    address: bytes = field(repr=False)  # it holds the key
    credential: Credential | None = None  # where intake still has to check it

    @property
    def expires_at(self) -> None:
        """An integration is valid until somebody deletes it."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where monitors come in."""

    database: Database
    clock: Clock
    vault: Vault
    intake: Intake
    dedup: DedupSettings
    known: Keyring[Admitted]
    answer_seconds: float

    async def admit(self, monitor: str, key: str, request_id: str) -> Admitted:
        """Find the integration of an address; one that was found lately is checked by intake's own transaction.

        Raises AuthenticationFailed for an unknown key, or one of another monitor.
        """
        address = f"{monitor}/{key}".encode()
        if known := self.known.find(address, self.clock.now()):
            integration = known.integration
            credential = Credential(integration.tenant_id, integration.id, integration.version)
            actor = msgspec.structs.replace(known.actor, request_id=request_id)
            return replace(known, actor=actor, credential=credential)
        return await self._look_up(monitor, key, address, request_id)

    async def _look_up(self, monitor: str, key: str, address: bytes, request_id: str) -> Admitted:
        digest = self.vault.digest(key)
        found = await self.database.look_up(
            lambda session: store.find_by_digest(session, digest), seconds=self.answer_seconds
        )
        reader = MONITORS.get(monitor)
        if found is None or found.monitor != monitor or reader is None:  # the words do not tell which
            raise AuthenticationFailed("the key in the address is not valid")
        actor = Actor(
            tenant_id=found.tenant_id,
            kind=ActorKind.INTEGRATION,
            name=found.name,
            id=found.id,
            request_id=request_id,
        )
        admitted = Admitted(found, reader, actor, address)
        self.known.remember(address, admitted, self.clock.now())
        return admitted

    async def deliver(
        self, admitted: Admitted, delivery: Delivery, idempotency_key: str | None = None
    ) -> DeliveryAccepted:
        """Read a delivery and commit its alerts. Sent again under the same id or Idempotency-Key, it gets its first answer.

        Raises AuthenticationFailed where a signature is due and does not hold, MalformedRequest or ValidationFailed for what
        cannot be read, and for another body under the same id.
        """
        try:
            return await self._deliver(admitted, delivery, idempotency_key)
        except AuthenticationFailed:
            if admitted.credential is None:
                raise
        self.known.forget(admitted.address)  # it was changed or deleted since it was found: look again
        monitor, _, key = admitted.address.decode().partition("/")
        again = await self.admit(monitor, key, admitted.actor.request_id or "")
        return await self._deliver(again, delivery, idempotency_key)

    async def _deliver(self, admitted: Admitted, delivery: Delivery, idempotency_key: str | None) -> DeliveryAccepted:
        integration, now = admitted.integration, self.clock.now()
        if integration.signing_secret:
            admitted.monitor.verify(delivery, self.vault.decrypt(integration.signing_secret), now)
        reading = admitted.monitor.parse(delivery)
        severities = {word: Severity(value) for word, value in integration.severity_map.items()}
        fitting = Fitting(severities, integration.labels)
        scope, delivery_id = f"delivery {integration.id}", reading.delivery_id or idempotency_key
        origin = Origin(
            integration_id=integration.id,
            dedup_mode=integration.dedup_mode,
            window_seconds=integration.window_seconds,
            restates_start=admitted.monitor.restates_start,
        )
        submissions = (
            submit(
                fitting.fit(alert),
                admitted.actor,
                source=integration.name,
                settings=self.dedup,
                received_at=now,
                origin=origin,
                header_claim=claim_of(f"{scope} {place}", delivery_id, delivery.body) if delivery_id else None,
            )
            for place, alert in enumerate(reading.alerts)
        )
        answers = await self._take_in(admitted, submissions, now)
        return DeliveryAccepted(accepted=len(answers), results=answers, message=reading.message, cut=fitting.cuts)

    async def _take_in(
        self, admitted: Admitted, submissions: Iterator[Submission], now: datetime
    ) -> list[AlertAccepted]:
        """Make and commit alerts, a thousand at a time: a storm in one delivery must not keep everybody else waiting.

        An error in a later part leaves the earlier ones committed; the monitor is told 503 and sends all again, and what was
        taken in already is a repeat.
        """
        answers: list[AlertAccepted] = []
        part = list(islice(submissions, PART))
        while True:  # once at least: a delivery without alerts is noted, too
            parcel = Parcel(
                part,
                tenant_id=admitted.actor.tenant_id,
                received_at=now,
                integration_id=admitted.integration.id,
                credential=admitted.credential,
            )
            answers += [result.answer for result in await self.intake.receive(parcel)]
            part = list(islice(submissions, PART))
            if not part:
                return answers
