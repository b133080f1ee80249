"""The database: bring its schema to a version, say which it is at, compare it with the code; back it up, prune it."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import rich_click as click

from cli import local, output
from cli.pruning import prune
from incident_manager.errors import StartRefused

if TYPE_CHECKING:
    from rich.console import RenderableType

    from incident_manager.settings import Settings


class Versions(msgspec.Struct):
    """Where a schema stands."""

    current: str | None
    head: str


def _steps(ctx: click.Context, _parameter: click.Parameter, given: str) -> str:
    """Let `-1` through, which looks like an option."""
    if given.startswith("-") and not given[1:].isdigit():
        raise click.NoSuchOption(given, ctx=ctx)
    return given


@click.group("db")
@local.options
def db() -> None:
    """Upgrade, downgrade and check the database's schema; back the database up, prune it."""


@db.command("upgrade")
@click.argument("revision", default="head")
@local.options
def upgrade(revision: str) -> None:
    """Bring the schema up to REVISION (default: this program's)."""
    asyncio.run(_move(local.settings(), "upgrade", revision))


@db.command("downgrade", context_settings={"ignore_unknown_options": True})
@click.argument("revision", callback=_steps)
@local.options
def downgrade(revision: str) -> None:
    """Bring the schema down to REVISION: `-1` for one step, `base` for nothing. What only the newer one held is lost."""
    found = local.settings()
    local.check_there(found)
    asyncio.run(_move(found, "downgrade", revision))


@db.command("current")
@local.options
def current() -> None:
    """Say which version the schema is at, and which this program needs."""
    found = local.settings()
    local.check_there(found)
    output.show(msgspec.json.encode(asyncio.run(_versions(found))), Versions, _draw)


@db.command("check")
@local.options
def check() -> None:
    """Compare the schema with this program; exit code 1 where they differ, with what would mend it."""
    found = local.settings()
    local.check_there(found)
    asyncio.run(_check(found))
    output.say("the schema is what this program needs")


@db.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, resolve_path=True, path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE where it is there already.")
@local.options
def backup(file: Path, force: bool) -> None:
    """Write the whole database into FILE, while servers go on.

    SQLite: a copy, to be put in the database's place. PostgreSQL: an archive for pg_restore, made by the pg_dump that is
    installed, which must be of the server's version or newer. The secret is not in it: keep that, too.
    """
    from incident_manager import backup as backups
    from incident_manager.start import SECRET_FILE

    found = local.settings()
    local.check_there(found)
    with _terminated_as_interrupted():
        version = backups.write(found.database_url, file, replace=force)
    output.say(f"wrote {file}: {file.stat().st_size:,} bytes, schema {version}")
    secret = "auth.secret" if found.auth.secret else f"auth.secret ({found.data_dir / SECRET_FILE})"
    output.say(f"keep {secret} as well, in another place: no server starts from this backup without it")


db.add_command(prune)


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM end what runs as Ctrl-C does, so that nothing half made is left; by itself it ends the process at once."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


async def _move(settings: "Settings", way: str, revision: str) -> None:
    from incident_manager import migrate

    url = settings.database_url
    async with migrate.one_at_a_time(url):
        before = await migrate.current(url)
        await {"upgrade": migrate.upgrade, "downgrade": migrate.downgrade}[way](url, revision)
        after = await migrate.current(url)
    output.say(f"{before or 'none'} -> {after or 'none'}")


async def _versions(settings: "Settings") -> Versions:
    from incident_manager import migrate

    return Versions(current=await migrate.current(settings.database_url), head=migrate.head())


async def _check(settings: "Settings") -> None:
    """Compare.

    Raises StartRefused where the schema is of another version or another shape.
    """
    from incident_manager import migrate
    from incident_manager.models import Base

    found = await _versions(settings)
    if found.current != found.head:
        raise StartRefused(f"the schema is at version {found.current or 'none'} and this program needs {found.head}")
    if wanted := await migrate.differences(settings.database_url, Base.metadata):
        click.echo(wanted)
        raise StartRefused("the schema is not what this program needs; the lines above would mend it")


def _draw(found: Versions) -> "RenderableType":
    return output.sheet({"Current": found.current or "none", "Needed": found.head})
