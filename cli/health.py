"""Health: is the service there, and how is it."""

from typing import TYPE_CHECKING, Final

import rich_click as click

from cli import client, output
from incident_manager.schemas.health import HealthOut

if TYPE_CHECKING:
    from rich.console import RenderableType

_UNHEALTHY: Final = 503


@click.command("health")
@client.options
def health() -> None:
    """Show how the service is; exit code 1 where it is unhealthy or cannot be reached."""
    answer = client.call("GET", "/health", taken=[_UNHEALTHY])
    output.show(answer.body, HealthOut, _draw)
    if answer.status == _UNHEALTHY:
        raise client.Refused("the service is unhealthy")


def _draw(found: HealthOut) -> "RenderableType":
    checks = {name: f"{check.status} {check.detail}".strip() for name, check in found.checks.items()}
    return output.sheet(
        {"Status": found.status, "Version": found.version, "Uptime": f"{found.uptime_seconds:.0f} s", **checks}
    )
