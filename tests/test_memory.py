"""The memory of a server that has started."""

import ctypes
import subprocess
import sys

import pytest

from incident_manager.memory import SWITCHED_AFTER, THRESHOLDS

TOLD = (
    "import gc, sys; from incident_manager.memory import settle; settle();"
    "print(gc.get_threshold(), sys.getswitchinterval(), gc.get_freeze_count())"
)
# What is freed in the middle stays with the process, unless it was a mapping of its own: 3 MB, after a bigger one was freed.
KEPT = """
import ctypes, resource
from incident_manager.memory import settle
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
settle()
del (big := [bytes(8_000_000)])[:]
before = resident()
blocks = [bytearray(b"x") * 3_000_000 for _ in range(20)]
last = blocks[-1]
del blocks
print((resident() - before) // 1_000_000)
"""


def said(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


def test_what_is_there_at_the_start_is_left_alone_and_the_rest_is_looked_at_less_often() -> None:
    thresholds, _, frozen = said(TOLD).rpartition(" ")
    assert (thresholds, int(frozen) > 0) == (f"{THRESHOLDS} {SWITCHED_AFTER}", True)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library has no mallopt")
def test_what_big_bodies_took_is_given_back_although_something_behind_it_stays() -> None:
    assert int(said(KEPT)) < 10
