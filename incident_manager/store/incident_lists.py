"""Lists of incidents: filters, sorts, keyset and numbered pages, and a count that stops at 10,000."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import select

from incident_manager.db import Session
from incident_manager.models.incidents import IS_ACTIVE, Incident
from incident_manager.schemas.incidents import IncidentFilter, IncidentSort
from incident_manager.store.incident_search import has_words
from incident_manager.store.json_filters import has_item, has_pair
from incident_manager.store.paging import Position

COUNT_LIMIT: Final = 10_000

_READ_VALUE: Final[dict[str, Callable[[str], Any]]] = {
    "created_at": datetime.fromisoformat,
    "updated_at": datetime.fromisoformat,
    "last_seen_at": datetime.fromisoformat,
    "severity": str,
    "number": int,
}


async def count(session: Session, wanted: IncidentFilter) -> int:
    """Return how many match, COUNT_LIMIT + 1 where there are more than COUNT_LIMIT."""
    some = select(Incident.id).where(*_conditions(session, wanted)).limit(COUNT_LIMIT + 1).subquery()
    return await session.scalar(select(sa.func.count()).select_from(some)) or 0


async def list_page(
    session: Session,
    wanted: IncidentFilter,
    *,
    sort: IncidentSort,
    limit: int,
    offset: int = 0,
    after: Position | None = None,
) -> Sequence[Incident]:
    """Return up to `limit` incidents from the one after `after`, or from the `offset`-th (costs its rows: for small ones)."""
    name, descending = sort.lstrip("-"), sort.startswith("-")
    column = getattr(Incident, name)
    query = select(Incident).where(*_conditions(session, wanted)).limit(limit)
    query = query.order_by(*((column.desc(), Incident.id.desc()) if descending else (column, Incident.id)))
    if after is not None:
        here = sa.tuple_(column, Incident.id)
        last = sa.tuple_(sa.literal(_READ_VALUE[name](after.value), column.type), sa.literal(UUID(after.id), sa.Uuid()))
        query = query.where(here < last if descending else here > last)
    elif offset:
        query = query.offset(offset)
    return (await session.scalars(query)).all()


def position(incident: Incident, sort: IncidentSort) -> Position:
    """Return where a list sorted so goes on after this incident."""
    value = getattr(incident, sort.lstrip("-"))
    return Position(value.isoformat() if isinstance(value, datetime) else str(value), str(incident.id))


def _conditions(session: Session, wanted: IncidentFilter) -> list[sa.ColumnElement[bool] | sa.TextClause]:
    found: list[sa.ColumnElement[bool] | sa.TextClause] = []
    if wanted.active_only:
        found.append(IS_ACTIVE)
    for column, values in (
        (Incident.state, wanted.states),
        (Incident.severity, wanted.severities),
        (Incident.source, wanted.sources),
        (Incident.incident_type, wanted.types),
    ):
        if values:
            found.append(column.in_(values))
    if wanted.since is not None:
        found.append(Incident.created_at >= wanted.since)
    if wanted.until is not None:
        found.append(Incident.created_at < wanted.until)
    return found + _json_conditions(session, wanted) + has_words(session, wanted.words)


def _json_conditions(session: Session, wanted: IncidentFilter) -> list[sa.ColumnElement[bool] | sa.TextClause]:
    found: list[sa.ColumnElement[bool] | sa.TextClause] = []
    if wanted.assignees:
        found.append(sa.or_(*(has_item(session, Incident.assignees, name) for name in wanted.assignees)))
    if wanted.services:
        affected = (has_item(session, Incident.affected_resources, name) for name in wanted.services)
        found.append(sa.or_(Incident.service.in_(wanted.services), *affected))
    by_key: dict[str, list[sa.ColumnElement[bool]]] = {}
    for key, value in wanted.labels:
        by_key.setdefault(key, []).append(has_pair(session, Incident.labels, key, value))
    return found + [sa.or_(*pairs) for pairs in by_key.values()]
