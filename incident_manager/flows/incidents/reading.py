"""What people read of incidents: one, a list, its alerts, its timeline."""

import msgspec

from incident_manager.flows.incidents.views import event, view
from incident_manager.flows.units import Unit
from incident_manager.schemas.incidents import (
    IncidentFilter,
    IncidentOut,
    IncidentPage,
    IncidentSort,
    TimelinePage,
)
from incident_manager.store import incident_lists, paging
from incident_manager.store import incidents as store
from incident_manager.store.incident_lists import Place
from incident_manager.store.paging import Position
from incident_manager.vault import Vault


async def get(unit: Unit, reference: str) -> IncidentOut:
    """Return an incident by id or number.

    Raises NotFound.
    """
    return view(await store.get(unit.session, reference))


class Paging(msgspec.Struct, frozen=True, kw_only=True):
    """Which page: by number from 0, or what follows a cursor."""

    page: int
    page_size: int
    cursor: str | None


async def list_incidents(
    unit: Unit, wanted: IncidentFilter, sort: IncidentSort, paging_: Paging, vault: Vault
) -> IncidentPage:
    """Return a page of incidents.

    Raises ValidationFailed for a cursor that is not of this list.
    """
    listing = f"incidents {sort} {msgspec.json.encode(wanted).decode()}"
    after = paging.unseal(vault, unit.tenant_id, listing, paging_.cursor) if paging_.cursor else None
    size, offset = paging_.page_size, paging_.page * paging_.page_size
    place = Place(limit=size + 1, offset=offset, after=after)
    found, total = await incident_lists.find_page(unit.session, wanted, sort=sort, place=place)
    more = len(found) > size
    last = incident_lists.position(found[size - 1], sort) if more else None
    return IncidentPage(
        incidents=[view(incident) for incident in found[:size]],
        total=min(total, incident_lists.COUNT_LIMIT),
        page=paging_.page,
        page_size=size,
        next_cursor=paging.seal(vault, unit.tenant_id, listing, last) if last else None,
        total_capped=total > incident_lists.COUNT_LIMIT,
    )


async def timeline(unit: Unit, reference: str, cursor: str | None, limit: int, vault: Vault) -> TimelinePage:
    """Return a page of an incident's timeline, oldest first.

    Raises NotFound, ValidationFailed for a cursor that is not of this list.
    """
    incident = await store.get(unit.session, reference)
    listing = f"timeline {incident.id}"
    after = int(paging.unseal(vault, unit.tenant_id, listing, cursor).value) if cursor else 0
    found = await store.list_timeline(unit.session, incident.id, after=after, limit=limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    following = paging.seal(vault, unit.tenant_id, listing, Position(str(last.seq), "")) if last else None
    return TimelinePage(events=[event(entry) for entry in found[:limit]], next_cursor=following)
