"""What is done to incidents. What people type in anger is short."""

from collections.abc import Callable, Mapping
from typing import Final

import rich_click as click

from cli import client, options, output
from cli.incidents import draw, reference
from incident_manager.rules.lifecycle import IncidentState, ResolutionMethod
from incident_manager.rules.severity import Severity
from incident_manager.schemas.incidents import IncidentOut

_EDITS: Final = 5  # how often a change is made anew because somebody else changed the incident in between
_PRECONDITION_FAILED: Final = 412

others = click.argument("others", metavar="ID...", nargs=-1, required=True)


@click.command("ack")
@reference
@click.option("--by", metavar="NAME", help="Who takes it.  [default: the key's name]")
@client.options
def acknowledge(reference: str, by: str | None) -> None:
    """Take an incident: somebody has it now."""
    _act(reference, "acknowledge", client.fields(by=by))


@click.command("resolve")
@reference
@click.option("--resolved-by", metavar="NAME", required=True, help="Who ended it.")
@click.option("--notes", metavar="TEXT", required=True, help="How.")
@click.option("--root-cause", metavar="TEXT", help="Why it had come.")
@click.option("--method", type=options.choice(ResolutionMethod), help="[default: Manual]")
@client.options
def resolve(reference: str, resolved_by: str, notes: str, root_cause: str | None, method: str | None) -> None:
    """End an incident, and say how."""
    given = client.fields(root_cause=root_cause, method=method)
    _act(reference, "resolve", {"resolved_by": resolved_by, "notes": notes, **given})


@click.command("close")
@reference
@client.options
def close(reference: str) -> None:
    """Put a resolved incident away."""
    _act(reference, "close", {})


@click.command("reopen")
@reference
@click.option("--reason", metavar="TEXT", required=True, help="Why it is not over.")
@client.options
def reopen(reference: str, reason: str) -> None:
    """Take up an ended incident again."""
    _act(reference, "reopen", {"reason": reason})


@click.command("note")
@reference
@click.argument("content")
@client.options
def note(reference: str, content: str) -> None:
    """Write a note on an incident's timeline."""
    _act(reference, "notes", {"content": content})


@click.command("snooze")
@reference
@click.option("--until", metavar="TIME", help="RFC 3339, with a zone: 2026-03-01T08:00:00+01:00.")
@click.option("--minutes", type=click.IntRange(1, 366 * 24 * 60), help="From now.")
@click.option("--end", is_flag=True, help="End its snooze.")
@client.options
def snooze(reference: str, until: str | None, minutes: int | None, end: bool) -> None:
    """Hold an incident's notifications and escalation for a while."""
    if (until is not None) + (minutes is not None) + end != 1:
        raise click.UsageError("give one of --until, --minutes and --end")
    _act(reference, "snooze", {"until": _in(minutes) if minutes else until})


@click.command("link")
@reference
@others
@client.options
def link(reference: str, others: tuple[str, ...]) -> None:
    """Let incidents name each other as related."""
    _act(reference, "link", {"incident_ids": others})


@click.command("unlink")
@reference
@others
@client.options
def unlink(reference: str, others: tuple[str, ...]) -> None:
    """Undo links between incidents."""
    _act(reference, "unlink", {"incident_ids": others})


@click.command("merge")
@reference
@click.option("--into", metavar="ID", required=True, help="The incident that takes its alerts and later repeats.")
@client.options
def merge(reference: str, into: str) -> None:
    """Close an incident as part of another one."""
    _act(reference, "merge", {"into": into})


@click.command("split")
@reference
@click.argument("alerts", metavar="ALERT_ID...", nargs=-1, required=True)
@client.options
def split(reference: str, alerts: tuple[str, ...]) -> None:
    """Open a new incident of some of an incident's alerts, and show it."""
    _act(reference, "split", {"alert_ids": alerts})


@click.command("assign")
@reference
@click.argument("people", metavar="NAME...", nargs=-1, required=True)
@click.option("--remove", is_flag=True, help="Take these people off instead.")
@client.options
def assign(reference: str, people: tuple[str, ...], remove: bool) -> None:
    """Put people on an incident; those it has stay."""

    def change(incident: IncidentOut) -> Mapping[str, object]:
        kept = [name for name in incident.assignees if name not in people]
        return {"assignees": kept if remove else [*dict.fromkeys([*incident.assignees, *people])]}

    _edit(reference, change)


@click.command("label")
@reference
@click.argument("labels", metavar="KEY=VALUE...", nargs=-1, callback=options.labels)
@click.option("--remove", "removed", metavar="KEY", multiple=True, help="Take a label off; repeat for several.")
@client.options
def label(reference: str, labels: dict[str, str], removed: tuple[str, ...]) -> None:
    """Set labels of an incident; those it has otherwise stay."""
    if not labels and not removed:
        raise click.UsageError("give a label as KEY=VALUE, or --remove KEY")

    def change(incident: IncidentOut) -> Mapping[str, object]:
        kept = {key: value for key, value in incident.labels.items() if key not in removed}
        return {"labels": {**kept, **labels}}

    _edit(reference, change)


@click.command("update")
@reference
@click.option("--title")
@click.option("--description")
@click.option("--severity", type=options.choice(Severity), help="P0 is the most urgent.")
@click.option("--state", type=options.choice(IncidentState), help="Only moves that the lifecycle allows.")
@click.option("--service", help="Whose problem it is.")
@click.option("--team", help="Who works on it.")
@click.option("--actor", metavar="NAME", help="Who asked for it.  [default: the key's name]")
@client.options
def update(reference: str, **given: str | None) -> None:
    """Change what is given of an incident."""
    body = client.fields(**given)
    if not body.keys() - {"actor"}:
        raise click.UsageError("give what is to be changed, such as --severity")
    output.show(client.call("PATCH", client.path("incidents", reference), body=body).body, IncidentOut, draw)


def _act(reference: str, action: str, body: Mapping[str, object]) -> None:
    output.show(client.call("POST", client.path("incidents", reference, action), body=body).body, IncidentOut, draw)


def _edit(reference: str, change: Callable[[IncidentOut], Mapping[str, object]]) -> None:
    """Change what was read, and read again where somebody else changed it in between.

    Raises Refused where that happens time and again.
    """
    where = client.path("incidents", reference)
    for _ in range(_EDITS):
        read = output.read(client.call("GET", where).body, IncidentOut)
        unchanged = {"If-Match": f'"{read.version}"'}
        answer = client.call("PATCH", where, body=change(read), headers=unchanged, taken=[_PRECONDITION_FAILED])
        if answer.status != _PRECONDITION_FAILED:
            output.show(answer.body, IncidentOut, draw)
            return
    raise client.Refused("others change it all the time; try again")


def _in(minutes: int) -> str:
    from datetime import timedelta

    from incident_manager.clock import SystemClock

    return (SystemClock().now() + timedelta(minutes=minutes)).isoformat()
