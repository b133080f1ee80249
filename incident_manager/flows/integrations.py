"""Integrations: making, changing and listing them. What their monitors send is in flows/deliveries.py."""

import secrets
import string
from collections.abc import Collection
from typing import Any, Final

import msgspec
from msgspec import UNSET

from incident_manager.errors import Conflict, NotFound, ValidationFailed
from incident_manager.flows import versions
from incident_manager.flows.timeline import record
from incident_manager.flows.units import Unit
from incident_manager.ids import new_id, read_id
from incident_manager.models.integrations import Integration
from incident_manager.monitors import MONITORS
from incident_manager.rules.dedup import DedupMode
from incident_manager.rules.severity import Severity
from incident_manager.schemas.integrations import (
    IntegrationIn,
    IntegrationOut,
    IntegrationPage,
    IntegrationPatch,
)
from incident_manager.store import integrations as store
from incident_manager.store import paging
from incident_manager.store.paging import Position
from incident_manager.vault import Vault

KEY_LENGTH: Final = 32
HIDDEN: Final = "***"
_KEY_CHARACTERS: Final = string.ascii_letters + string.digits
_AUDITED: Final = ("name", "monitor", "severity_map", "dedup_mode", "window_seconds", "labels")


async def create(unit: Unit, wanted: IntegrationIn, vault: Vault) -> tuple[IntegrationOut, str]:
    """Make an integration and return it with its key, which is shown once.

    Raises Conflict where the name is taken, ValidationFailed for an unknown monitor.
    """
    _check(wanted.monitor)
    if wanted.signing_secret == HIDDEN:
        raise ValidationFailed.of("signing_secret", f"{HIDDEN} stands for a secret that is kept, and there is none yet")
    if await store.find_by_name(unit.session, wanted.name):
        raise Conflict(f"an integration named {wanted.name} exists")
    key = "".join(secrets.choice(_KEY_CHARACTERS) for _ in range(KEY_LENGTH))
    integration = Integration(
        tenant_id=unit.tenant_id,
        id=new_id(),
        key_digest=vault.digest(key),
        version=1,
        created_at=unit.now,
        updated_at=unit.now,
        deleted_at=None,
        last_seen_at=None,
        alerts_received=0,
        **_columns(msgspec.structs.asdict(wanted), vault),
    )
    unit.session.add(integration)
    record(unit, "create", resource="integration", resource_id=integration.id, before={}, after=_audited(integration))
    return view(integration), key


async def get(unit: Unit, reference: str) -> IntegrationOut:
    """Return an integration by id or name.

    Raises NotFound.
    """
    return view(await _get(unit, reference))


async def put(
    unit: Unit, reference: str, wanted: IntegrationIn, if_match: str | None, vault: Vault
) -> tuple[IntegrationOut, str | None]:
    """Create the integration of that name, or give it all of the fields named; return it, and its key where it is new.

    Raises NotFound for an unknown id, VersionConflict, Conflict where the name is taken, ValidationFailed for another monitor.
    """
    integration = await _find(unit, reference, for_update=True)
    if integration is None:
        if reference != wanted.name:
            raise NotFound("no such integration; to make one, the name in the address must be that in the body")
        versions.check_absent(if_match)
        return await create(unit, wanted, vault)
    if wanted.monitor != integration.monitor:
        raise ValidationFailed.of(
            "monitor", f"is {integration.monitor} and part of the address; make another integration"
        )
    values = msgspec.structs.asdict(wanted)
    values.pop("monitor")
    return await _change(unit, integration, values, if_match, vault), None


async def change(
    unit: Unit, reference: str, patch: IntegrationPatch, if_match: str | None, vault: Vault
) -> IntegrationOut:
    """Change what the patch names.

    Raises NotFound, VersionConflict, Conflict where the name is taken.
    """
    values = {name: value for name, value in msgspec.structs.asdict(patch).items() if value is not UNSET}
    return await _change(unit, await _get(unit, reference, for_update=True), values, if_match, vault)


async def delete(unit: Unit, reference: str, if_match: str | None) -> None:
    """Close an integration's address; its alerts stay.

    Raises NotFound, VersionConflict.
    """
    integration = await _get(unit, reference, for_update=True)
    versions.check(integration.version, if_match)
    integration.deleted_at = unit.now
    record(unit, "delete", resource="integration", resource_id=integration.id, before=_audited(integration), after={})


