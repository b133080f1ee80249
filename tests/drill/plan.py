"""How much of everything, and where: what each drill is given."""

from pathlib import Path
from typing import NamedTuple

from tests.bench.engines import Engine


class Plan(NamedTuple):
    """A run of the drills; `folder` is for what is made and thrown away. The same `seed` makes the same choices."""

    folder: Path
    engines: tuple[Engine, ...]
    clients: int = 8  # that post side by side
    processes: int = 3  # of the API, where there are several
    kills: int = 100  # of each engine's server
    restarts: int = 30  # of PostgreSQL
    terminated_seconds: int = 60
    full_seconds: int = 5
    frozen_seconds: int = 5
    rolls: int = 6  # of a process, replaced by a new one
    submits: int = 20_000
    keys: int = 1_000  # that the submits are about
    rounds: int = 3  # of hostile bodies
    requests: int = 20_000  # made up from the description of the API, over all engines and roles
    seed: int = 1

    @property
    def postgres(self) -> tuple[Engine, ...]:
        """The engine that several processes may share, and whose connections can be ended: PostgreSQL, or none."""
        return tuple(engine for engine in self.engines if engine.server)
