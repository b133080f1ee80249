"""What must hold whatever is done to the service, whether it did, and the table of it."""

from collections.abc import Sequence
from typing import NamedTuple


class Invariant(NamedTuple):
    """Something that must hold; `seen` is what there was to see, in figures."""

    drill: str
    name: str
    held: bool | None  # None: it could not be looked at here
    seen: str
    timed: bool = False  # a figure of this machine's: it is held here, and by no test


HEADINGS = ("drill", "invariant", "held", "seen")
MARKS = {True: "yes", False: "NO", None: "-"}


def skipped(drill: str, name: str, why: str) -> Invariant:
    """Return what cannot be looked at here, and why."""
    return Invariant(drill, name, None, f"skipped: {why}")


def within(drill: str, name: str, found: Sequence[float], limit: float) -> Invariant:
    """Return an invariant that holds where there are times and none is over a limit, in seconds."""
    worst = f"worst of {len(found)}: {max(found):.2f} s" if found else "nothing was measured"
    return Invariant(drill, f"{name} <= {limit:g} s", bool(found) and max(found) <= limit, worst, timed=True)


def none_of(drill: str, name: str, found: Sequence[object], of: int) -> Invariant:
    """Return an invariant that holds where nothing was found, and something was looked at."""
    seen = f"{len(found):,} of {of:,}" + (f", first: {found[0]}"[:160].replace("\n", " ") if found else "")
    return Invariant(drill, name, not found and of > 0, seen)


def table(invariants: Sequence[Invariant]) -> str:
    """Return the table, its columns under each other."""
    lines = [HEADINGS, *((one.drill, one.name, MARKS[one.held], one.seen) for one in invariants)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
