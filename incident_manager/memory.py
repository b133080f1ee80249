"""How a server's process is set up once it has started: its memory, and the turns that its threads take."""

import ctypes
import gc
import sys
from typing import Final

# Young objects before a look at them, and how often the older ones are looked at with them. Python's own (700, 10, 10) looks at
# all that is alive in the middle of decoding one dense body, which holds the event loop for 50 ms and more.
THRESHOLDS: Final = (50_000, 50, 1_000)
# Seconds for which a thread may go on while another one waits. SQLite's writer has to get its turn back after each statement,
# from an event loop that always has something to do: Python's own 0.005 cost a sixth of the alerts a second.
SWITCHED_AFTER: Final = 0.0005
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
    sys.setswitchinterval(SWITCHED_AFTER)
    if tell := getattr(ctypes.CDLL(None), "mallopt", None):
        tell(_M_TRIM_THRESHOLD, _TRIM_BYTES)
