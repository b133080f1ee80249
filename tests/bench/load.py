"""Load by wrk: one run, and what it saw."""

import itertools
import os
import subprocess
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.bench.bodies import around_the_number

SCRIPT = Path(__file__).with_name("load.lua")
NO_WRK = "wrk is missing (Debian: apt-get install wrk)"
GRACE_SECONDS = 10  # for the answers under way when the time is over

_runs = itertools.count(1)


class Mix(IntEnum):
    """How many alerts there are to a new one."""

    DUPLICATES = 10
    DISTINCT = 1


class Shape(NamedTuple):
    """What a request is: where it goes, how many alerts are in it, and what stands around them and around each one's number."""

    path: str
    around: tuple[str, str]
    size: int = 1
    opening: str = ""
    closing: str = ""


SINGLE = Shape("/v1/alerts", around_the_number())
BATCH = Shape("/v1/alerts/batch", around_the_number(), 100, "[", "]")


class Load(msgspec.Struct, frozen=True):
    """What wrk saw: answers, those that were no 2xx, connections that broke or waited too long, and times."""

    requests: int
    refused: int
    lost: int
    seconds: float
    p50_ms: float
    p99_ms: float
    size: int = 1

    @property
    def rate(self) -> float:
        """Alerts a second."""
        return self.requests * self.size / self.seconds

    @property
    def accepted(self) -> int:
        """How many alerts were answered with 2xx; nothing answers 3xx."""
        return (self.requests - self.refused) * self.size


def load(
    wrk: str, url: str, *, connections: int, mix: Mix, seconds: float, key: str = "", shape: Shape = SINGLE
) -> Load:
    """Post alerts to a server; no other run's alerts are repeated."""
    before, after = shape.around
    settings = {
        "PATH": shape.path,
        "SIZE": str(shape.size),
        "OPENING": shape.opening,
        "CLOSING": shape.closing,
        "SECONDS": str(seconds),
        "CONNECTIONS": str(connections),
        "NEW_EVERY": str(int(mix)),
        "FIRST": str(next(_runs) * 1_000_000),
        "BEFORE": before,
        "AFTER": after,
        "KEY": key,
    }
    limit, patience = f"{int(seconds) + GRACE_SECONDS}s", f"{GRACE_SECONDS}s"  # by itself it takes 2 s for a loss
    said = subprocess.run(
        [wrk, "-t1", f"-c{connections}", f"-d{limit}", "--timeout", patience, "-s", str(SCRIPT), url],
        env={**os.environ, **{f"BENCH_{name}": value for name, value in settings.items()}},
        capture_output=True,
        text=True,
        check=True,
    )
    saw = msgspec.json.decode(said.stdout.splitlines()[-1], type=Load)
    return msgspec.structs.replace(saw, size=shape.size)
