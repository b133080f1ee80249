"""Kinds of options that several commands take: closed sets, labels, pages."""

from enum import StrEnum

import rich_click as click

from cli.output import Decorated


class _Values(click.Choice[str]):
    """A choice in whatever case it is typed; help shows the values as they are, click would show them in lower case."""

    def __init__(self, values: list[str]) -> None:
        super().__init__(values, case_sensitive=False)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002 - click's signature
        """Return what help shows in the option's place."""
        return f"[{'|'.join(self.choices)}]"


def choice(kind: type[StrEnum]) -> click.Choice[str]:
    """Return the values of a closed set, in whatever case they are typed."""
    return _Values([str(value) for value in kind])


def labels(_ctx: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """Read `KEY=VALUE`, split at the first equals sign; a key given twice keeps its last value."""
    return dict(_pair(text) for text in given)


def label_filters(_ctx: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> list[str]:
    """Read `KEY=VALUE` as the API's filter `key:value`, which is split at its last colon."""
    found = [_pair(text) for text in given]
    if any(":" in value for _, value in found):
        raise click.BadParameter("a value that holds a colon cannot be searched for")
    return [f"{key}:{value}" for key, value in found]


def paging(command: Decorated) -> Decorated:
    """Give a command `--page-size` and `--cursor`."""
    for decorate in (
        click.option("--cursor", metavar="CURSOR", help="Where the page before ended (its next_cursor)."),
        click.option("--page-size", type=click.IntRange(1, 100), help="Rows a page."),
    ):
        command = decorate(command)
    return command


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.BadParameter(f"{text!r} is not KEY=VALUE")
    return key, value
