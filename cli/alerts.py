"""Alerts: send one."""

from typing import TYPE_CHECKING

import rich_click as click

from cli import client, options, output
from incident_manager.rules.dedup import AlertStatus
from incident_manager.rules.incident_type import IncidentType
from incident_manager.rules.severity import Severity
from incident_manager.schemas.alerts import AlertAccepted

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
    answer = client.call("POST", client.path("alerts"), body={"source": source, "title": title, **given})
    output.show(answer.body, AlertAccepted, _draw)


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
