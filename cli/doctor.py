"""A look over a server's set-up, beside the server or before it starts: what is well, what is not, and what to do about it."""

import asyncio
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import rich_click as click

from cli import local, output
from incident_manager.errors import RequestError, StartRefused

if TYPE_CHECKING:
    from rich.console import RenderableType

    from incident_manager.clock import Clock
    from incident_manager.db import Database
    from incident_manager.flows.units import Units
    from incident_manager.schemas.access import KeyOut
    from incident_manager.settings import Settings
    from incident_manager.store.durability import Condition
    from incident_manager.vault import Vault

ANSWER_SECONDS: Final = 10
SKEW: Final = timedelta(seconds=2)
EXPIRES_SOON: Final = timedelta(days=14)
LOW_DISK_BYTES: Final = 512 * 1024 * 1024
NO_DISK_BYTES: Final = 64 * 1024 * 1024
OLDEST: Final[Mapping[str, tuple[int, int]]] = {"SQLite": (3, 35), "PostgreSQL": (13, 0)}
_KEY_FILES: Final = ("secret.key", "admin.key")
_STYLES: Final = {"ok": "green", "warning": "yellow", "problem": "bold red"}


class Status(StrEnum):
    """From well to not; the worst of a report is the report's."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(msgspec.Struct, frozen=True):
    """What was looked at, how it is, and what to do where it is not well."""

    check: str
    status: Status
    detail: str
    advice: str = ""


class Report(msgspec.Struct, frozen=True):
    """Everything that was found."""

    status: Status
    checks: list[Finding]


class _Stop(Exception):
    """What was found makes it pointless to look further."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.detail)
        self.finding = finding


@click.command("doctor")
@local.options
@click.pass_context
def doctor(ctx: click.Context) -> None:
    """Look over settings, data directory, database, clock, secret and keys, and say what to do; exit code 1 for a problem."""
    from incident_manager import log
    from incident_manager.clock import SystemClock

    log.configure("error", "text")  # what goes wrong here is a finding, and said once
    report = asyncio.run(examine(local.flags(), SystemClock()))
    output.show(msgspec.json.encode(report), Report, _draw)
    if report.status is Status.PROBLEM:
        ctx.exit(1)


async def examine(flags: Mapping[str, object], clock: "Clock") -> Report:
    """Look at everything that can be looked at."""
    from incident_manager.settings import load_with_places

    try:
        settings, places = load_with_places(flags)
    except StartRefused as error:
        return _report([_problem("settings", str(error), "correct the place that is named, then run this again")])
    found = [_sources(settings, places), *_folder(settings), *_files(settings)]
    try:
        async for finding in _database(settings, clock):
            found.append(finding)  # noqa: PERF401 - what was found before a stop stays
    except _Stop as stop:
        found.append(stop.finding)
    return _report(found)


def _sources(settings: "Settings", places: Mapping[str, str]) -> Finding:
    """Name where each setting that is not a default comes from, never its value."""
    from incident_manager.settings import packaged_file

    defaults = str(packaged_file("settings.toml"))
    given = [f"{key} ({place})" for key, place in places.items() if not place.startswith(f"{defaults}:")]
    detail = f"defaults from {defaults}; " + (f"given: {', '.join(given)}" if given else "nothing else given")
    if not settings.auth.enabled:
        return _warning("settings", f"{detail}; auth.enabled is false", "set it to true before anybody else gets near")
    return _ok("settings", detail)


def _folder(settings: "Settings") -> Iterator[Finding]:
    """Look at the data directory: is it there, can it be written, is there room."""
    path = settings.data_dir
    if not path.exists():
        if settings.auth.secret and not settings.database_url.startswith("sqlite"):
            yield _ok("data directory", f"{path} is not there, and not needed: secret and database are elsewhere")
        else:
            yield _warning("data directory", f"{path} is not there", "nothing, before the first start, which makes it")
        return
    try:
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        advice = "name a folder in server.data_dir (--data-dir) that the server's user may write"
        yield _problem("data directory", f"{path} cannot be written: {error.strerror}", advice)
        return
    yield _ok("data directory", f"{path} can be written")
    yield _disk(path)


def _disk(path: Path) -> Finding:
    free = shutil.disk_usage(path).free
    detail = f"{free // 1024**2:,} MiB are free below {path}"
    if free < NO_DISK_BYTES:
        return _problem("disk", detail, "make room now: a database that cannot grow takes no alerts")
    if free < LOW_DISK_BYTES:
        return _warning("disk", detail, "make room, or move the data directory (server.data_dir)")
    return _ok("disk", detail)


