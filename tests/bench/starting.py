"""How long a command takes until it is of use: a first start, a start like every other, and the help."""

import shutil
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from tests.bench.plan import Plan
from tests.bench.rows import Row, measured
from tests.bench.targets import FIRST_START_SECONDS, START_SECONDS, Target
from tests.cli.processes import COMMAND, environment, started

LIBRARIES = "import litestar, sqlalchemy.ext.asyncio, uvicorn"
LOADED, BARE = "the libraries imported", "python, nothing done"
FLOORS = {LOADED: (sys.executable, "-c", LIBRARIES), BARE: (sys.executable, "-c", "")}


class Wanted(NamedTuple):
    """A figure, the floor it is held against, and what was there before."""

    name: str
    floor: str
    target: Target | None
    store: str


FIRST = Wanted("first start on an empty directory", LOADED, FIRST_START_SECONDS, "none")
SECOND = Wanted("second start", LOADED, START_SECONDS, "no incidents, SQLite")
HELP = Wanted("incident-manager --help", BARE, None, "none")


def measure(plan: Plan) -> list[Row]:
    """Start and stop, in rounds of the floors, then ours."""
    seen: dict[str, list[float]] = defaultdict(list)
    for number in range(plan.rounds):
        folder = plan.folder / f"start-{number}"
        folder.mkdir(parents=True)
        for name, command in FLOORS.items():
            seen[name].append(_run(folder, *command))
        for wanted in (FIRST, SECOND):
            seen[wanted.name].append(_serve(folder))
        seen[HELP.name].append(_run(folder, *COMMAND, "--help"))
        shutil.rmtree(folder)
    return [
        measured(
            wanted.name,
            "s",
            ours=seen[wanted.name],
            floor=seen[wanted.floor],
            floor_name=wanted.floor,
            target=wanted.target,
            store=wanted.store,
        )
        for wanted in (FIRST, SECOND, HELP)
    ]


def _serve(folder: Path) -> float:
    """Return the seconds from the start of the process until it says where it serves; what there is stays for the next."""
    began = time.perf_counter()
    with started(folder, "--port", "0") as server:
        server.wait_until_serving()
        return time.perf_counter() - began


def _run(folder: Path, *command: str) -> float:
    """Return the seconds that a command takes from its start to its end."""
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment(), stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began
