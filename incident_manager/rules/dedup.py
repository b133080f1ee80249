"""What happens to an alert, given what is known of its fingerprint: open, attach, resolve, acknowledge or nothing.

A fingerprint's facts are one row that is locked while it is decided (`KeyState`); the flow threads it through a batch with
`advance`, so that the second alert of a batch sees what the first one did.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

import msgspec

CLOCK_AHEAD_LIMIT: Final = timedelta(minutes=10)


class AlertStatus(StrEnum):
    """What the monitor says of its problem."""

    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class SubmissionStatus(StrEnum):
    """What the sender of an alert is told."""

    ACCEPTED = "Accepted"
    DUPLICATE = "Duplicate"
    SUPPRESSED = "Suppressed"
    REJECTED = "Rejected"
    RATE_LIMITED = "RateLimited"


class DedupMode(StrEnum):
    """`window`: attach while the last alert is recent. `while_open`: attach to the open incident however old."""

    WINDOW = "window"
    WHILE_OPEN = "while_open"


class Verdict(StrEnum):
    """What is done; stored as an alert's `outcome`."""

    OPEN = "opened"
    ATTACH = "attached"
    RESOLVE = "resolved"
    ACKNOWLEDGE = "acknowledged"
    SUPPRESS = "suppressed"
    NOTHING = "no_effect"


class Reason(StrEnum):
    """Why it is done; stored as an alert's `reason`."""

    FIRST_SEEN = "first_seen"
    DEDUP_DISABLED = "dedup_disabled"
    PREVIOUS_ENDED = "previous_ended"
    WINDOW_EXPIRED = "window_expired"
    WITHIN_WINDOW = "within_window"
    WHILE_OPEN = "while_open"
    SOURCE_RESOLVED = "source_resolved"
    SOURCE_ACKNOWLEDGED = "source_acknowledged"
    NOTHING_OPEN = "nothing_open"
    OUT_OF_ORDER = "out_of_order"
    OTHERS_FIRING = "others_firing"


MESSAGES: Final[dict[Reason, str]] = {
    Reason.FIRST_SEEN: "opened an incident: first alert of this fingerprint",
    Reason.DEDUP_DISABLED: "opened an incident: deduplication is off",
    Reason.PREVIOUS_ENDED: "opened an incident: the earlier one of this fingerprint has ended",
    Reason.WINDOW_EXPIRED: "opened an incident: the last alert of this fingerprint is older than the window",
    Reason.WITHIN_WINDOW: "attached to the open incident: the last alert of this fingerprint is inside the window",
    Reason.WHILE_OPEN: "attached to the open incident of this deduplication key",
    Reason.SOURCE_RESOLVED: "the source says it is resolved",
    Reason.SOURCE_ACKNOWLEDGED: "the source says it is acknowledged",
    Reason.NOTHING_OPEN: "stored; no open incident of this fingerprint to change",
    Reason.OUT_OF_ORDER: "stored; a newer message about this fingerprint came before it",
    Reason.OTHERS_FIRING: "stored; other fingerprints that were merged into its incident still fire",
}


class Decision(NamedTuple):
    """A verdict with its reason."""

    verdict: Verdict
    reason: Reason


class DedupPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How the alerts of one source are folded."""

    enabled: bool
    mode: DedupMode
    window: timedelta


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What of an alert counts for the decision.

    `occurred_at` is already clamped (`clamp`). `restates_start` is for monitors whose firing messages carry the start of the
    problem in every repeat: such a time cannot show that a firing message is late.
    """

    status: AlertStatus
    occurred_at: datetime
    received_at: datetime
    restates_start: bool = False


