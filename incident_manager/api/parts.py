"""What the handlers work with; put together once, in app.py."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from litestar.connection import ASGIConnection

from incident_manager.clock import Clock
from incident_manager.db import Database
from incident_manager.flows.access import Caller
from incident_manager.flows.deliveries import Admitted
from incident_manager.flows.intake.receive import Intake
from incident_manager.flows.keyring import Keyring
from incident_manager.settings import Settings
from incident_manager.store.numbers import IncidentNumbers
from incident_manager.telemetry import Telemetry
from incident_manager.vault import Vault

STATE_KEY: Final = "parts"


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a running service."""

    settings: Settings
    database: Database
    clock: Clock
    vault: Vault
    numbers: IncidentNumbers
    intake: Intake
    keyring: Keyring[Caller]
    doors: Keyring[Admitted]
    telemetry: Telemetry
    started_at: datetime
    weaknesses: tuple[str, ...]


def parts_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Parts:
    """Return the parts of the application that answers."""
    parts: Parts = connection.app.state[STATE_KEY]
    return parts
