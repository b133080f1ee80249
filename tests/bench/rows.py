"""A row of the bench: a figure of ours beside its floor of the same run, and what it is meant to reach."""

import statistics
from collections.abc import Sequence
from enum import StrEnum

import msgspec

from tests.bench.targets import Of, Target


class Reached(StrEnum):
    """How far a figure came."""

    GOAL = "goal"
    MUST = "must"
    NEITHER = "no"
    NO_TARGET = "-"
    BROKEN = "broken"  # measured, but what was measured went wrong: no figure
    NOT_MEASURED = "not measured"


class Row(msgspec.Struct, kw_only=True, frozen=True):
    """One line of the table. `ours` and `floor` are medians of the rounds' samples, `ratio` the median of the rounds' ratios.

    `store` says how much was stored while it was measured; `note` whatever else one must know to read the figure.
    """

    name: str
    unit: str
    floor_name: str
    ours: float | None = None
    floor: float | None = None
    ratio: float | None = None
    must: float | None = None
    goal: float | None = None
    of: Of | None = None
    reached: Reached
    ours_samples: list[float] = []
    floor_samples: list[float] = []
    store: str = ""
    note: str = ""


def measured(
    name: str,
    unit: str,
    *,
    ours: Sequence[float],
    floor: Sequence[float],
    floor_name: str,
    target: Target | None = None,
    store: str = "",
    note: str = "",
    broken: str = "",
) -> Row:
    """Make a row of what the rounds gave, a sample of ours and one of the floor from each, in the order they were taken.

    `broken` says what went wrong while measuring; such a row has reached nothing, whatever its figures say.
    """
    ratio = statistics.median(mine / other for mine, other in zip(ours, floor, strict=True))
    figure = statistics.median(ours)
    return Row(
        name=name,
        unit=unit,
        floor_name=floor_name,
        ours=figure,
        floor=statistics.median(floor),
        ratio=ratio,
        must=target.must if target else None,
        goal=target.goal if target else None,
        of=target.of if target else None,
        reached=Reached.BROKEN if broken else reached(target, figure=figure, ratio=ratio),
        ours_samples=list(ours),
        floor_samples=list(floor),
        store=store,
        note="; ".join(part for part in (broken, note) if part),
    )


def missing(name: str, why: str) -> Row:
    """Make the row of what could not be measured here."""
    return Row(name=name, unit="", floor_name="", reached=Reached.NOT_MEASURED, note=why)


def reached(target: Target | None, *, figure: float, ratio: float) -> Reached:
    """Say how far a figure, or its ratio where the target is one, came."""
    if target is None:
        return Reached.NO_TARGET
    value = ratio if target.of is Of.RATIO else figure
    if target.goal is not None and target.holds(value, target.goal):
        return Reached.GOAL
    if target.must is not None and target.holds(value, target.must):
        return Reached.MUST
    return Reached.NEITHER


def spread(samples: Sequence[float]) -> float:
    """Return how far apart the rounds are, in parts of their median: (most - least) / median."""
    return (max(samples) - min(samples)) / statistics.median(samples)