class KeyState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a fingerprint: its newest incident, whether that is active, whether it fires, the newest times seen."""

    incident_id: UUID | None = None
    open: bool = False
    firing: bool = False
    first_seen_at: datetime | None = None
    last_seen_at: datetime | None = None
    last_fired_at: datetime | None = None
    last_resolved_at: datetime | None = None
    occurrences: int = 0


K = TypeVar("K", bound=KeyState)


def clamp(occurred_at: datetime | None, received_at: datetime) -> datetime:
    """Return the time that orders an alert: the sender's, or the receipt's where there is none or it is over 10 min ahead.

    A sender's clock that runs far ahead would make every later resolve look old, and the incident would never end.
    """
    if occurred_at is None or occurred_at - received_at > CLOCK_AHEAD_LIMIT:
        return received_at
    return occurred_at


def decide(key: KeyState, report: Report, policy: DedupPolicy) -> Decision:
    """Decide what one alert does. The window is inclusive: an alert exactly `window` after the last one still attaches.

    Messages with equal times are in the order of their arrival. A firing message older than the newest resolve is late and
    opens nothing, or it would stay open for ever: its resolve has come already.
    """
    match report.status:
        case AlertStatus.FIRING:
            return _firing(key, report, policy)
        case AlertStatus.RESOLVED:
            if _is_before(report.occurred_at, key.last_fired_at):
                return Decision(Verdict.NOTHING, Reason.OUT_OF_ORDER)
            return Decision(Verdict.RESOLVE, Reason.SOURCE_RESOLVED)
        case AlertStatus.ACKNOWLEDGED:
            if not key.open:
                return Decision(Verdict.NOTHING, Reason.NOTHING_OPEN)
            return Decision(Verdict.ACKNOWLEDGE, Reason.SOURCE_ACKNOWLEDGED)


def _firing(key: KeyState, report: Report, policy: DedupPolicy) -> Decision:
    late = _is_before(report.occurred_at, key.last_resolved_at)
    if late and not report.restates_start and not key.open:
        return Decision(Verdict.SUPPRESS, Reason.OUT_OF_ORDER)
    if not policy.enabled:
        return Decision(Verdict.OPEN, Reason.DEDUP_DISABLED)
    if key.incident_id is None:
        return Decision(Verdict.OPEN, Reason.FIRST_SEEN)
    if not key.open:
        return Decision(Verdict.OPEN, Reason.PREVIOUS_ENDED)
    if policy.mode is DedupMode.WHILE_OPEN:
        return Decision(Verdict.ATTACH, Reason.WHILE_OPEN)
    if key.last_seen_at is not None and report.received_at - key.last_seen_at > policy.window:
        return Decision(Verdict.OPEN, Reason.WINDOW_EXPIRED)
    return Decision(Verdict.ATTACH, Reason.WITHIN_WINDOW)


def advance(key: K, report: Report, verdict: Verdict, opened_id: UUID | None) -> K:
    """Return the key as it stands after `verdict`; `opened_id` is the incident that OPEN made. Times never go back."""
    match verdict:
        case Verdict.OPEN | Verdict.ATTACH:
            return msgspec.structs.replace(
                key,
                incident_id=opened_id if verdict is Verdict.OPEN else key.incident_id,
                open=True,
                firing=True,
                first_seen_at=key.first_seen_at or report.received_at,
                last_seen_at=_latest(key.last_seen_at, report.received_at),
                last_fired_at=_latest(key.last_fired_at, report.occurred_at),
                occurrences=key.occurrences + 1,
            )
        case Verdict.RESOLVE:
            newest = _latest(key.last_resolved_at, report.occurred_at)
            return msgspec.structs.replace(key, open=False, firing=False, last_resolved_at=newest)
        case Verdict.ACKNOWLEDGE | Verdict.SUPPRESS | Verdict.NOTHING:
            return key


def ends(*, others_firing: bool) -> Decision:
    """Decide whether a resolved fingerprint ends an incident: one that holds several ends when none of them fires any more.

    As at PagerDuty: an incident that others were merged into is resolved by the last of its alerts, not by the first.
    """
    if others_firing:
        return Decision(Verdict.NOTHING, Reason.OTHERS_FIRING)
    return Decision(Verdict.RESOLVE, Reason.SOURCE_RESOLVED)


def hold(key: K, incident_id: UUID) -> K:
    """Return the key as it stands where its fingerprint is resolved and its incident goes on, because others still fire."""
    return msgspec.structs.replace(key, incident_id=incident_id, open=True)


def _latest(known: datetime | None, new: datetime) -> datetime:
    return new if known is None or new > known else known


def _is_before(moment: datetime, known: datetime | None) -> bool:
    return known is not None and moment < known
