"""The result of a run, for people and for programs."""

from pathlib import Path

import msgspec

from tests.bench.machine import Machine
from tests.bench.rows import Row, spread
from tests.bench.targets import Of

HEADINGS = ("figure", "ours", "floor", "ratio", "must", "goal", "reached", "spread", "stored", "")
EXPLAINED = (
    "Each figure is the median of the rounds, beside a floor of the same rounds; the ratio is ours / floor, the median of the "
    "rounds' own. Targets are of the ratio (x) or of the figure. Spread: (most - least) / median, ours · floor. Machines "
    "differ and drift: compare ratios, not figures."
)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A run: where, how long, and what came out."""

    machine: Machine
    seconds: float
    rounds: int
    rows: list[Row]


def write(report: Report, folder: Path) -> None:
    """Write bench.md and bench.json into a folder, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.md").write_text(markdown(report))
    (folder / "bench.json").write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")


def markdown(report: Report) -> str:
    """Return the report as a page."""
    ran = report.machine
    engines = ", ".join(f"{name} {version}" for name, version in ran.engines.items())
    head = (
        f"{ran.at:%Y-%m-%d %H:%M} UTC, commit {ran.commit}; {ran.cpu}, {ran.cores} cores, {ran.memory_mebibytes:,} MiB; "
        f"{ran.system}, Python {ran.python}, {engines}; {report.rounds} rounds of {report.seconds:g} s."
    )
    lines = [_line(HEADINGS), _line(["---"] * len(HEADINGS)), *(_line(cells(row)) for row in report.rows)]
    return "\n".join(["# Bench", "", head, "", EXPLAINED, "", *lines, ""])


def cells(row: Row) -> list[str]:
    """Return what stands in a row's columns."""
    unit, sign = row.unit, "x" if row.of is Of.RATIO else f" {row.unit}"
    floor = f"{number(row.floor)} {unit} ({row.floor_name})" if row.floor is not None else ""
    apart = [f"{spread(samples):.0%}" for samples in (row.ours_samples, row.floor_samples) if len(samples) > 1]
    return [
        row.name,
        f"{number(row.ours)} {unit}".strip(),
        floor,
        f"{number(row.ratio)}x" if row.ratio is not None else "",
        f"{number(row.must)}{sign}" if row.must is not None else "",
        f"{number(row.goal)}{sign}" if row.goal is not None else "",
        row.reached,
        " · ".join(apart),
        row.store,
        row.note,
    ]


def number(value: float | None) -> str:
    """Write a figure with three digits that count, or as a whole number beyond."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _line(texts: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(texts)} |"
