"""Integrations and the monitors they are for."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import rich_click as click

from cli import client, options, output
from incident_manager.rules.dedup import DedupMode
from incident_manager.rules.severity import Severity
from incident_manager.schemas.base import ResourceName
from incident_manager.schemas.decoding import field_error
from incident_manager.schemas.integrations import (
    IntegrationCreated,
    IntegrationIn,
    IntegrationOut,
    IntegrationPage,
    MonitorList,
    MonitorOut,
)

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

_CREATED: Final = 201
# what is read back but not written: a file made of `show` or `list` can be applied as it is
_READ_ONLY: Final = frozenset(IntegrationCreated.__struct_fields__) - frozenset(IntegrationIn.__struct_fields__)


class _Named(msgspec.Struct):
    """What every object of a file must have; the rest is the server's to judge."""

    name: ResourceName


class _Applied(NamedTuple):
    created: bool
    body: bytes


def _severities(_ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    found = options.labels(_ctx, parameter, given)
    return {word: options.choice(Severity).convert(value, parameter, _ctx) for word, value in found.items()}


@click.group("integrations")
@client.options
def integrations() -> None:
    """Make and change ways in for monitors: each has an address of its own."""


@integrations.command("list")
@options.paging
@client.options
def list_integrations(page_size: int | None, cursor: str | None) -> None:
    """List integrations by name."""
    answer = client.call("GET", client.path("integrations"), query={"page_size": page_size, "cursor": cursor})
    output.show(answer.body, IntegrationPage, _rows)


@integrations.command("show")
@click.argument("name")
@client.options
def show(name: str) -> None:
    """Show an integration, by name or id."""
    output.show(client.call("GET", client.path("integrations", name)).body, IntegrationOut, _sheet)


@integrations.command("create")
@click.argument("name")
@click.option("--monitor", required=True, help="What posts to it; `incident-manager monitors list` says what there is.")
@click.option("--severity-map", metavar="WORD=P0..P4", multiple=True, callback=_severities, help="Repeat for several.")
@click.option("--dedup-mode", type=options.choice(DedupMode), help="[default: as the alerts have it]")
@click.option("--window-seconds", type=click.IntRange(1), help="[default: the setting dedup.window_seconds]")
@click.option(
    "--label", "labels", metavar="KEY=VALUE", multiple=True, callback=options.labels, help="Put on its alerts."
)
@click.option(
    "--signing-secret-file", type=click.File("r"), help="File that holds the secret its messages are signed with."
)
@client.options
def create(
    name: str,
    monitor: str,
    severity_map: dict[str, str],
    dedup_mode: str | None,
    window_seconds: int | None,
    labels: dict[str, str],
    signing_secret_file: io.TextIOWrapper | None,
) -> None:
    """Make an integration. Its key and address are shown this once."""
    given = client.fields(
        severity_map=severity_map,
        dedup_mode=dedup_mode,
        window_seconds=window_seconds,
        labels=labels,
        signing_secret=_text(signing_secret_file).strip() if signing_secret_file else None,
    )
    answer = client.call("POST", client.path("integrations"), body={"name": name, "monitor": monitor, **given})
    output.show(answer.body, IntegrationCreated, _sheet)


@integrations.command("apply")
@click.argument("file", type=click.File("r"))
@client.options
def apply(file: io.TextIOWrapper) -> None:
    """Create or replace what a JSON FILE holds (`-`: standard input), an object or an array of them.

    A file can be applied again and again. Keys and addresses are shown where they are new.
    """
    wanted, applied = _wanted(file), list[_Applied]()
    refusals: list[str] = []
    try:
        for item in wanted:
            try:
                applied.append(_put(item))
            except client.Refused as refused:
                refusals.append(f"{item.get('name')}: {refused}")
    finally:  # whatever happens: what was made is shown, its keys are shown only once
        _show_applied(applied, alone=len(wanted) == 1)
    if refusals:
        raise client.Refused("\n".join(refusals))


@integrations.command("delete")
@click.argument("name")
@client.options
def delete(name: str) -> None:
    """Close an integration's address; its alerts stay."""
    client.call("DELETE", client.path("integrations", name))
    output.say(f"deleted {name}")


@click.group("monitors")
@client.options
def monitors() -> None:
    """Show what can post here."""


@monitors.command("list")
@client.options
def list_monitors() -> None:
    """List the supported monitors, each with what to paste on its side."""
    output.show(client.call("GET", client.path("monitors")).body, MonitorList, _monitors)


def _wanted(file: io.TextIOWrapper) -> list[dict[str, Any]]:
    """Read the file.

    Raises Refused for what holds no objects with names.
    """
    try:
        read = msgspec.json.decode(_text(file))
    except msgspec.DecodeError as error:
        raise client.Refused(f"{file.name}: not JSON: {error}") from error
    items = read if isinstance(read, list) else [read]
    try:
        msgspec.convert(items, list[_Named])
    except msgspec.ValidationError as error:
        words = f"must hold an object with a name, or an array of such objects: {field_error(str(error)).message}"
        raise client.Refused(f"{file.name}: {words}") from error
    return [{key: value for key, value in item.items() if key not in _READ_ONLY} for item in items]


def _text(file: io.TextIOWrapper) -> str:
    try:
        return file.read()
    except UnicodeDecodeError as error:
        raise client.Refused(f"{file.name}: not UTF-8") from error


def _put(item: dict[str, Any]) -> _Applied:
    answer = client.call("PUT", client.path("integrations", item["name"]), body=item)
    return _Applied(answer.status == _CREATED, answer.body)


def _show_applied(applied: Sequence[_Applied], *, alone: bool) -> None:
    if output.wants_json():
        bodies = b",".join(body for _, body in applied)
        if applied or not alone:
            output.show_json(bodies if alone else b"[" + bodies + b"]")
    elif applied:
        output.show_drawn(output.table(("Name", "Monitor", "", "Address"), [_applied_row(one) for one in applied]))


def _applied_row(one: _Applied) -> Sequence["Text"]:
    if not one.created:
        kept = output.read(one.body, IntegrationOut)
        return [output.plain(text) for text in (kept.name, kept.monitor, "replaced", "")]
    made = output.read(one.body, IntegrationCreated)
    return [output.plain(text) for text in (made.name, made.monitor, "created", made.url)]


def _sheet(found: IntegrationOut) -> "RenderableType":
    made = found if isinstance(found, IntegrationCreated) else None
    return output.sheet(
        {
            "Name": found.name,
            "Monitor": found.monitor,
            "Key": made.key if made else None,
            "Address": made.url if made else None,
            "Severities": output.pairs({word: str(severity) for word, severity in found.severity_map.items()}),
            "Dedup mode": found.dedup_mode,
            "Window": f"{found.window_seconds} s" if found.window_seconds else None,
            "Labels": output.pairs(found.labels),
            "Signed": "yes" if found.signed else "no",
            "Warnings": "; ".join(found.warnings),
            "Alerts": str(found.alerts_received),
            "Last seen": output.at(found.last_seen_at) or "never",
            "Id": str(found.id),
        }
    )


def _rows(page: IntegrationPage) -> "RenderableType | None":
    more = f"; more with --cursor {page.next_cursor}" if page.next_cursor else ""
    output.say(f"{len(page.integrations)} of {page.total} integrations{more}")
    rows = [
        (
            output.plain(found.name),
            output.plain(found.monitor),
            output.plain(found.alerts_received),
            output.plain(output.at(found.last_seen_at) or "never"),
            output.plain("yes" if found.signed else "no"),
        )
        for found in page.integrations
    ]
    return output.table(("Name", "Monitor", "Alerts", "Last seen", "Signed"), rows) if rows else None


def _monitors(found: MonitorList) -> "RenderableType":
    from rich.console import Group

    return Group(*(_monitor(monitor) for monitor in found.monitors))


def _monitor(monitor: MonitorOut) -> "RenderableType":
    set_up = output.paragraphs(monitor.setup)
    return output.sheet({"Name": monitor.name, "Title": monitor.title, "Set-up": set_up, " ": output.plain(" ")})
