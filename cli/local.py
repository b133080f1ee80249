"""What the commands that need no server share: the settings they read, the database they open, who they are on the audit."""

import os
import pwd
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import rich_click as click

from cli.output import Decorated, given, option, remember
from incident_manager.errors import StartRefused

if TYPE_CHECKING:
    from uuid import UUID

    from incident_manager.db import Database
    from incident_manager.flows.units import Units
    from incident_manager.settings import Settings
    from incident_manager.vault import Vault


class Place(NamedTuple):
    """An open database of this version's schema, and the vault of its secret."""

    database: "Database"
    vault: "Vault"

    def units(self, tenant_id: "UUID") -> "Units":
        """Return units of work in a tenant, in the name of the command line."""
        from incident_manager.clock import SystemClock
        from incident_manager.flows.units import Units
        from incident_manager.rules.access import Actor, ActorKind

        actor = Actor(tenant_id=tenant_id, kind=ActorKind.COMMAND_LINE, name=_user())
        return Units(self.database, SystemClock(), actor)


def options(command: Decorated) -> Decorated:
    """Give a command what every command beside the server takes: `--data-dir`, `--database-url`, `--output`."""
    for decorate in (
        option,
        click.option(
            "--database-url",
            metavar="URL",
            expose_value=False,
            callback=remember,
            help="sqlite:///path or postgresql://user:password@host:port/name.  [default: the setting database.url]",
        ),
        click.option(
            "--data-dir",
            metavar="DIR",
            expose_value=False,
            callback=remember,
            help="Folder of the SQLite file and the key files.  [default: the setting server.data_dir]",
        ),
    ):
        command = decorate(command)
    return command


def flags(more: Mapping[str, object] | None = None) -> dict[str, object]:
    """Return what was given on the command line as settings: `section.key` to a value, None where it was not given."""
    return {
        "server.data_dir": given("data_dir"),
        "database.url": given("database_url"),
        **(more or {}),
    }


def settings(more: Mapping[str, object] | None = None) -> "Settings":
    """Return the settings under the options of this command, and under more that it takes (`flags`).

    Raises SettingsInvalid.
    """
    from incident_manager import log
    from incident_manager.settings import load

    found = load(flags(more))
    log.configure(found.log.level, found.log.format)
    return found


def check_there(found: "Settings") -> None:
    """Refuse a SQLite file that is not there: opening it would make it.

    Raises StartRefused.
    """
    from incident_manager.engines import async_url

    url = async_url(found.database_url)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        raise StartRefused(
            f"there is no database at {url.database}; a server makes it, or `incident-manager db upgrade`"
        )


@asynccontextmanager
async def opened(found: "Settings") -> AsyncIterator[Place]:
    """Open the database beside a server that may be running.

    Raises StartRefused where there is none, where its schema is not this version's, and for another secret.
    """
    from incident_manager import start
    from incident_manager.db import Database

    check_there(found)
    database = Database(found.database_url, found.database)
    try:
        yield Place(database, await start.open_vault(found, database))
    finally:
        await database.close()


def _user() -> str:
    """Return who runs the command, as the machine knows them."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user need not have a name
        return f"uid {os.getuid()}"
