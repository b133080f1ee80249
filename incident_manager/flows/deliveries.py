"""What monitors send: find the integration by the key in the address, check, read, and take the alerts in."""

from dataclasses import dataclass

from incident_manager.clock import Clock
from incident_manager.db import Database
from incident_manager.flows import integrations
from incident_manager.flows.intake.receive import Intake
from incident_manager.flows.intake.submissions import submit
from incident_manager.flows.units import Units
from incident_manager.models.integrations import Integration
from incident_manager.monitors.base import Delivery, Fitting, Monitor
from incident_manager.rules.access import Actor, ActorKind
from incident_manager.rules.severity import Severity
from incident_manager.schemas.alerts import DeliveryAccepted
from incident_manager.settings import DedupSettings
from incident_manager.store import integrations as store
from incident_manager.vault import Vault


@dataclass(frozen=True, slots=True)
class Admitted:
    """Whose delivery it is, and who reads it."""

    integration: Integration
    monitor: Monitor
    actor: Actor


@dataclass(frozen=True, slots=True)
class Door:
    """Where monitors come in."""

    database: Database
    clock: Clock
    vault: Vault
    intake: Intake
    dedup: DedupSettings

    async def admit(self, monitor: str, key: str, request_id: str) -> Admitted:
        """Find the integration of an address.

        Raises AuthenticationFailed for an unknown key, or one of another monitor.
        """
        digest = self.vault.digest(key)
        found = await self.database.read(lambda session: store.find_by_digest(session, digest), tenant_id=None)
        reader = integrations.check_monitor(found, monitor)
        assert found is not None  # noqa: S101 - checked just above
        actor = Actor(
            tenant_id=found.tenant_id,
            kind=ActorKind.INTEGRATION,
            name=found.name,
            id=found.id,
            request_id=request_id,
        )
        return Admitted(found, reader, actor)

    async def deliver(self, admitted: Admitted, delivery: Delivery) -> DeliveryAccepted:
        """Read a delivery and commit its alerts.

        Raises AuthenticationFailed where a signature is due and does not hold, MalformedRequest or ValidationFailed for what
        cannot be read.
        """
        integration, now = admitted.integration, self.clock.now()
        if integration.signing_secret:
            admitted.monitor.verify(delivery, self.vault.decrypt(integration.signing_secret), now)
        reading = admitted.monitor.parse(delivery)
        severities = {word: Severity(value) for word, value in integration.severity_map.items()}
        fitting = Fitting(severities, integration.labels)
        submissions = [
            submit(
                fitting.fit(alert),
                source=integration.name,
                settings=self.dedup,
                received_at=now,
                integration=integration,
                restates_start=admitted.monitor.restates_start,
            )
            for alert in reading.alerts
        ]
        units = Units(self.database, self.clock, admitted.actor)
        results = await self.intake.receive(units, submissions, integration.id)
        answers = [result.answer for result in results]
        return DeliveryAccepted(accepted=len(answers), results=answers, message=reading.message, cut=fitting.cuts)
