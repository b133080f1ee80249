"""Tenants and keys, beside the server: whoever may read its database needs no key."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec
import rich_click as click

from cli import local, options, output
from incident_manager.rules.access import Role
from incident_manager.schemas.access import KeyCreated, KeyIn, KeyOut, KeyPage
from incident_manager.schemas.base import Instant, ResourceName

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from cli.local import Place
    from incident_manager.flows.units import Units
    from incident_manager.settings import Settings

_PAGE: Final = 100
_DEFAULT_TENANT: Final = "default"  # flows.access.DEFAULT_TENANT, without loading the flows


class TenantOut(msgspec.Struct):
    """A tenant, as it is printed."""

    name: str
    created_at: datetime
    id: str


class TenantList(msgspec.Struct):
    """All tenants, by name."""

    tenants: list[TenantOut]
    total: int


def _name(_ctx: click.Context, _parameter: click.Parameter, given: str) -> str:
    try:
        return msgspec.convert(given, ResourceName)
    except msgspec.ValidationError as error:
        raise click.BadParameter("must be 1 to 100 of A-Z a-z 0-9 . _ -") from error


def _instant(_ctx: click.Context, _parameter: click.Parameter, given: str | None) -> datetime | None:
    try:
        return None if given is None else msgspec.convert(given, Instant).astimezone(UTC)
    except (msgspec.ValidationError, OverflowError) as error:
        raise click.BadParameter("must be RFC 3339 with a zone, as 2027-01-31T00:00:00Z") from error


tenant_option = click.option("--tenant", metavar="NAME", default=_DEFAULT_TENANT, show_default=True, help="Whose keys.")


@click.group("tenants")
@local.options
def tenants() -> None:
    """Make and list tenants: worlds of their own in one database."""


@tenants.command("create")
@click.argument("name", callback=_name)
@local.options
def create_tenant(name: str) -> None:
    """Make a tenant."""
    made = asyncio.run(_create_tenant(local.settings(), name))
    output.show(msgspec.json.encode(made), TenantOut, lambda tenant: _tenants(TenantList([tenant], 1)))
    output.say(f"its first key: incident-manager keys create admin --role admin --tenant {name}")


@tenants.command("list")
@local.options
def list_tenants() -> None:
    """List tenants by name."""
    found = asyncio.run(_list_tenants(local.settings()))
    output.show(msgspec.json.encode(found), TenantList, _tenants)


@click.group("keys")
@local.options
def keys() -> None:
    """Make, list and revoke API keys of a tenant."""


@keys.command("create")
@click.argument("name", callback=_name)
@click.option("--role", type=options.choice(Role), required=True, help="What it may do.")
@click.option("--expires-at", metavar="TIME", callback=_instant, help="RFC 3339 with a zone.  [default: never]")
@tenant_option
@local.options
def create_key(name: str, role: str, expires_at: datetime | None, tenant: str) -> None:
    """Make a key. It is shown this once."""
    wanted = KeyIn(name=name, role=Role(role), expires_at=expires_at)
    made = asyncio.run(_create_key(local.settings(), tenant, wanted))
    output.say(f"key {made.name} ({made.role}) of tenant {tenant}, shown this once:")
    output.show(msgspec.json.encode(made), KeyCreated, lambda key: output.plain(key.key))


@keys.command("list")
@tenant_option
@local.options
def list_keys(tenant: str) -> None:
    """List keys in the order they were made, revoked ones too."""
    found = asyncio.run(_list_keys(local.settings(), tenant))
    output.show(msgspec.json.encode(KeyPage(keys=found, total=len(found))), KeyPage, _keys)


@keys.command("revoke")
@click.argument("reference", metavar="NAME|ID")
@tenant_option
@local.options
def revoke_key(reference: str, tenant: str) -> None:
    """Make a key worthless from the next request on."""
    asyncio.run(_revoke_key(local.settings(), tenant, reference))
    output.say(f"revoked {reference}")


async def _create_tenant(settings: "Settings", name: str) -> TenantOut:
    from incident_manager.flows import access
    from incident_manager.ids import new_id

    async with local.opened(settings) as place:
        made = await place.units(new_id()).write(access.create_tenant, name, place.vault.fingerprint)
        return TenantOut(name=made.name, created_at=made.created_at, id=str(made.id))


async def _list_tenants(settings: "Settings") -> TenantList:
    from incident_manager.flows import access
    from incident_manager.ids import new_id

    async with local.opened(settings) as place:
        found = await access.list_tenants(place.units(new_id()))
    shown = [TenantOut(name=tenant.name, created_at=tenant.created_at, id=str(tenant.id)) for tenant in found]
    return TenantList(shown, len(shown))


async def _create_key(settings: "Settings", tenant: str, wanted: KeyIn) -> KeyCreated:
    from incident_manager.flows import access

    async with local.opened(settings) as place:
        return await (await _units(place, tenant)).write(access.create_key, wanted, place.vault)


async def _list_keys(settings: "Settings", tenant: str) -> list[KeyOut]:
    from incident_manager.flows import access

    found: list[KeyOut] = []
    async with local.opened(settings) as place:
        units = await _units(place, tenant)
        page = await units.read(access.list_page, None, _PAGE, place.vault)
        found.extend(page.keys)
        while page.next_cursor:
            page = await units.read(access.list_page, page.next_cursor, _PAGE, place.vault)
            found.extend(page.keys)
    return found


async def _revoke_key(settings: "Settings", tenant: str, reference: str) -> None:
    from incident_manager.flows import access

    async with local.opened(settings) as place:
        await (await _units(place, tenant)).write(access.revoke_key, reference)


async def _units(place: "Place", tenant: str) -> "Units":
    """Return units of work in a tenant.

    Raises NotFound.
    """
    from incident_manager.flows import access
    from incident_manager.ids import new_id

    found = await access.get_tenant(place.units(new_id()), tenant)
    return place.units(found.id)


def _tenants(found: TenantList) -> "RenderableType":
    rows = [[output.plain(text) for text in (one.name, output.at(one.created_at), one.id)] for one in found.tenants]
    return output.table(("Name", "Created", "Id"), rows)


def _keys(page: KeyPage) -> "RenderableType":
    return output.table(("Name", "Role", "Valid", "Created", "Last used", "Id"), [_key_row(key) for key in page.keys])


def _key_row(key: KeyOut) -> Sequence["Text"]:
    if key.revoked_at:
        valid = f"revoked {output.at(key.revoked_at)}"
    else:
        valid = f"until {output.at(key.expires_at)}" if key.expires_at else "yes"
    shown = (key.name, key.role, valid, output.at(key.created_at), output.at(key.last_used_at) or "never", key.id)
    return [output.plain(text) for text in shown]
