"""The only place that asks for the time; everything else is given `now`, so that tests can move it."""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time: aware, UTC, with microseconds."""

    def now(self) -> datetime:
        """Return the present instant."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present instant."""
        return datetime.now(UTC)


class ManualClock:
    """A clock that stands still until it is moved: for tests and drills."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        """Return the instant the clock was last moved to."""
        return self._now

    def forward(self, span: timedelta) -> None:
        """Move the clock ahead by `span`."""
        self._now += span
