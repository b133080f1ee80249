"""Tenants and keys: making, checking and revoking them."""

import base64
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from msgspec import UNSET

from incident_manager.errors import AuthenticationFailed, Conflict, NotFound, ValidationFailed
from incident_manager.flows import versions
from incident_manager.flows.timeline import record
from incident_manager.flows.units import Unit, Units
from incident_manager.ids import new_id, read_id
from incident_manager.models.access import ApiKey, Tenant
from incident_manager.rules.access import Actor, ActorKind, Role
from incident_manager.schemas.access import KeyCreated, KeyIn, KeyOut, KeyPage, KeyPatch
from incident_manager.store import access as store
from incident_manager.store import paging
from incident_manager.store.intake import Credential
from incident_manager.store.paging import Position
from incident_manager.vault import Vault

SECRET_BYTES: Final = 32
DEFAULT_TENANT: Final = "default"
_PREFIX: Final = "im"
_USE_RECORDED_EVERY: Final = timedelta(minutes=1)


class Caller(NamedTuple):
    """Who calls, and what they may."""

    actor: Actor
    role: Role
    credential: Credential
    expires_at: datetime | None
    use_is_due: bool


class Token(NamedTuple):
    """A key taken apart: `im_<id>_<secret>`, the id as 32 hex digits, the secret as 43 characters of base64url."""

    id: UUID
    text: str


def make_token(key_id: UUID) -> str:
    """Return a new key with 256 random bits."""
    secret = base64.urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).decode().rstrip("=")
    return f"{_PREFIX}_{key_id.hex}_{secret}"


def read_token(text: str) -> Token:
    """Take a key apart.

    Raises AuthenticationFailed for what is not one.
    """
    prefix, _, rest = text.partition("_")
    key_id, _, secret = rest.partition("_")
    if prefix != _PREFIX or len(key_id) != 32 or len(secret) != 43 or not text.isascii():  # noqa: PLR2004 - see Token
        raise AuthenticationFailed("the key is not valid")
    try:
        return Token(UUID(hex=key_id), text)
    except ValueError as error:
        raise AuthenticationFailed("the key is not valid") from error


def check_key(key: ApiKey | None, token: Token, vault: Vault, now: datetime) -> Caller:
    """Return who a key stands for.

    The digests are compared in constant time, and also where there is no such key: the time taken tells nothing.
    Raises AuthenticationFailed, with the same words for every cause.
    """
    given = vault.digest(token.text)
    matches = hmac.compare_digest(given, key.digest if key else vault.digest(""))
    expired = key is not None and key.expires_at is not None and key.expires_at <= now
    if key is None or not matches or key.revoked_at is not None or expired:
        raise AuthenticationFailed("the key is not valid")
    due = key.last_used_at is None or now - key.last_used_at >= _USE_RECORDED_EVERY
    actor = Actor(tenant_id=key.tenant_id, kind=ActorKind.KEY, name=key.name, id=key.id)
    return Caller(actor, key.role, Credential(key.tenant_id, key.id, key.version), key.expires_at, due)


async def record_use(unit: Unit, key_id: UUID) -> None:
    """Note that a key was used."""
    await store.record_use(unit.session, key_id, unit.now)


async def create_key(unit: Unit, wanted: KeyIn, vault: Vault, token: str | None = None) -> KeyCreated:
    """Make a key, or take the one given; it is shown once.

    Raises Conflict where the tenant has a valid key of that name, ValidationFailed for an expiry that has passed.
    """
    await _check_free(unit, wanted.name)
    _check_expiry(unit, wanted.expires_at)
    token = token or make_token(new_id())
    key = ApiKey(
        tenant_id=unit.tenant_id,
        id=read_token(token).id,
        digest=vault.digest(token),
        version=1,
        created_at=unit.now,
        revoked_at=None,
        last_used_at=None,
        **msgspec.structs.asdict(wanted),
    )
    unit.session.add(key)
    record(unit, "create", resource="key", resource_id=key.id, before={}, after=_audited(key))
    return KeyCreated(key=token, **msgspec.structs.asdict(key_view(key)))


async def put_key(unit: Unit, reference: str, wanted: KeyIn, if_match: str | None, vault: Vault) -> KeyOut | KeyCreated:
    """Create the key of that name, or give the one there is all of the fields named; only a new one shows itself.

    Raises NotFound for an unknown id, VersionConflict, Conflict where the name is taken or the key revoked, ValidationFailed.
    """
    key = await _find_key(unit, reference, for_update=True)
    if key is None:
        if reference != wanted.name:
            raise NotFound("no such key; to make one, the name in the address must be that in the body")
        versions.check_absent(if_match)
        return await create_key(unit, wanted, vault)
    return await _change(unit, key, msgspec.structs.asdict(wanted), if_match)


