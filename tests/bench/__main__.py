"""`make bench`: every figure beside its floor, measured in the same run; python -m tests.bench --help.

It measures a real server of this checkout, over SQLite and over PostgreSQL, each durable. Whoever runs it wants the machine for
himself, for about ten minutes.
"""

import argparse
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from tests.bench import batches, decoding, lists, memory, posts, reading, report, starting, waiting
from tests.bench.engines import engines
from tests.bench.machine import machine
from tests.bench.plan import Plan
from tests.bench.rows import Row

PARTS: dict[str, Callable[[Plan], list[Row]]] = {
    "posts": posts.measure,
    "batches": batches.measure,
    "lists": lists.measure,
    "reading": reading.measure,
    "start": starting.measure,
    "memory": memory.measure,
    "decode": decoding.measure,
    "wait": waiting.measure,
}


def main(arguments: list[str] | None = None) -> None:
    """Run the parts that are wanted, print the table, and write it down."""
    wanted = read(arguments)
    with tempfile.TemporaryDirectory(prefix="im-bench-") as folder, engines(Path(folder)) as databases:
        plan = Plan(wanted.seconds, wanted.rounds, Path(folder), databases, shutil.which("wrk"), wanted.incidents)
        made = measure(wanted.only, plan)
    report.write(made, wanted.output)
    click.echo(report.markdown(made))


def measure(parts: Iterable[str], plan: Plan) -> report.Report:
    """Measure some parts, one after the other, and say on standard error which."""
    rows = []
    for name in parts:
        click.echo(f"bench: {name} ...", err=True)
        rows += PARTS[name](plan)
    return report.Report(machine=machine(plan.engines), seconds=plan.seconds, rounds=plan.rounds, rows=rows)


def read(arguments: list[str] | None) -> argparse.Namespace:
    """Return what was asked for on the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=main.__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="NAME", help=", ".join(PARTS))
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load  [default: 2]")
    parser.add_argument("--rounds", type=int, default=5, help="of floor, ours, floor, ours ..  [default: 5]")
    parser.add_argument("--incidents", type=int, default=100_000, help="of the large store; 1000000 takes minutes more")
    parser.add_argument("--output", type=Path, default=Path("bench"), help="folder of the results  [default: bench]")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