def _files(settings: "Settings") -> Iterator[Finding]:
    """Look at who may read the key files."""
    for path in (settings.data_dir / name for name in _KEY_FILES):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue  # not there, or not to be seen: where it is needed, `secret` and `keys` say so
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            detail = f"{path} has mode {mode:04o}: others than its owner may use it"
            yield _problem("key files", detail, f"chmod 600 {path}; if others had the chance, make new keys")
        else:
            yield _ok("key files", f"{path} has mode {mode:04o}")


async def _database(settings: "Settings", clock: "Clock") -> AsyncIterator[Finding]:
    """Look at the database and what it holds, each step only where the one before it allows."""
    from incident_manager.db import Database

    try:
        local.check_there(settings)
    except StartRefused as error:
        raise _Stop(_warning("database", str(error), "nothing, before the first start, which makes it")) from error
    present = await _present(settings)
    database = Database(settings.database_url, settings.database)
    try:
        condition, skew = await _condition(database, clock)
        yield _product(condition)
        yield _durability(settings, condition)
        yield _clock(skew)
        yield await _migrations(settings, present)
        async for finding in _secret_and_keys(settings, database, clock):
            yield finding
    finally:
        await database.close()


async def _present(settings: "Settings") -> str | None:
    """Return the version of the schema; the first thing that is asked of the database, and so what shows whether it is there.

    Raises _Stop.
    """
    from incident_manager import migrate

    advice = "start the database, or correct database.url; this host and its user must be let in"
    with _stopping("database", advice):
        async with asyncio.timeout(ANSWER_SECONDS):
            return await migrate.current(settings.database_url)


async def _condition(database: "Database", clock: "Clock") -> tuple["Condition", timedelta | None]:
    """Return the database's condition, and how far its clock is ahead of ours; what the way takes is halved.

    Raises _Stop.
    """
    from incident_manager.store import durability

    with _stopping("database", "look at its load and its log; run this again"):
        async with asyncio.timeout(ANSWER_SECONDS):
            before = clock.now()
            condition = await database.read(durability.condition, tenant_id=None)
            after = clock.now()
        return condition, None if condition.now is None else condition.now - (before + (after - before) / 2)


def _product(condition: "Condition") -> Finding:
    oldest = OLDEST[condition.product]
    name = f"{condition.product} {_dotted(condition.version)}"
    if condition.version < oldest:
        advice = f"upgrade it to {_dotted(oldest)} or newer"
        raise _Stop(_problem("database", f"{name} is older than {_dotted(oldest)}", advice))
    if not condition.takes_writes:
        advice = "name the primary in database.url, or end what makes it read-only"
        return _problem("database", f"{name} takes no writes", advice)
    return _ok("database", f"{name} answers")


def _durability(settings: "Settings", condition: "Condition") -> Finding:
    if not condition.weaknesses:
        return _ok("durability", "what is committed is kept")
    detail = f"{'; '.join(condition.weaknesses)}: acknowledged alerts could be lost"
    if settings.database.require_durable:
        advice = (
            "turn it on, or set database.require_durable=false to accept that; until then the server does not start"
        )
        return _problem("durability", detail, advice)
    return _warning("durability", detail, "turn it on; database.require_durable=false accepts it as it is")


def _clock(skew: timedelta | None) -> Finding:
    if skew is None:
        return _ok("clock", "the database has this machine's clock")
    detail = f"the database's clock is {abs(skew).total_seconds():.1f} s {'ahead of' if skew > timedelta() else 'behind'} ours"
    if abs(skew) > SKEW:
        return _warning("clock", detail, "let both machines take the time from the same source (NTP)")
    return _ok("clock", detail)


async def _migrations(settings: "Settings", present: str | None) -> Finding:
    """Compare the schema with this program.

    Raises _Stop where nothing can be read from it.
    """
    from incident_manager import migrate
    from incident_manager.models import Base

    head = migrate.head()
    if present is None:
        raise _Stop(_warning("migrations", "the database is empty", "nothing: the first start makes the tables"))
    if not migrate.knows(present):
        detail = f"the schema is at version {present}, which a newer incident-manager made; this one knows up to {head}"
        raise _Stop(_problem("migrations", detail, "install the version that made it"))
    if present != head:
        detail = f"the schema is at version {present}, this program needs {head}"
        if settings.database.migrate:
            raise _Stop(_warning("migrations", detail, "nothing: the next start upgrades it; back it up before"))
        raise _Stop(_problem("migrations", detail, "run `incident-manager db upgrade`; back it up before"))
    with _stopping("migrations", "run `incident-manager db check`"):
        async with asyncio.timeout(ANSWER_SECONDS):
            differences = await migrate.differences(settings.database_url, Base.metadata)
    if differences:
        detail = f"the schema says it is at version {present}, and is not what that version makes"
        raise _Stop(_problem("migrations", detail, "run `incident-manager db check`, which shows what differs"))
    return _ok("migrations", f"the schema is at version {present}, which this program needs")


