"""How long and how often everything is measured, and where: what each part of the bench is given."""

from pathlib import Path
from typing import NamedTuple

from tests.bench.engines import Engine


class Plan(NamedTuple):
    """A run of the bench. `seconds` is one load's, in each of `rounds`; `folder` is for what is made and thrown away."""

    seconds: float
    rounds: int
    folder: Path
    engines: tuple[Engine, ...]
    wrk: str | None  # None where there is none
    incidents: int = 100_000  # in the large store, and ten times as many alerts
