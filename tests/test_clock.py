"""The machine's clock, and the one that tests move."""

from datetime import UTC, datetime, timedelta

from incident_manager.clock import ManualClock, SystemClock


def test_the_machines_clock_tells_utc_and_does_not_stand_still() -> None:
    first = SystemClock().now()
    while (later := SystemClock().now()) == first:
        pass
    assert first.tzinfo is UTC
    assert timedelta(0) < later - first < timedelta(minutes=1)
    assert abs(first - datetime.now(UTC)) < timedelta(minutes=1)


def test_the_manual_clock_moves_only_when_it_is_moved() -> None:
    start = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    clock = ManualClock(start)
    assert clock.now() == clock.now() == start
    clock.forward(timedelta(minutes=30))
    clock.forward(timedelta(microseconds=1))
    assert clock.now() == datetime(2026, 3, 1, 12, 30, 0, 1, tzinfo=UTC)
