from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incident_manager.rules.dedup import (
    AlertStatus,
    DedupMode,
    DedupPolicy,
    KeyState,
    Reason,
    Report,
    Verdict,
    advance,
    clamp,
    decide,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WINDOW = timedelta(minutes=15)
ONE = UUID(int=1)


def policy(mode: DedupMode = DedupMode.WINDOW, *, enabled: bool = True) -> DedupPolicy:
    return DedupPolicy(enabled=enabled, mode=mode, window=WINDOW)


def report(status: str = "firing", *, after: timedelta = timedelta(0), occurred: timedelta | None = None) -> Report:
    received = NOW + after
    return Report(
        status=AlertStatus(status),
        received_at=received,
        occurred_at=received if occurred is None else NOW + occurred,
    )


def seen(**changed: object) -> KeyState:
    known = {
        "incident_id": ONE,
        "open": True,
        "first_seen_at": NOW,
        "last_seen_at": NOW,
        "last_fired_at": NOW,
        "occurrences": 1,
    }
    return KeyState(**(known | changed))


SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("gap", "verdict", "reason"),
    [
        (WINDOW - SECOND, Verdict.ATTACH, Reason.WITHIN_WINDOW),
        (WINDOW, Verdict.ATTACH, Reason.WITHIN_WINDOW),
        (WINDOW + timedelta(microseconds=1), Verdict.OPEN, Reason.WINDOW_EXPIRED),
        (WINDOW + SECOND, Verdict.OPEN, Reason.WINDOW_EXPIRED),
        (-SECOND, Verdict.ATTACH, Reason.WITHIN_WINDOW),
    ],
)
def test_the_window_is_inclusive_to_its_last_microsecond(gap: timedelta, verdict: Verdict, reason: Reason) -> None:
    assert decide(seen(), report(after=gap), policy()) == (verdict, reason)


def test_while_open_attaches_however_old() -> None:
    decision = decide(seen(), report(after=timedelta(days=400)), policy(DedupMode.WHILE_OPEN))
    assert decision == (Verdict.ATTACH, Reason.WHILE_OPEN)


@pytest.mark.parametrize("mode", DedupMode)
def test_an_ended_incident_is_never_attached_to(mode: DedupMode) -> None:
    assert decide(seen(open=False), report(after=SECOND), policy(mode)) == (Verdict.OPEN, Reason.PREVIOUS_ENDED)


def test_without_deduplication_every_firing_alert_opens() -> None:
    assert decide(seen(), report(), policy(enabled=False)) == (Verdict.OPEN, Reason.DEDUP_DISABLED)


@pytest.mark.parametrize(
    ("occurred", "reason"),
    [
        (timedelta(0), Reason.SOURCE_RESOLVED),
        (SECOND, Reason.SOURCE_RESOLVED),
        (-SECOND, Reason.OUT_OF_ORDER),
    ],
)
def test_a_resolve_older_than_the_newest_firing_changes_nothing(occurred: timedelta, reason: Reason) -> None:
    assert decide(seen(), report("resolved", after=SECOND, occurred=occurred), policy()).reason is reason


def test_a_firing_message_older_than_the_newest_resolve_opens_nothing() -> None:
    ended = seen(open=False, last_resolved_at=NOW)
    late = report(after=SECOND, occurred=-SECOND)
    assert decide(ended, late, policy()) == (Verdict.SUPPRESS, Reason.OUT_OF_ORDER)


def test_a_repeated_start_is_no_sign_of_lateness() -> None:
    ended = seen(open=False, last_resolved_at=NOW)
    again = Report(status=AlertStatus.FIRING, received_at=NOW + SECOND, occurred_at=NOW - SECOND, restates_start=True)
    assert decide(ended, again, policy()) == (Verdict.OPEN, Reason.PREVIOUS_ENDED)


def test_an_acknowledgement_needs_an_open_incident() -> None:
    assert decide(seen(), report("acknowledged"), policy()).verdict is Verdict.ACKNOWLEDGE
    assert decide(seen(open=False), report("acknowledged"), policy()) == (Verdict.NOTHING, Reason.NOTHING_OPEN)


@pytest.mark.parametrize(
    ("ahead", "clamped"),
    [(timedelta(minutes=10), False), (timedelta(minutes=10, seconds=1), True), (timedelta(days=-9), False)],
)
def test_a_clock_far_ahead_counts_as_the_receipt(ahead: timedelta, clamped: bool) -> None:
    assert clamp(NOW + ahead, NOW) == (NOW if clamped else NOW + ahead)


HISTORY = st.lists(
    st.tuples(
        st.sampled_from(AlertStatus),
        st.integers(0, 2_000).map(lambda seconds: timedelta(seconds=seconds)),
        st.integers(-1_000, 700).map(lambda seconds: timedelta(seconds=seconds)),
    ),
    max_size=30,
)


@given(HISTORY, st.sampled_from(DedupMode))
def test_over_any_history_times_never_go_back_and_counts_are_the_alerts_that_count(
    history: list[tuple[AlertStatus, timedelta, timedelta]], mode: DedupMode
) -> None:
    key, now, counted = KeyState(), NOW, 0
    for number, (status, gap, skew) in enumerate(history):
        now += gap
        told = Report(status=status, received_at=now, occurred_at=clamp(now + skew, now))
        verdict = decide(key, told, policy(mode)).verdict
        after = advance(key, told, verdict, UUID(int=number + 1))
        counted += verdict in {Verdict.OPEN, Verdict.ATTACH}
        assert after.occurrences == counted
        assert all(
            getattr(key, name) is None or getattr(after, name) >= getattr(key, name)
            for name in ("last_seen_at", "last_fired_at", "last_resolved_at")
        )
        assert not (verdict is Verdict.ATTACH and after.incident_id != key.incident_id)
        assert (verdict is Verdict.OPEN) <= (after.incident_id == UUID(int=number + 1))
        key = after


@given(st.integers(1, 40))
def test_a_steady_storm_slides_the_window(count: int) -> None:
    key, now = KeyState(), NOW
    verdicts = []
    for _ in range(count):
        told = Report(status=AlertStatus.FIRING, received_at=now, occurred_at=now)
        verdicts.append(decide(key, told, policy()).verdict)
        key = advance(key, told, verdicts[-1], ONE)
        now += WINDOW
    assert verdicts == [Verdict.OPEN] + [Verdict.ATTACH] * (count - 1)
