"""What must hold whatever is done to the service, whether it did, and the table of it."""

from collections.abc import Sequence
from typing import NamedTuple


class Invariant(NamedTuple):
    """Something that must hold; `seen` is what there was to see, in figures."""

    drill: str
    name: str
    held: bool
    seen: str


HEADINGS = ("drill", "invariant", "held", "seen")


def none_of(drill: str, name: str, found: Sequence[object], of: int) -> Invariant:
    """Return an invariant that holds where nothing was found, and something was looked at."""
    seen = f"{len(found):,} of {of:,}" + (f", first: {found[0]}"[:160].replace("\n", " ") if found else "")
    return Invariant(drill, name, not found and of > 0, seen)


def table(invariants: Sequence[Invariant]) -> str:
    """Return the table, its columns under each other."""
    lines = [HEADINGS, *((one.drill, one.name, "yes" if one.held else "NO", one.seen) for one in invariants)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
