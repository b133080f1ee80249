"""How much of everything, and where: what each drill is given."""

from pathlib import Path
from typing import NamedTuple

from tests.bench.engines import Engine


class Plan(NamedTuple):
    """A run of the drills; `folder` is for what is made and thrown away. The same `seed` makes the same choices."""

    folder: Path
    engines: tuple[Engine, ...]
    kills: int  # of each engine's server
    rounds: int  # of hostile bodies
    requests: int  # made up from the description of the API, over all engines and roles
    seed: int
