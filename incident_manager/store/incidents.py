"""Incidents and their timeline: one at a time, or those of some fingerprints. Lists are in store/incident_lists.py."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy import insert, select

from incident_manager.db import Session
from incident_manager.errors import NotFound
from incident_manager.ids import read_id
from incident_manager.models.incidents import IS_ACTIVE, Incident, TimelineEntry
from incident_manager.store.rows import EntryRow

_NUMBER_LIMIT = 2**63 - 1


async def get(session: Session, reference: str, *, for_update: bool = False) -> Incident:
    """Return the incident of an id or a number; `for_update` reads it anew and locks it.

    Raises NotFound, also for what is neither.
    """
    query = select(Incident).where(refers(reference))
    if for_update:
        query = query.with_for_update().execution_options(populate_existing=True)
    incident = (await session.scalars(query)).one_or_none()
    if incident is None:
        raise NotFound("no such incident")
    return incident


async def lock_referred(session: Session, references: Sequence[str]) -> list[Incident]:
    """Lock incidents by id or number, oldest first, and return them in the order in which they are named.

    Raises NotFound where one of them is not there.
    """
    query = select(Incident).where(refer(references)).order_by(Incident.id).with_for_update()
    found = (await session.scalars(query.execution_options(populate_existing=True))).all()
    by_name = {str(name): incident for incident in found for name in (incident.id, incident.number)}
    names = [str(read_id(reference) or int(reference)) for reference in references]
    if any(name not in by_name for name in names):
        raise NotFound("no such incident")
    return [by_name[name] for name in names]


def refer(references: Sequence[str]) -> sa.ColumnElement[bool]:
    """Return the condition for any of several ids or numbers.

    Raises NotFound for what is neither.
    """
    return sa.or_(*(refers(reference) for reference in references))


def refers(reference: str) -> sa.ColumnElement[bool]:
    """Return the condition for an id or a number.

    Raises NotFound for what is neither.
    """
    if reference.isascii() and reference.isdecimal() and len(reference) <= len(str(_NUMBER_LIMIT)):
        return Incident.number == min(int(reference), _NUMBER_LIMIT)
    incident_id = read_id(reference)
    if incident_id is None:
        raise NotFound("no such incident")
    return Incident.id == incident_id


async def list_open(session: Session, named: Mapping[str, UUID | None]) -> Sequence[Incident]:
    """Return the active incidents of these fingerprints, and those that their keys name, oldest first."""
    ids = sorted({incident_id for incident_id in named.values() if incident_id is not None})
    mine = Incident.fingerprint.in_(sorted(named)) | Incident.id.in_(ids)
    return (await session.scalars(select(Incident).where(mine, IS_ACTIVE).order_by(Incident.id))).all()


async def find_newest_open(session: Session, fingerprint: str) -> UUID | None:
    """Return the id of the newest active incident of a fingerprint."""
    query = select(Incident.id).where(Incident.fingerprint == fingerprint, IS_ACTIVE)
    return await session.scalar(query.order_by(Incident.id.desc()).limit(1))


async def list_timeline(session: Session, incident_id: UUID, *, after: int, limit: int) -> Sequence[TimelineEntry]:
    """Return up to `limit` entries, oldest first, from the one after `after`."""
    query = (
        select(TimelineEntry)
        .where(TimelineEntry.incident_id == incident_id, TimelineEntry.seq > after)
        .order_by(TimelineEntry.seq)
        .limit(limit)
    )
    return (await session.scalars(query)).all()


async def insert_entries(session: Session, entries: Sequence[EntryRow]) -> None:
    """Write what happened; the incidents must be there."""
    await session.execute(insert(TimelineEntry), [msgspec.structs.asdict(entry) for entry in entries])
