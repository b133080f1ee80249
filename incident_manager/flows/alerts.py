"""What people read of alerts."""

from uuid import UUID

from incident_manager.flows.incidents.views import links
from incident_manager.flows.units import Unit
from incident_manager.models.alerts import Alert
from incident_manager.schemas.alerts import AlertOut, AlertPage
from incident_manager.store import alerts as store
from incident_manager.store import incidents as incident_store
from incident_manager.store import paging
from incident_manager.store.paging import Position
from incident_manager.vault import Vault


async def get(unit: Unit, alert_id: UUID) -> AlertOut:
    """Return an alert.

    Raises NotFound.
    """
    return alert_view(await store.get_alert(unit.session, alert_id))


async def list_alerts(
    unit: Unit, cursor: str | None, limit: int, vault: Vault, incident: str | None = None
) -> AlertPage:
    """Return a page of alerts, newest first, of one incident where one is named (id or number).

    Raises NotFound for an incident that is not there, ValidationFailed for a cursor that is not of this list.
    """
    incident_id = (await incident_store.get(unit.session, incident)).id if incident else None
    listing = f"alerts {incident_id}"
    before = UUID(paging.unseal(vault, unit.tenant_id, listing, cursor).id) if cursor else None
    found = await store.list_alerts(unit.session, incident_id=incident_id, before=before, limit=limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    following = paging.seal(vault, unit.tenant_id, listing, Position("", str(last.id))) if last else None
    return AlertPage(alerts=[alert_view(alert) for alert in found[:limit]], next_cursor=following)


def alert_view(alert: Alert) -> AlertOut:
    """Return what the outside sees of an alert."""
    same = {name: getattr(alert, name) for name in AlertOut.__struct_fields__ if name != "links"}
    return AlertOut(**same, links=links(alert.links))