async def change_key(unit: Unit, reference: str, patch: KeyPatch, if_match: str | None) -> KeyOut:
    """Change what the patch names.

    Raises NotFound, VersionConflict, Conflict where the name is taken or the key revoked, ValidationFailed.
    """
    values = {name: value for name, value in msgspec.structs.asdict(patch).items() if value is not UNSET}
    return await _change(unit, await _get_key(unit, reference, for_update=True), values, if_match)


async def revoke_key(unit: Unit, reference: str, if_match: str | None = None) -> None:
    """Make a key worthless from the next request on.

    Raises NotFound, VersionConflict.
    """
    key = await _get_key(unit, reference, for_update=True)
    versions.check(key.version, if_match)
    if key.revoked_at is not None:
        return
    before = _audited(key)
    key.revoked_at = unit.now
    key.version += 1
    record(unit, "revoke", resource="key", resource_id=key.id, before=before, after=_audited(key))


async def get_key(unit: Unit, reference: str) -> KeyOut:
    """Return a key by id or name.

    Raises NotFound.
    """
    return key_view(await _get_key(unit, reference))


async def list_page(unit: Unit, cursor: str | None, limit: int, vault: Vault) -> KeyPage:
    """Return a page of the tenant's keys in the order they were made, revoked ones too.

    Raises ValidationFailed for a cursor that is not of this list.
    """
    after = UUID(paging.unseal(vault, unit.tenant_id, "keys", cursor).id) if cursor else None
    found = await store.list_keys(unit.session, after=after, limit=limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    following = paging.seal(vault, unit.tenant_id, "keys", Position("", str(last.id))) if last else None
    shown = [key_view(key) for key in found[:limit]]
    return KeyPage(keys=shown, total=await store.count_keys(unit.session), next_cursor=following)


def key_view(key: ApiKey) -> KeyOut:
    """Return what is shown of a key: never the key."""
    return KeyOut(**{name: getattr(key, name) for name in KeyOut.__struct_fields__})


async def create_tenant(unit: Unit, name: str, secret_fingerprint: str) -> Tenant:
    """Make a tenant.

    Raises Conflict where the name is taken.
    """
    if await store.find_tenant(unit.session, name):
        raise Conflict(f"a tenant named {name} exists")
    tenant = Tenant(
        id=unit.actor.tenant_id,
        name=name,
        created_at=unit.now,
        secret_fingerprint=secret_fingerprint,
        next_incident_number=1,
    )
    unit.session.add(tenant)
    await unit.session.flush()
    record(unit, "create", resource="tenant", resource_id=tenant.id, before={}, after={"name": name})
    return tenant


async def get_tenant(units: Units, name: str) -> Tenant:
    """Return a tenant by name.

    Raises NotFound.
    """
    tenant = await units.database.read(lambda session: store.find_tenant(session, name), tenant_id=None)
    if tenant is None:
        raise NotFound(f"no tenant named {name}")
    return tenant


async def list_tenants(units: Units) -> Sequence[Tenant]:
    """Return all tenants, by name."""
    return await units.database.read(store.list_tenants, tenant_id=None)


async def _change(unit: Unit, key: ApiKey, values: dict[str, Any], if_match: str | None) -> KeyOut:
    versions.check(key.version, if_match)
    if key.revoked_at is not None:
        raise Conflict("the key is revoked; make another one")
    changed = {name: value for name, value in values.items() if getattr(key, name) != value}
    if "name" in changed:
        await _check_free(unit, changed["name"])
    if "expires_at" in changed:
        _check_expiry(unit, changed["expires_at"])
    if changed:
        before = _audited(key)
        for name, value in changed.items():
            setattr(key, name, value)
        key.version += 1
        record(unit, "update", resource="key", resource_id=key.id, before=before, after=_audited(key))
    return key_view(key)


async def _check_free(unit: Unit, name: str) -> None:
    if await store.find_key_by_name(unit.session, name):
        raise Conflict(f"a key named {name} exists")


def _check_expiry(unit: Unit, expires_at: datetime | None) -> None:
    if expires_at is not None and expires_at <= unit.now:
        raise ValidationFailed.of("expires_at", "must be in the future")


def _audited(key: ApiKey) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(key_view(key))
    return {name: shown[name] for name in ("name", "role", "expires_at", "revoked_at")}


async def _get_key(unit: Unit, reference: str, *, for_update: bool = False) -> ApiKey:
    key = await _find_key(unit, reference, for_update=for_update)
    if key is None:
        raise NotFound("no such key")
    return key


async def _find_key(unit: Unit, reference: str, *, for_update: bool) -> ApiKey | None:
    if key_id := read_id(reference):
        return await store.find_own_key(unit.session, key_id, for_update=for_update)
    return await store.find_key_by_name(unit.session, reference, for_update=for_update)
