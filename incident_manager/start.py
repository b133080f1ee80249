"""What must hold before the service takes its first request: schema, durability, secret, first tenant and key.

Runs in every process that starts, one at a time (`migrate.one_at_a_time`); whoever comes second finds it done.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from loguru import logger

from incident_manager import migrate
from incident_manager.clock import Clock
from incident_manager.db import Database, Session
from incident_manager.errors import AuthenticationFailed, StartRefused
from incident_manager.flows import access
from incident_manager.flows.units import Unit
from incident_manager.ids import new_id
from incident_manager.rules.access import Actor, ActorKind, Role
from incident_manager.schemas.access import KeyIn
from incident_manager.settings import SECRET_BYTES, Settings, secret_weakness
from incident_manager.store import access as store
from incident_manager.store import durability
from incident_manager.vault import Vault

SECRET_FILE: Final = "secret.key"  # noqa: S105 - a file's name
ADMIN_KEY_FILE: Final = "admin.key"

Announce = Callable[[str], None]


async def prepare(settings: Settings, database: Database, clock: Clock, announce: Announce) -> Vault:
    """Bring everything into the state that serving needs; `announce` is told the first key, once.

    Raises StartRefused with what to change.
    """
    _make_folder(settings.data_dir)
    async with migrate.one_at_a_time(settings.database_url):
        await _match_schema(settings)
        await check_durability(settings, database)
        return await _unlock(settings, database, clock, announce)


async def open_vault(settings: Settings, database: Database) -> Vault:
    """Return the vault of a database that is in use; for commands that work beside a server.

    Raises StartRefused where there is no secret or another one, and where the schema is not this version's.
    """
    present = await migrate.current(settings.database_url)
    if present != migrate.head():
        raise StartRefused(_other_version(present))
    tenants = await database.read(store.list_tenants, tenant_id=None)
    if not tenants:
        raise StartRefused("the database has no tenant yet: start the server once, which makes the first one")
    return _checked_vault(settings, {tenant.secret_fingerprint for tenant in tenants})


async def check_durability(settings: Settings, database: Database) -> list[str]:
    """Return why commits may be lost.

    Raises StartRefused where that is not allowed by database.require_durable.
    """
    weaknesses = await database.read(durability.weaknesses, tenant_id=None)
    if weaknesses and settings.database.require_durable:
        why = "; ".join(weaknesses)
        accept = "or set database.require_durable=false to accept that"
        raise StartRefused(f"{why}: acknowledged alerts could be lost. Turn it on, {accept}")
    for weakness in weaknesses:
        logger.warning("commits are not durable", weakness=weakness)
    return weaknesses


async def _match_schema(settings: Settings) -> None:
    head, present = migrate.head(), await migrate.current(settings.database_url)
    if present == head:
        return
    if not settings.database.migrate or (present and not migrate.knows(present)):
        raise StartRefused(_other_version(present))
    await migrate.upgrade(settings.database_url)
    logger.info("schema upgraded", before=present, after=head)


def _other_version(present: str | None) -> str:
    if present is None or migrate.knows(present):
        what = "has no tables yet" if present is None else f"is at version {present}"
        return f"the database {what} and version {migrate.head()} is needed: run `incident-manager db upgrade`"
    return (
        f"the database is at version {present}, which is not known here: a newer incident-manager made it. "
        f"Install that one; this one knows versions up to {migrate.head()}"
    )


async def _unlock(settings: Settings, database: Database, clock: Clock, announce: Announce) -> Vault:
    tenants = await database.read(store.list_tenants, tenant_id=None)
    if tenants:
        return _checked_vault(settings, {tenant.secret_fingerprint for tenant in tenants})
    vault = Vault(_secret(settings) or _make_secret(settings.data_dir))
    given = _given_token(settings)
    token = given or access.make_token(new_id())
    path = settings.data_dir / ADMIN_KEY_FILE
    if given is None:
        write_private(path, token)  # before the commit: a crash in between must not leave a key that nobody has
    actor = Actor(tenant_id=new_id(), kind=ActorKind.SYSTEM, name="first start")

    async def first_tenant(session: Session) -> None:
        unit = Unit(session=session, actor=actor, now=clock.now())
        await access.create_tenant(unit, access.DEFAULT_TENANT, vault.fingerprint)
        await access.create_key(unit, KeyIn(name="admin", role=Role.ADMIN), vault, token)

    await database.transaction(first_tenant, tenant_id=actor.tenant_id)
    if given is None:
        announce(f"First start: tenant `{access.DEFAULT_TENANT}`, admin key {token} (also in {path})")
    return vault


def _checked_vault(settings: Settings, fingerprints: set[str]) -> Vault:
    path = settings.data_dir / SECRET_FILE
    secret = _secret(settings)
    if not secret:
        raise StartRefused(
            f"auth.secret: the database was made under a secret, and there is none in the settings or in {path}"
        )
    vault = Vault(secret)
    if fingerprints != {vault.fingerprint}:
        where = "auth.secret" if settings.auth.secret else f"auth.secret (from {path})"
        raise StartRefused(f"{where}: is not the secret that this database was made under")
    return vault


def _secret(settings: Settings) -> str | None:
    """Return the secret of the settings or of the data folder; one that others can guess is refused wherever it stands."""
    path = settings.data_dir / SECRET_FILE
    secret = settings.auth.secret or _read(path)
    if secret and (weakness := secret_weakness(secret)):
        raise StartRefused(f"auth.secret (from {path}): {weakness}")
    return secret


def _given_token(settings: Settings) -> str | None:
    path = settings.auth.bootstrap_key_file
    if not path:
        return None
    token = _read(Path(path))
    if not token:
        raise StartRefused(f"auth.bootstrap_key_file: {path} cannot be read or is empty")
    try:
        return access.read_token(token).text
    except AuthenticationFailed as error:
        wanted = "im_ + 32 hex digits + _ + 43 characters of base64url"
        raise StartRefused(f"auth.bootstrap_key_file: {path} holds no key of the form {wanted}") from error


def _make_secret(data_dir: Path) -> str:
    secret = os.urandom(SECRET_BYTES).hex()
    write_private(data_dir / SECRET_FILE, secret)
    return secret


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise StartRefused(f"{path}: cannot be read: it is not UTF-8") from error
    except OSError as error:
        raise StartRefused(f"{path}: cannot be read: {error.strerror}") from error


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)  # what alerts say is for nobody else on the machine
    except OSError as error:
        raise StartRefused(f"server.data_dir: {path} cannot be made: {error.strerror}") from error


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first instant on; one that exists is replaced whole.

    It is on the disk when this returns, name and all: what the database keeps is worth nothing without its secret.
    Raises StartRefused where it cannot be written.
    """
    beside = path.with_name(f"{path.name}.new")
    try:
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(folder)
        os.close(folder)
    except OSError as error:
        raise StartRefused(f"{path}: cannot be written: {error.strerror}") from error
