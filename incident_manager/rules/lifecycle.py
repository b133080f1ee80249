"""The states of an incident and the moves between them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple


class IncidentState(StrEnum):
    """In the order an incident usually goes through."""

    DETECTED = "Detected"
    TRIAGED = "Triaged"
    INVESTIGATING = "Investigating"
    REMEDIATING = "Remediating"
    RESOLVED = "Resolved"
    CLOSED = "Closed"


class ResolutionMethod(StrEnum):
    """Who or what ended it."""

    AUTOMATED = "Automated"
    MANUAL = "Manual"
    AUTO_ASSISTED_MANUAL = "AutoAssistedManual"


class Step(StrEnum):
    """What a move amounts to."""

    UNCHANGED = "unchanged"
    MOVED = "moved"
    RESOLVED = "resolved"
    CLOSED = "closed"
    REOPENED = "reopened"
    REFUSED = "refused"


class Move(NamedTuple):
    """A decision on a move: what it amounts to, its reason in words, and what would be allowed instead."""

    step: Step
    reason: str
    allowed: tuple[IncidentState, ...] = ()


_S = IncidentState
ALLOWED: Final[Mapping[IncidentState, tuple[IncidentState, ...]]] = {
    _S.DETECTED: (_S.TRIAGED, _S.INVESTIGATING, _S.REMEDIATING, _S.RESOLVED),
    _S.TRIAGED: (_S.INVESTIGATING, _S.REMEDIATING, _S.RESOLVED),
    _S.INVESTIGATING: (_S.TRIAGED, _S.REMEDIATING, _S.RESOLVED),
    _S.REMEDIATING: (_S.INVESTIGATING, _S.RESOLVED),
    _S.RESOLVED: (_S.CLOSED, _S.INVESTIGATING),
    _S.CLOSED: (_S.INVESTIGATING,),
}
ENDED: Final = frozenset({IncidentState.RESOLVED, IncidentState.CLOSED})


def is_active(state: IncidentState) -> bool:
    """Say whether somebody may still have to work on it."""
    return state not in ENDED


def move(present: IncidentState, target: IncidentState) -> Move:
    """Decide whether an incident may go from `present` to `target`; the state it already has is no move and no error."""
    if target is present:
        return Move(Step.UNCHANGED, f"is {present} already")
    if target not in ALLOWED[present]:
        return Move(Step.REFUSED, f"{present} does not lead to {target}", ALLOWED[present])
    if target is IncidentState.RESOLVED:
        return Move(Step.RESOLVED, f"{present} to Resolved")
    if target is IncidentState.CLOSED:
        return Move(Step.CLOSED, f"{present} to Closed")
    if present in ENDED:
        return Move(Step.REOPENED, f"{present} to {target}")
    return Move(Step.MOVED, f"{present} to {target}")


def acknowledge(present: IncidentState) -> Move:
    """Decide what an acknowledgement does: Detected becomes Triaged, other active states stay, ended ones refuse."""
    if present in ENDED:
        return Move(Step.REFUSED, f"{present} cannot be acknowledged", ALLOWED[present])
    if present is IncidentState.DETECTED:
        return Move(Step.MOVED, "Detected to Triaged")
    return Move(Step.UNCHANGED, f"stays {present}")


def snooze(present: IncidentState) -> Move:
    """Decide whether an incident can be put off: what has ended cannot."""
    if present in ENDED:
        return Move(Step.REFUSED, f"{present} cannot be snoozed", ALLOWED[present])
    return Move(Step.UNCHANGED, f"stays {present}")


def reopen(present: IncidentState) -> Move:
    """Decide what taking an incident up again does: ended ones go on as Investigating, what has not ended refuses."""
    if is_active(present) and present is not IncidentState.INVESTIGATING:
        return Move(Step.REFUSED, f"{present} has not ended", ALLOWED[present])
    return move(present, IncidentState.INVESTIGATING)
