"""Deduplication keys: between the row that is locked and the facts that the rule decides by, and what follows an incident."""

from collections.abc import Iterable
from uuid import UUID

from incident_manager.flows.units import Unit
from incident_manager.models.alerts import DedupKey
from incident_manager.models.incidents import Incident
from incident_manager.rules import lifecycle
from incident_manager.rules.dedup import AlertStatus, KeyState, Report, Verdict, advance
from incident_manager.store import incidents as incident_store
from incident_manager.store.rows import KeyRow


def new_row(tenant_id: UUID, mark: str, report: Report, opens_id: UUID) -> KeyRow:
    """Return the row of a fingerprint as it stands after its very first alert; a firing one opens `opens_id`.

    Written before anything is decided: if the fingerprint is new indeed, it is right already and need not be written again.
    """
    verdict = Verdict.OPEN if report.status is AlertStatus.FIRING else Verdict.NOTHING
    return advance(KeyRow(tenant_id=tenant_id, fingerprint=mark), report, verdict, opens_id)


def known_state(key: DedupKey, opens_id: UUID) -> KeyState:
    """Return what was known of a locked key before this transaction: nothing where `new_row` has just made it."""
    if key.incident_id == opens_id:
        return KeyState()
    return KeyState(**{name: getattr(key, name) for name in KeyState.__struct_fields__})


def save(key: DedupKey, state: KeyState) -> None:
    """Put what the rule says back into the row; what did not change is not written."""
    for name in KeyState.__struct_fields__:
        setattr(key, name, getattr(state, name))


async def follow(unit: Unit, locked: Iterable[DedupKey], incident: Incident) -> None:
    """Let keys know what became of an incident: each is open, and names an active one, as long as its fingerprint has one."""
    active = lifecycle.is_active(incident.state)
    for key in locked:
        if active and not key.open:
            key.incident_id, key.open = incident.id, True
        elif not active and key.incident_id == incident.id:
            another = await incident_store.find_newest_open(unit.session, key.fingerprint)
            key.incident_id, key.open = another or incident.id, another is not None
