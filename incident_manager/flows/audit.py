"""What admins read of the audit."""

from uuid import UUID

from incident_manager.flows.units import Unit
from incident_manager.schemas.audit import AuditOut, AuditPage
from incident_manager.store import audit as store
from incident_manager.store import paging
from incident_manager.store.paging import Position
from incident_manager.vault import Vault


async def list_entries(unit: Unit, cursor: str | None, limit: int, vault: Vault) -> AuditPage:
    """Return a page of the audit, newest first.

    Raises ValidationFailed for a cursor that is not of this list.
    """
    before = UUID(paging.unseal(vault, unit.tenant_id, "audit", cursor).id) if cursor else None
    found = await store.list_entries(unit.session, before=before, limit=limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    following = paging.seal(vault, unit.tenant_id, "audit", Position("", str(last.id))) if last else None
    shown = [AuditOut(**{name: getattr(entry, name) for name in AuditOut.__struct_fields__}) for entry in found[:limit]]
    return AuditPage(audit=shown, total=await store.count_entries(unit.session), next_cursor=following)