async def list_page(
    unit: Unit, cursor: str | None, limit: int, vault: Vault, monitors: Collection[str] = ()
) -> IntegrationPage:
    """Return a page of integrations, by name: all of them, or those of some monitors.

    Raises ValidationFailed for an unknown monitor, and for a cursor that is not of this list.
    """
    for monitor in monitors:
        _check(monitor)
    listing = f"integrations {sorted(set(monitors))}"
    after = paging.unseal(vault, unit.tenant_id, listing, cursor).value if cursor else ""
    found = await store.list_after(unit.session, after, limit + 1, monitors)
    last = found[limit - 1].name if len(found) > limit else None
    following = paging.seal(vault, unit.tenant_id, listing, Position(last, "")) if last else None
    shown = [view(integration) for integration in found[:limit]]
    total = await store.count(unit.session, monitors)
    return IntegrationPage(integrations=shown, total=total, next_cursor=following)


def view(integration: Integration) -> IntegrationOut:
    """Return what is shown of an integration: never its key or secret."""
    hidden = {"signing_secret", "signed", "severity_map", "warnings"}
    same = {name: getattr(integration, name) for name in IntegrationOut.__struct_fields__ if name not in hidden}
    return IntegrationOut(
        **same,
        severity_map={word: Severity(severity) for word, severity in integration.severity_map.items()},
        signing_secret=HIDDEN if integration.signing_secret else None,
        signed=integration.signing_secret is not None,
        warnings=_warnings(integration),
    )


def _warnings(integration: Integration) -> list[str]:
    """Say what of an integration can have no effect."""
    by_nature = DedupMode.WHILE_OPEN if MONITORS[integration.monitor].identifies else DedupMode.WINDOW
    mode = integration.dedup_mode or by_nature
    if integration.window_seconds is not None and mode is DedupMode.WHILE_OPEN:
        return ["window_seconds is never used: its alerts attach while their incident is open (dedup_mode while_open)"]
    return []


async def _get(unit: Unit, reference: str, *, for_update: bool = False) -> Integration:
    integration = await _find(unit, reference, for_update=for_update)
    if integration is None:
        raise NotFound("no such integration")
    return integration


async def _find(unit: Unit, reference: str, *, for_update: bool) -> Integration | None:
    if integration_id := read_id(reference):
        return await store.find(unit.session, integration_id, for_update=for_update)
    return await store.find_by_name(unit.session, reference, for_update=for_update)


async def _change(
    unit: Unit, integration: Integration, values: dict[str, Any], if_match: str | None, vault: Vault
) -> IntegrationOut:
    """Set the values that differ; a file applied again makes no new version."""
    versions.check(integration.version, if_match)
    if "signing_secret" in values and values["signing_secret"] in {HIDDEN, _secret(integration, vault)}:
        values.pop("signing_secret")  # a file read back and applied again keeps the secret
    changed = {name: value for name, value in values.items() if getattr(integration, name) != value}
    if not changed:
        return view(integration)
    if "name" in changed and await store.find_by_name(unit.session, changed["name"]):
        raise Conflict(f"an integration named {changed['name']} exists")
    before = _audited(integration)
    for name, value in _columns(changed, vault).items():
        setattr(integration, name, value)
    integration.version += 1
    integration.updated_at = unit.now
    after = _audited(integration)
    if before["signing_secret"] and changed.get("signing_secret"):
        after["signing_secret"] = f"{HIDDEN} (another)"
    record(unit, "update", resource="integration", resource_id=integration.id, before=before, after=after)
    return view(integration)


def _secret(integration: Integration, vault: Vault) -> str | None:
    return vault.decrypt(integration.signing_secret) if integration.signing_secret else None


def _columns(values: dict[str, Any], vault: Vault) -> dict[str, Any]:
    """Return values as they are stored: the signing secret encrypted."""
    columns = dict(values)
    if columns.get("signing_secret") is not None:
        columns["signing_secret"] = vault.encrypt(columns["signing_secret"])
    return columns


def _audited(integration: Integration) -> dict[str, Any]:
    return {
        **{name: getattr(integration, name) for name in _AUDITED},
        "signing_secret": HIDDEN if integration.signing_secret else None,
    }


def _check(monitor: str) -> None:
    if monitor not in MONITORS:
        raise ValidationFailed.of("monitor", f"is unknown; known: {', '.join(MONITORS)}")
