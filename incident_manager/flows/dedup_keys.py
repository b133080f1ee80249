"""Deduplication keys: between the row that is locked and the facts that the rule decides by."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from incident_manager.models.alerts import DedupKey
from incident_manager.rules.dedup import AlertStatus, KeyState, Report, Verdict, advance


def new_row(tenant_id: UUID, mark: str, report: Report, opens_id: UUID) -> dict[str, Any]:
    """Return the row of a fingerprint as it stands after its very first alert; a firing one opens `opens_id`.

    Written before anything is decided: if the fingerprint is new indeed, it is right already and need not be written again.
    """
    verdict = Verdict.OPEN if report.status is AlertStatus.FIRING else Verdict.NOTHING
    state = advance(KeyState(), report, verdict, opens_id)
    return {
        "tenant_id": tenant_id,
        "fingerprint": mark,
        **msgspec.to_builtins(state, builtin_types=(UUID, datetime)),
    }


def known_state(key: DedupKey, opens_id: UUID) -> KeyState:
    """Return what was known of a locked key before this transaction: nothing where `new_row` has just made it."""
    if key.incident_id == opens_id:
        return KeyState()
    return KeyState(**{name: getattr(key, name) for name in KeyState.__struct_fields__})


def save(key: DedupKey, state: KeyState) -> None:
    """Put what the rule says back into the row; what did not change is not written."""
    for name in KeyState.__struct_fields__:
        setattr(key, name, getattr(state, name))
