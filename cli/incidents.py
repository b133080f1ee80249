"""Incidents: open them by hand, find them, read them. What is done to them is in cli/incident_actions.py."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import rich_click as click

from cli import client, options, output
from incident_manager.rules.incident_type import IncidentType
from incident_manager.rules.lifecycle import IncidentState
from incident_manager.rules.severity import Severity
from incident_manager.schemas.incidents import IncidentOut, IncidentPage, IncidentSort, TimelinePage

if TYPE_CHECKING:
    from rich.console import RenderableType

reference = click.argument("reference", metavar="ID")


@click.command("list")
@click.option("--active-only", is_flag=True, help="Leave out Resolved and Closed ones.")
@click.option("--state", "states", type=options.choice(IncidentState), multiple=True, help="Repeat for any of several.")
@click.option(
    "--severity", "severities", type=options.choice(Severity), multiple=True, help="Repeat for any of several."
)
@click.option("--source", "sources", multiple=True, help="Repeat for any of several.")
@click.option(
    "--label", "labels", metavar="KEY=VALUE", multiple=True, callback=options.label_filters, help="Has the label."
)
@click.option("-q", "words", metavar="WORDS", help="Words of title and description.")
@click.option(
    "--sort", type=options.choice(IncidentSort), help="Begin with `-` for descending.  [default: -created_at]"
)
@click.option("--page", type=click.IntRange(0), help="Page, from 0.")
@click.option("--page-size", type=click.IntRange(1, 100), help="Rows a page.  [default: 20]")
@client.options
def list_incidents(
    active_only: bool,
    states: tuple[str, ...],
    severities: tuple[str, ...],
    sources: tuple[str, ...],
    labels: list[str],
    words: str | None,
    sort: str | None,
    page: int | None,
    page_size: int | None,
) -> None:
    """List incidents."""
    query: client.Query = {
        "active_only": True if active_only else None,
        "states": states,
        "severities": severities,
        "sources": sources,
        "labels": labels,
        "q": words,
        "sort": sort,
        "page": page,
        "page_size": page_size,
    }
    output.show(client.call("GET", client.path("incidents"), query=query).body, IncidentPage, _rows)


@click.command("get")
@reference
@client.options
def get(reference: str) -> None:
    """Show an incident, by number or id."""
    output.show(client.call("GET", client.path("incidents", reference)).body, IncidentOut, draw)


@click.command("timeline")
@reference
@options.paging
@client.options
def timeline(reference: str, page_size: int | None, cursor: str | None) -> None:
    """Show what happened to an incident, oldest first, and why."""
    query = {"page_size": page_size, "cursor": cursor}
    answer = client.call("GET", client.path("incidents", reference, "timeline"), query=query)
    output.show(answer.body, TimelinePage, _events)


@click.command("open")
@click.option("--source", required=True, help="Who or what found it.")
@click.option("--title", required=True)
@click.option("--severity", type=options.choice(Severity), required=True)
@click.option("--incident-type", type=options.choice(IncidentType), required=True)
@click.option("--description")
@click.option("--resource", "resources", multiple=True, help="What is affected; repeat for several.")
@click.option(
    "--label", "labels", metavar="KEY=VALUE", multiple=True, callback=options.labels, help="Repeat for several."
)
@click.option("--assignee", "assignees", multiple=True, help="Repeat for several.")
@client.options
def open_incident(
    source: str,
    title: str,
    severity: str,
    incident_type: str,
    description: str | None,
    resources: tuple[str, ...],
    labels: dict[str, str],
    assignees: tuple[str, ...],
) -> None:
    """Open an incident by hand, without an alert."""
    body = {
        "source": source,
        "title": title,
        "severity": severity,
        "incident_type": incident_type,
        **client.fields(description=description, affected_resources=resources, labels=labels, assignees=assignees),
    }
    output.show(client.call("POST", client.path("incidents"), body=body).body, IncidentOut, draw)


def draw(incident: IncidentOut) -> "RenderableType":
    """Return an incident as a sheet: what somebody woken by it needs first, first."""
    ended = incident.resolution
    return output.sheet(
        {
            "Incident": f"#{incident.number}",
            "Severity": output.severity(incident.severity),
            "State": incident.state,
            "Title": incident.title,
            "Description": output.paragraphs(incident.description),
            "Source": f"{incident.source} ({incident.incident_type})",
            "Affected": ", ".join(incident.affected_resources),
            "Labels": output.pairs(incident.labels),
            "Links": output.links(incident.links),
            "Occurrences": f"{incident.occurrences}, {output.at(incident.first_seen_at)} to {output.at(incident.last_seen_at)}",
            "Assignees": ", ".join(incident.assignees),
            "Service": incident.service,
            "Team": incident.team,
            "Acknowledged": _by(output.at(incident.acknowledged_at), incident.acknowledged_by),
            "Snoozed until": output.at(incident.snoozed_until),
            "Resolved": _by(output.at(ended.resolved_at), f"{ended.resolved_by} ({ended.resolution_method})")
            if ended
            else None,
            "Root cause": output.paragraphs((ended and ended.root_cause) or ""),
            "Notes": output.paragraphs(ended.notes if ended else ""),
            "Closed": output.at(incident.closed_at),
            "Related": "  ".join(str(related) for related in incident.related_incidents),
            "Recurrence of": str(incident.recurrence_of_id or ""),
            "Merged into": str(incident.merged_into_id or ""),
            "Id": str(incident.id),
        }
    )


def _by(when: str | None, who: str | None) -> str | None:
    return f"{when} by {who}" if when else None


def _rows(page: IncidentPage) -> "RenderableType | None":
    from incident_manager.clock import SystemClock

    shown, now = len(page.incidents), SystemClock().now()
    more = f"; more with --page {page.page + 1}" if page.next_cursor else ""
    output.say(f"{shown} of {page.total}{'+' if page.total_capped else ''} incidents{more}")
    rows = [
        (
            output.plain(f"#{incident.number}"),
            output.severity(incident.severity),
            output.plain(incident.state),
            output.plain(incident.title),
            output.plain(incident.occurrences),
            output.plain(output.ago(incident.created_at, now)),
            output.plain(output.ago(incident.last_seen_at, now)),
            output.plain(incident.source),
        )
        for incident in page.incidents
    ]
    columns = ("No.", "Sev", "State", "Title", "Alerts", "Age", "Seen", "Source")
    return output.table(columns, rows, cut=("Title", "Source")) if rows else None


def _more(data: Mapping[str, object]) -> list[str]:
    """Return what an event says beyond its description; states before and after are in it already."""
    shown = {name: value for name, value in data.items() if value and name not in {"before", "after"}}
    return [f"{name}={value}" for name, value in shown.items()]


def _events(page: TimelinePage) -> "RenderableType":
    if page.next_cursor:
        output.say(f"more with --cursor {page.next_cursor}")
    rows = [
        (
            output.plain(output.at(event.at)),
            output.plain(event.type),
            output.plain(event.actor),
            output.plain(event.reason),
            output.plain(" ".join([event.description, *_more(event.data)])),
        )
        for event in page.events
    ]
    return output.table(("At", "What", "Who", "Why", "Description"), rows, folded="Description")
