"""Alerts: send one or try one, list them, show one."""

from typing import TYPE_CHECKING, BinaryIO

import msgspec
import rich_click as click

from cli import client, options, output
from incident_manager.rules.dedup import AlertStatus, DedupMode
from incident_manager.rules.incident_type import IncidentType
from incident_manager.rules.severity import Severity
from incident_manager.schemas.alerts import AlertAccepted, AlertOut, AlertPage, AlertPreview, BatchAccepted

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command("alert")
@click.option("--source", required=True, help="Who or what sends it.")
@click.option("--title", required=True, help="What is wrong, in a line.")
@click.option("--description", help="What is wrong, in full.")
@click.option("--severity", type=options.choice(Severity), help="P0 is the most urgent.  [default: P3]")
@click.option("--alert-type", type=options.choice(IncidentType), help="[default: Unknown]")
@click.option("--status", type=options.choice(AlertStatus), help="[default: firing]")
@click.option(
    "--label", "labels", metavar="KEY=VALUE", multiple=True, callback=options.labels, help="Repeat for several."
)
@click.option("--service", "services", multiple=True, help="What is affected; repeat for several.")
@click.option("--dedup-key", help="What identifies the problem.  [default: source, type, title and services]")
@click.option("--external-id", help="What identifies this delivery: sent again, it counts once.")
@click.option("--dry-run", is_flag=True, help="Only say what would happen, and why.")
@client.options
def alert(
    source: str,
    title: str,
    description: str | None,
    severity: str | None,
    alert_type: str | None,
    status: str | None,
    labels: dict[str, str],
    services: tuple[str, ...],
    dedup_key: str | None,
    external_id: str | None,
    dry_run: bool,
) -> None:
    """Send an alert; it opens an incident or folds into one."""
    given = client.fields(
        description=description,
        severity=severity,
        alert_type=alert_type,
        status=status,
        labels=labels,
        affected_services=services,
        dedup_key=dedup_key,
        external_id=external_id,
    )
    body = {"source": source, "title": title, **given}
    if dry_run:
        answer = client.call("POST", client.path("alerts", "preview"), body=body)
        output.show(answer.body, AlertPreview, _draw_preview)
    else:
        output.show(client.call("POST", client.path("alerts"), body=body).body, AlertAccepted, _draw)


@click.group("alerts")
@client.options
def alerts() -> None:
    """Read alerts as they came, and what was decided about each."""


@alerts.command("list")
@click.option("--incident", metavar="ID", help="Only those of an incident, by number or id.")
@options.paging
@client.options
def list_alerts(incident: str | None, page_size: int | None, cursor: str | None) -> None:
    """List alerts, newest first."""
    where = client.path("incidents", incident, "alerts") if incident else client.path("alerts")
    answer = client.call("GET", where, query={"page_size": page_size, "cursor": cursor})
    output.show(answer.body, AlertPage, _rows)


@alerts.command("send")
@click.argument("file", type=click.File("rb"))
@client.options
def send(file: BinaryIO) -> None:
    """Send up to 1,000 alerts from FILE (- for standard input), a JSON array; exit code 1 where one is rejected."""
    answer = client.call("POST", client.path("alerts", "batch"), body=msgspec.Raw(file.read()))
    output.show(answer.body, BatchAccepted, _results)
    wrong = sum(result.errors is not None for result in msgspec.json.decode(answer.body, type=BatchAccepted).results)
    if wrong:
        raise client.Refused(f"{wrong} of the alerts were rejected")


@alerts.command("show")
@click.argument("alert_id", metavar="ID")
@client.options
def show(alert_id: str) -> None:
    """Show an alert."""
    output.show(client.call("GET", client.path("alerts", alert_id)).body, AlertOut, _sheet)


def _results(batch: BatchAccepted) -> "RenderableType":
    rows = [
        (
            output.plain(place),
            output.plain(result.status),
            output.plain(result.reason),
            output.plain(f"#{result.incident_number}" if result.incident_number else ""),
            output.plain(result.occurrences or ""),
            output.plain(result.message),
        )
        for place, result in enumerate(batch.results)
    ]
    return output.table(("Item", "Status", "Why", "Incident", "Occurrences", "Message"), rows, cut=("Message",))


def _draw(accepted: AlertAccepted) -> "RenderableType":
    return output.sheet(
        {
            "Alert": f"{accepted.status} ({accepted.reason})",
            "Incident": f"#{accepted.incident_number}" if accepted.incident_number else "none",
            "Occurrences": str(accepted.occurrences),
            "Message": accepted.message,
            "Id": str(accepted.alert_id),
        }
    )


def _draw_preview(preview: AlertPreview) -> "RenderableType":
    window = f", {preview.window_seconds} s" if preview.mode == DedupMode.WINDOW else ""
    return output.sheet(
        {
            "Would be": f"{preview.status} ({preview.reason})",
            "Incident": f"#{preview.incident_number}" if preview.incident_number else "none",
            "Message": preview.message,
            "Folded by": f"{preview.mode}{window}",
            "Fingerprint": preview.fingerprint,
        }
    )


def _rows(page: AlertPage) -> "RenderableType | None":
    if page.next_cursor:
        output.say(f"more with --cursor {page.next_cursor}")
    rows = [
        (
            output.plain(output.at(alert.received_at)),
            output.severity(alert.severity),
            output.plain(alert.status),
            output.plain(alert.title),
            output.plain(alert.outcome),
            output.plain(alert.reason),
            output.plain(alert.source),
            output.plain(alert.id),
        )
        for alert in page.alerts
    ]
    columns = ("Received", "Sev", "Status", "Title", "Outcome", "Why", "Source", "Id")
    return output.table(columns, rows, cut=("Title", "Source")) if rows else None


def _sheet(alert: AlertOut) -> "RenderableType":
    return output.sheet(
        {
            "Title": alert.title,
            "Severity": output.severity(alert.severity),
            "Status": alert.status,
            "Outcome": f"{alert.outcome} ({alert.reason})",
            "Description": output.paragraphs(alert.description),
            "Source": f"{alert.source} ({alert.alert_type})",
            "Affected": ", ".join(alert.affected_services),
            "Labels": output.pairs(alert.labels),
            "Annotations": output.pairs(alert.annotations),
            "Runbook": alert.runbook_url,
            "Links": output.links(alert.links),
            "Received": output.at(alert.received_at),
            "Occurred": output.at(alert.occurred_at),
            "Deduplication key": alert.dedup_key,
            "Fingerprint": alert.fingerprint,
            "Incident": str(alert.incident_id or "none"),
            "Id": str(alert.id),
        }
    )
