"""`make drill`: what is done to the service that nobody would do to it on purpose, and a table of what held all the same.

python -m tests.drill --help. It ends with 1 where something did not hold.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click

from tests.bench.engines import engines
from tests.drill import bodies, kills, requests
from tests.drill.invariants import Invariant, table
from tests.drill.plan import Plan

DRILLS: dict[str, Callable[[Plan], list[Invariant]]] = {
    "kills": kills.run,
    "bodies": bodies.run,
    "requests": requests.run,
}
SIZES = {"kills": 20, "rounds": 3, "requests": 20_000, "seed": 1}


def main(arguments: list[str] | None = None) -> int:
    """Run the drills that are wanted, print the table, and return 1 where something in it did not hold."""
    wanted, found = read(arguments), list[Invariant]()
    with tempfile.TemporaryDirectory(prefix="im-drill-") as folder, engines(Path(folder)) as databases:
        sizes = {name: getattr(wanted, name) for name in SIZES}
        try:
            for made in drilled(wanted.only, Plan(folder=Path(folder), engines=databases, **sizes)):
                found += made
        finally:  # one drill that falls over takes nothing from what the others found
            click.echo(table(found))
    return verdict(found)


def drilled(names: Iterable[str], plan: Plan) -> Iterator[list[Invariant]]:
    """Run some drills, one after the other, and say on standard error which."""
    for name in names:
        click.echo(f"drill: {name} ...", err=True)
        yield DRILLS[name](plan)


def verdict(found: list[Invariant]) -> int:
    """Return the exit code: a run that saw nothing shows nothing."""
    return 0 if found and all(one.held for one in found) else 1


def read(arguments: list[str] | None) -> argparse.Namespace:
    """Return what was asked for on the command line; DRILL_KILLS=1000 and the like change what is asked for by itself."""
    parser = argparse.ArgumentParser(prog="python -m tests.drill", description=main.__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=DRILLS, default=list(DRILLS), metavar="NAME", help=", ".join(DRILLS)
    )
    told = {
        "kills": "of each engine's server",
        "rounds": "of all hostile bodies",
        "requests": "made up from the description of the API, over all engines and roles",
        "seed": "of what is left to chance",
    }
    for name, usual in SIZES.items():
        default = int(os.environ.get(f"DRILL_{name.upper()}", usual))
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{told[name]}  [default: {default:,}]")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
