"""What is printed: data to standard output as a table or as the API's JSON, words to standard error.

Titles, labels and the rest come from strangers: nothing of them is read as markup, and no character that steers a terminal
gets through.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import rich_click as click

from incident_manager.errors import IncidentManagerError

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from incident_manager.schemas.base import Link

T = TypeVar("T")
Decorated = Callable[..., Any]

_UNCUT: Final = 100_000  # columns of what is no terminal
# C0, DEL and C1 (ECMA-48) move the cursor, colour, rename the window; U+200E.. and U+202A.. turn the order of letters around
_STEERING: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_SECONDS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
SEVERITY_STYLES: Final[Mapping[str, str]] = {"P0": "bold white on red", "P1": "bold red", "P2": "yellow", "P4": "dim"}


class Unreadable(IncidentManagerError):
    """An answer that is not what this program knows."""


def remember(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Keep an option's value for the whole command line: of one given before and after the command, the last counts."""
    if value is not None:
        ctx.meta[f"cli.{parameter.name}"] = value


def given(name: str) -> Any:
    """Return what `remember` kept of an option; None where it was not given."""
    context = click.get_current_context()
    return context.meta.get(f"cli.{name}") if context else None


def option(command: Decorated) -> Decorated:
    """Give a command `--output`."""
    decorate = click.option(
        "--output",
        type=click.Choice(["table", "json"]),
        expose_value=False,
        callback=remember,
        help="A table for people, or the API's JSON. Default: a table in a terminal, else JSON.",
    )
    return decorate(command)


def wants_json() -> bool:
    """Say whether JSON is to be printed: because it was asked for, or because nobody is looking."""
    asked = given("output")
    return asked == "json" or (asked is None and not sys.stdout.isatty())


def show(body: bytes, kind: type[T], draw: Callable[[T], "RenderableType | None"]) -> None:
    """Print an answer: its bytes as they came, or what `draw` makes of it; None where there is nothing to show.

    Raises Unreadable for an answer of another shape.
    """
    if wants_json():
        show_json(body)
        return
    drawn = draw(read(body, kind))
    if drawn is not None:
        show_drawn(drawn)


def show_json(body: bytes) -> None:
    """Print JSON as it is; for a terminal, characters that would steer it are written as JSON's escapes."""
    if sys.stdout.isatty():
        text = body.decode("utf-8", "replace")
        body = _STEERING.sub(lambda found: _escaped(found[0]), text).encode()
    click.echo(body)


def show_drawn(drawn: "RenderableType") -> None:
    """Print a table or a sheet, as wide as the terminal, or as wide as it wants to be where there is none."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _UNCUT
    Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False).print(drawn)


def say(words: str) -> None:
    """Tell people something on standard error."""
    click.echo("\n".join(clean(line) for line in words.split("\n")), err=True)


def read(body: bytes, kind: type[T]) -> T:
    """Decode an answer.

    Raises Unreadable.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(f"the answer is not understood ({error}): is the server of another version?") from error


def clean(text: str) -> str:
    """Return a text without the characters that steer a terminal; line ends and tabs become spaces."""
    return _STEERING.sub("", text.replace("\r\n", " ").replace("\n", " ").replace("\t", " "))


def plain(text: object, style: str = "") -> "Text":
    """Return a text in one line that says what it says: no markup, no control."""
    from rich.text import Text

    return Text(clean("" if text is None else str(text)), style=style)


def paragraphs(text: str) -> "Text":
    """Return a text of several lines."""
    from rich.text import Text

    return Text("\n".join(clean(line) for line in text.splitlines()))


def links(found: "Sequence[Link | str]") -> str:
    """Return links in one line, each with its words where it has some."""
    return "  ".join(link if isinstance(link, str) else f"{link.text or ''} {link.href}".strip() for link in found)


def severity(value: str) -> "Text":
    """Return a severity in its colour."""
    return plain(value, SEVERITY_STYLES.get(value, ""))


def table(
    columns: Sequence[str], rows: Iterable[Sequence["Text"]], *, cut: Sequence[str] = (), folded: str = ""
) -> "Table":
    """Return a table, a row a line; where the terminal is narrow, columns in `cut` end early and `folded` takes more lines."""
    from rich.table import Table

    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in columns:
        if name == folded:
            drawn.add_column(name, overflow="fold")
        else:
            drawn.add_column(name, no_wrap=True, min_width=None if name in cut else len(name))
    for row in rows:
        drawn.add_row(*row)
    return drawn


def sheet(fields: Mapping[str, "Text | str | None"]) -> "Table":
    """Return names and values below each other; what is empty is left out."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    drawn.add_column(style="bold", no_wrap=True)
    drawn.add_column(overflow="fold")
    for name, value in fields.items():
        text = value if isinstance(value, Text) else plain(value)
        if text.plain:
            drawn.add_row(name, text)
    return drawn


def at(moment: datetime | None) -> str | None:
    """Return an instant in UTC, to the second."""
    return moment.strftime("%Y-%m-%d %H:%M:%SZ") if moment else None


def ago(moment: datetime, now: datetime) -> str:
    """Return how long ago something was, in its largest unit: `45s`, `3h`, `2d`."""
    seconds = max(0, int((now - moment).total_seconds()))
    for unit, size in _SECONDS:
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return "now"


def pairs(labels: Mapping[str, str]) -> str:
    """Return labels as `key=value`."""
    return ", ".join(f"{key}={value}" for key, value in labels.items())


def _escaped(character: str) -> str:
    """JSON's own line ends and tabs stay; they stand between its tokens, never in its strings."""
    return character if character in "\n\r\t" else f"\\u{ord(character):04x}"
