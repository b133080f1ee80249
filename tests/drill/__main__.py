"""`make drill`: what is done to the service that nobody would do to it on purpose, and a table of what held all the same.

python -m tests.drill --help. It ends with 1 where something did not hold.
"""

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click

from tests.bench.engines import engines
from tests.drill import bodies, contended, frozen, full, kills, requests, restarts, rolling, terminated
from tests.drill.invariants import Invariant, table
from tests.drill.plan import Plan

DRILLS: dict[str, Callable[[Plan], list[Invariant]]] = {
    "kills": kills.run,
    "restarts": restarts.run,
    "terminated": terminated.run,
    "full": full.run,
    "frozen": frozen.run,
    "rolling": rolling.run,
    "contended": contended.run,
    "bodies": bodies.run,
    "requests": requests.run,
}
SIZES = Plan._field_defaults
TOLD = {
    "clients": "that post side by side",
    "processes": "of the API, where there are several",
    "kills": "of each engine's server",
    "restarts": "of PostgreSQL",
    "terminated_seconds": "in which PostgreSQL's connections are ended twice a second",
    "full_seconds": "without room on the disk",
    "frozen_seconds": "in which the database stands still",
    "rolls": "of a process, replaced by a new one",
    "submits": "of several processes' clients",
    "keys": "that the submits are about",
    "rounds": "of all hostile bodies",
    "requests": "made up from the description of the API, over all engines and roles",
    "seed": "of what is left to chance",
}


def main(arguments: list[str] | None = None) -> int:
    """Run the drills that are wanted, print the table, and return 1 where something in it did not hold."""
    wanted, found = read(arguments), list[Invariant]()
    with tempfile.TemporaryDirectory(prefix="im-drill-") as folder, engines(Path(folder)) as databases:
        sizes = {name: getattr(wanted, name) for name in SIZES}
        try:
            for made in drilled(wanted.only, Plan(folder=Path(folder), engines=databases, **sizes)):
                found += made
        finally:  # also where somebody has seen enough
            click.echo(table(found))
    return verdict(found)


def drilled(names: Iterable[str], plan: Plan) -> Iterator[list[Invariant]]:
    """Run some drills, one after the other, and say on standard error which, and how long each took.

    One that falls over takes nothing from what the others find.
    """
    for name in names:
        click.echo(f"drill: {name} ...", err=True, nl=False)
        began = time.monotonic()
        try:
            found = DRILLS[name](plan)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and the next one runs
            traceback.print_exc()
            found = [Invariant(name, "it runs to its end", False, repr(error)[:160])]
        click.echo(f" {time.monotonic() - began:,.0f} s", err=True)
        yield found


def verdict(found: list[Invariant]) -> int:
    """Return the exit code: a run that saw nothing, or could look at nothing, shows nothing."""
    held = {one.held for one in found}
    return 0 if True in held and False not in held else 1


def read(arguments: list[str] | None) -> argparse.Namespace:
    """Return what was asked for on the command line; DRILL_KILLS=1000 and the like change what is asked for by itself."""
    parser = argparse.ArgumentParser(prog="python -m tests.drill", description=main.__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=DRILLS, default=list(DRILLS), metavar="NAME", help=", ".join(DRILLS)
    )
    for name, usual in SIZES.items():
        default = int(os.environ.get(f"DRILL_{name.upper()}", usual))
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=int, default=default, help=f"{TOLD[name]}  [default: {default:,}]")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
