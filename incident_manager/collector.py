"""Python's garbage collector, told how a server lives: much that stays, and very much that comes and goes with each request."""

import gc
from typing import Final

# Young objects before a look at them, and how often the older ones are looked at with them. Python's own (700, 10, 10) looks at
# all that is alive in the middle of decoding one dense body, which holds the event loop for 50 ms and more.
THRESHOLDS: Final = (50_000, 50, 1_000)


def settle() -> None:
    """Leave out of every later collection what is there now: to be called once, when a server has started."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
