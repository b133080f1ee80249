"""Memory of a server's process: much that stays, and very much that comes and goes with each request."""

import ctypes
import gc
from typing import Final

# Young objects before a look at them, and how often the older ones are looked at with them. Python's own (700, 10, 10) looks at
# all that is alive in the middle of decoding one dense body, which holds the event loop for 50 ms and more.
THRESHOLDS: Final = (50_000, 50, 1_000)
_M_TRIM_THRESHOLD: Final = -1  # malloc.h of glibc; mallopt(3)
_TRIM_BYTES: Final = 128 * 1024


def settle() -> None:
    """Leave out of every later collection what is there now, and give back what big bodies took: once a server has started.

    glibc moves its thresholds up with the first big block that is freed, and then keeps what dense bodies took (27 MiB of a
    hundred); once told them, as they are by nature, it leaves them there (10 MiB). Where there is no mallopt nothing is told.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    if tell := getattr(ctypes.CDLL(None), "mallopt", None):
        tell(_M_TRIM_THRESHOLD, _TRIM_BYTES)
