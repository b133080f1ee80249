"""The audit: what people, keys and the command line changed."""

from typing import TYPE_CHECKING

import msgspec
import rich_click as click

from cli import client, options, output
from incident_manager.schemas.audit import AuditPage

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.group("audit")
@client.options
def audit() -> None:
    """Read what people, keys and the command line changed."""


@audit.command("list")
@options.paging
@client.options
def list_entries(page_size: int | None, cursor: str | None) -> None:
    """List changes, newest first."""
    answer = client.call("GET", client.path("audit"), query={"page_size": page_size, "cursor": cursor})
    output.show(answer.body, AuditPage, _draw)


def _draw(page: AuditPage) -> "RenderableType":
    if page.next_cursor:
        output.say(f"more with --cursor {page.next_cursor}")
    rows = [
        (
            output.plain(output.at(entry.at)),
            output.plain(f"{entry.actor} ({entry.actor_kind})"),
            output.plain(entry.action),
            output.plain(f"{entry.resource} {entry.resource_id or ''}"),
            output.plain(msgspec.json.encode(entry.after).decode()),
        )
        for entry in page.audit
    ]
    return output.table(("At", "Who", "Did", "To", "After"), rows, folded="After")
