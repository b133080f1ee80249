"""What the figures are meant to reach: `must` below which a change is not taken, `goal` where it is good.

All targets stand here, so that a figure is never measured against what it happened to be.
"""

from enum import StrEnum
from typing import Final, NamedTuple


class Of(StrEnum):
    """What a target is a bound of."""

    RATIO = "ratio"  # ours / floor
    FIGURE = "figure"  # ours, in the row's unit


class Target(NamedTuple):
    """A bound and a better one; `more` where more is better. None where that one is not set."""

    of: Of
    must: float | None
    goal: float | None
    more: bool = False

    def holds(self, value: float, bound: float) -> bool:
        """Say whether a value keeps to a bound; on it is within."""
        return value >= bound if self.more else value <= bound


POST_64_FAST: Final = Target(Of.RATIO, 0.25, 0.45, more=True)
POST_64_HANDLER: Final = Target(Of.RATIO, 0.40, 0.60, more=True)
POST_64_DISTINCT: Final = Target(Of.RATIO, 0.35, 0.55, more=True)
POST_1_HANDLER: Final = Target(Of.RATIO, 0.13, 0.25, more=True)
POST_1_COMMIT: Final = Target(Of.RATIO, 4.0, 2.5)
PEER_SINGLE: Final = Target(Of.RATIO, 0.25, 0.5, more=True)
PEER_TAIL: Final = Target(Of.RATIO, 2.0, 1.0)
PEER_BATCH: Final = Target(Of.RATIO, 0.3, 0.75, more=True)
LIST_GROWTH: Final = Target(Of.RATIO, 1.5, 1.1)
LIST_RAW: Final = Target(Of.RATIO, None, 3.0)
READ_MILLISECONDS: Final = Target(Of.FIGURE, 50, 15)
FIRST_START_SECONDS: Final = Target(Of.FIGURE, 3.0, 1.5)
START_SECONDS: Final = Target(Of.FIGURE, 2.0, 1.0)
REST_MEBIBYTES: Final = Target(Of.FIGURE, 200, 120)
LOADED_MEBIBYTES: Final = Target(Of.FIGURE, 300, 200)
WAIT_MILLISECONDS: Final = Target(Of.FIGURE, 50, None)
