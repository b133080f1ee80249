"""What it ran on: figures without it mean nothing."""

import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tests.bench.engines import Engine
from tests.house.sources import ROOT


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The machine and the versions under measurement; `commit` says where the tree differs from it."""

    at: datetime
    commit: str
    cpu: str
    cores: int
    memory_mebibytes: int
    system: str
    python: str
    engines: dict[str, str]


def machine(engines: Iterable[Engine]) -> Machine:
    """Describe this one."""
    return Machine(
        at=datetime.now(UTC).replace(microsecond=0),
        commit=_commit(),
        cpu=_field("/proc/cpuinfo", "model name") or platform.processor(),
        cores=len(os.sched_getaffinity(0)),
        memory_mebibytes=int((_field("/proc/meminfo", "MemTotal") or "0").split()[0]) // 1024,
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        engines={engine.name: engine.version for engine in engines},
    )


def _commit() -> str:
    """Return git's name of what is measured; "unknown" outside of a clone."""
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return told.stdout.strip() or "unknown"


def _field(path: str, name: str) -> str:
    """Return the first field of a name in a file of `name: value` lines; "" where there is none."""
    lines = Path(path).read_text().splitlines() if Path(path).exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), "")
