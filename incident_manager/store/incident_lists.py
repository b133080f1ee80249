"""Lists of incidents: filters, sorts, keyset and numbered pages, and a count that stops at 10,000."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import select

from incident_manager.db import Session
from incident_manager.models.incidents import IS_ACTIVE, Incident
from incident_manager.schemas.incidents import IncidentFilter, IncidentSort
from incident_manager.store import incident_search
from incident_manager.store.paging import Position

COUNT_LIMIT: Final = 10_000

_READ_VALUE: Final[dict[str, Callable[[str], Any]]] = {
    "created_at": datetime.fromisoformat,
    "updated_at": datetime.fromisoformat,
    "last_seen_at": datetime.fromisoformat,
    "severity": str,
    "number": int,
}


class Place(NamedTuple):
    """Where a page begins, and how many rows it holds: after a row, or at the `offset`-th (costs its rows: for small ones)."""

    limit: int
    offset: int = 0
    after: Position | None = None


class Found(NamedTuple):
    """A page, and how many match on all pages together: COUNT_LIMIT + 1 where there are more than COUNT_LIMIT."""

    incidents: Sequence[Incident]
    total: int


async def find_page(session: Session, wanted: IncidentFilter, *, sort: IncidentSort, place: Place) -> Found:
    """Return a page of the incidents that match.

    1. What stands in an inverted index is gathered, as far as the count goes: where that is all, the page is cut from it.
    2. Of more than that a page is soon met along the order of the list, and no database would know that by itself.
    """
    column = getattr(Incident, sort.lstrip("-"))
    if incident_search.searches(wanted):
        total, ids = await _gather(session, wanted, column, sort, place)
        if total <= COUNT_LIMIT:
            return Found(await _read(session, ids, sort), total)
    else:
        some = select(Incident.id).where(*_conditions(wanted)).limit(COUNT_LIMIT + 1).subquery()
        total = await session.scalar(select(sa.func.count()).select_from(some)) or 0
    met = select(Incident.id).where(*_conditions(wanted), *incident_search.met(session, wanted))
    return Found(await _read(session, _cut(met, column, Incident.id, sort, place), sort), total)


async def _gather(
    session: Session, wanted: IncidentFilter, column: Any, sort: IncidentSort, place: Place
) -> tuple[int, list[UUID]]:
    """Return how many of what is searched for are gathered, and the ids of a page of them."""
    conditions = (*_conditions(wanted), *incident_search.gathered(session, wanted))
    gathered = select(Incident.id, column).where(*conditions).limit(COUNT_LIMIT + 1).cte("found")
    gathered = gathered.prefix_with("MATERIALIZED")
    counted = select(sa.func.count().label("total")).select_from(gathered).subquery()
    page = _cut(select(gathered.c.id), gathered.c[column.key], gathered.c.id, sort, place).subquery()
    rows = (await session.execute(select(counted.c.total, page.c.id).outerjoin_from(counted, page, sa.true()))).all()
    return rows[0].total, [row.id for row in rows if row.id is not None]


async def _read(session: Session, ids: Any, sort: IncidentSort) -> Sequence[Incident]:
    """Return whole incidents: they are wide, and a page's few are read once it is known which.

    They are put in order here: asked to, SQLite may take that for a reason to walk along all of them.
    """
    name = sort.lstrip("-")
    found = (await session.scalars(select(Incident).where(Incident.id.in_(ids)))).all()
    return sorted(found, key=lambda one: (getattr(one, name), one.id), reverse=sort.startswith("-"))


def _cut(query: sa.Select[Any], column: Any, id_: Any, sort: IncidentSort, place: Place) -> sa.Select[Any]:
    """Return the part of a query's rows that is on a page."""
    query = query.order_by(*_order(column, id_, sort)).limit(place.limit)
    if place.after is None:
        return query.offset(place.offset) if place.offset else query
    value = _READ_VALUE[sort.lstrip("-")](place.after.value)
    last = sa.tuple_(sa.literal(value, column.type), sa.literal(UUID(place.after.id), sa.Uuid()))
    here = sa.tuple_(column, id_)
    return query.where(here < last if sort.startswith("-") else here > last)


def _order(column: Any, id_: Any, sort: IncidentSort) -> Sequence[Any]:
    return (column.desc(), id_.desc()) if sort.startswith("-") else (column, id_)


def position(incident: Incident, sort: IncidentSort) -> Position:
    """Return where a list sorted so goes on after this incident."""
    value = getattr(incident, sort.lstrip("-"))
    return Position(value.isoformat() if isinstance(value, datetime) else str(value), str(incident.id))


def _conditions(wanted: IncidentFilter) -> list[sa.ColumnElement[bool] | sa.TextClause]:
    """Return the conditions on columns; what stands in an inverted index is in store/incident_search.py."""
    found: list[sa.ColumnElement[bool] | sa.TextClause] = []
    if active := incident_search.wants_active(wanted):
        found.append(IS_ACTIVE)  # said of active states, too: the index of active ones then serves them
    for column, values in (
        (Incident.state, wanted.states),
        (Incident.severity, wanted.severities),
        (Incident.source, wanted.sources),
        (Incident.incident_type, wanted.types),
    ):
        if values:  # IS TRUE keeps SQLite from taking that column's index where the one of active ones is far smaller
            found.append(column.in_(values).is_(True) if active else column.in_(values))
    if wanted.since is not None:
        found.append(Incident.created_at >= wanted.since)
    if wanted.until is not None:
        found.append(Incident.created_at < wanted.until)
    return found