async def _secret_and_keys(settings: "Settings", database: "Database", clock: "Clock") -> AsyncIterator[Finding]:
    from incident_manager import start
    from incident_manager.flows import access
    from incident_manager.flows.units import Units
    from incident_manager.ids import new_id
    from incident_manager.rules.access import Actor, ActorKind

    with _stopping("keys", "look at the database's load and its log; run this again"):
        anybody = Actor(tenant_id=new_id(), kind=ActorKind.COMMAND_LINE, name="doctor")
        tenants = await access.list_tenants(Units(database, clock, anybody))
    if not tenants:
        raise _Stop(_warning("secret", "the database has no tenant", "nothing: the first start makes the first one"))
    advice = "give the secret of the first start: from your backup of secret.key, or from where auth.secret was kept"
    with _stopping("secret", advice):
        vault = await start.open_vault(settings, database)
    yield _ok("secret", "it is the one that the database was made under")
    for tenant in tenants:
        actor = Actor(tenant_id=tenant.id, kind=ActorKind.COMMAND_LINE, name="doctor")
        with _stopping("keys", "look at the database's load and its log; run this again"):
            keys = await _all_keys(Units(database, clock, actor), vault)
        yield _keys(tenant.name, keys, clock.now())


async def _all_keys(units: "Units", vault: "Vault") -> "list[KeyOut]":
    from incident_manager.flows import access

    page = await units.read(access.list_page, None, 1_000, vault)
    found = page.keys
    while page.next_cursor:
        page = await units.read(access.list_page, page.next_cursor, 1_000, vault)
        found += page.keys
    return found


def _keys(tenant: str, keys: "Sequence[KeyOut]", now: datetime) -> Finding:
    """Look at a tenant's keys: somebody must be able to make new ones, and nobody be locked out unawares."""
    from incident_manager.rules.access import Role

    valid = [key for key in keys if key.revoked_at is None and (key.expires_at is None or key.expires_at > now)]
    if not any(key.role is Role.ADMIN for key in valid):
        advice = f"run `incident-manager keys create NAME --role admin --tenant {tenant}`"
        return _problem("keys", f"tenant {tenant} has no valid key of role admin", advice)
    soon = [key for key in valid if key.expires_at is not None and key.expires_at - now <= EXPIRES_SOON]
    if soon:
        named = ", ".join(f"{key.name} ({output.at(key.expires_at)})" for key in soon)
        detail = f"of tenant {tenant}'s keys, these expire within {EXPIRES_SOON.days} days: {named}"
        return _warning("keys", detail, "make new ones and hand them out (`incident-manager keys create`)")
    return _ok("keys", f"tenant {tenant} has {len(valid)} valid, with an admin's among them")


@contextmanager
def _stopping(check: str, advice: str) -> Iterator[None]:
    """Turn what a step refuses or does not answer in time into what was found.

    Raises _Stop.
    """
    try:
        yield
    except TimeoutError as error:
        raise _Stop(_problem(check, f"no answer within {ANSWER_SECONDS} s", advice)) from error
    except (StartRefused, RequestError) as error:
        raise _Stop(_problem(check, str(error), advice)) from error


def _ok(check: str, detail: str) -> Finding:
    return Finding(check, Status.OK, detail)


def _warning(check: str, detail: str, advice: str) -> Finding:
    return Finding(check, Status.WARNING, detail, advice)


def _problem(check: str, detail: str, advice: str) -> Finding:
    return Finding(check, Status.PROBLEM, detail, advice)


def _report(found: list[Finding]) -> Report:
    order = list(Status)
    return Report(max((finding.status for finding in found), key=order.index), found)


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def _draw(report: Report) -> "RenderableType":
    rows = [
        [
            output.plain(finding.check),
            output.plain(finding.status, _STYLES[finding.status]),
            output.plain(f"{finding.detail}. To do: {finding.advice}" if finding.advice else finding.detail),
        ]
        for finding in report.checks
    ]
    return output.table(["Check", "Status", "Found"], rows, folded="Found")
