"""One thing again and again for a while, and how long each time took."""

import time
from collections.abc import Callable, Iterator


def ticks(seconds: float) -> Iterator[float]:
    """Yield the time now, again and again, until the seconds are over; once at least."""
    end = time.perf_counter() + seconds
    yield time.perf_counter()
    while (now := time.perf_counter()) < end:
        yield now


def timed(once: Callable[[], object], seconds: float) -> list[float]:
    """Do something for so many seconds, once at least; return the milliseconds of each time."""
    times = []
    for began in ticks(seconds):
        once()
        times.append((time.perf_counter() - began) * 1_000)
    return times
