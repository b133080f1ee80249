"""An incident's alerts, as a chain: the incident names its newest, each alert the one before it.

What reads or moves them walks along, from row to row by primary key. The chain is in the order in which they attached, which is
that of their ids but for moments where several waited at once. It ends where a row is pruned: then so are those before it.
"""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import CTE, ColumnElement, Select, Subquery, case, func, select, update

from incident_manager.db import Session
from incident_manager.models.alerts import Alert
from incident_manager.models.incidents import Incident


async def list_page(session: Session, incident_id: UUID, *, before: UUID | None, limit: int) -> Sequence[Alert]:
    """Return up to `limit` alerts, newest first, from the one before `before`; the rows of the page are read and no others.

    Where `before` has gone to another incident since, or is pruned, where to go on is looked for from the newest one.
    """
    if before is None:
        return await _follow(session, _newest(incident_id), limit)
    next_one = select(Alert.previous_id).where(Alert.id == before, Alert.incident_id == incident_id)
    if found := await _follow(session, next_one, limit):
        return found
    walked = _walk("walked", incident_id)
    older = select(walked.c.id).where(walked.c.id < before).order_by(walked.c.id.desc()).limit(1)
    return await _follow(session, older, limit)


async def list_fingerprints(
    session: Session, incident_id: UUID, among: Collection[str], *, but: Collection[UUID]
) -> Sequence[str]:
    """Return which of these fingerprints an incident has alerts of, but for some alerts that do not count."""
    walked = _walk("walked", incident_id)
    query = select(walked.c.fingerprint).where(walked.c.fingerprint.in_(among), walked.c.id.not_in(but)).distinct()
    return (await session.scalars(query.limit(len(among)))).all()  # which ends the walk where all are found


async def move(session: Session, incident: Incident, into: Incident, only: Collection[UUID] | None = None) -> int:
    """Move an incident's alerts, or only some of them, to another one, and return how many; what each answered is kept.

    The other one is new where only some move. Both chains are whole afterwards, sorted by id as far back as they changed, which
    is to the oldest alert that moves: what little goes into or out of a large incident, and is recent, is moved at once.
    """
    linked = _merged(incident.id, into.id) if only is None else _parted(incident.id, into.id, only)
    newest = select(linked.c.owner, linked.c.id, linked.c.moved, linked.c.rest).where(linked.c.following.is_(None))
    heads = {row.owner: row for row in await session.execute(newest)}
    if into.id not in heads:
        return 0
    changed = (Alert.incident_id != linked.c.owner) | Alert.previous_id.is_distinct_from(linked.c.previous_id)
    moved_from = func.nullif(Alert.incident_id, linked.c.owner)
    statement = update(Alert).where(Alert.id == linked.c.id, changed)
    statement = statement.values(
        incident_id=linked.c.owner,
        previous_id=linked.c.previous_id,
        answered_incident_id=func.coalesce(Alert.answered_incident_id, moved_from),
    )
    await session.execute(statement, execution_options={"synchronize_session": False})
    into.last_alert_id = heads[into.id].id
    incident.last_alert_id = heads[incident.id].id if incident.id in heads else heads[into.id].rest
    moved: int = heads[into.id].moved
    return moved


async def _follow(session: Session, start: Select[UUID | None], limit: int) -> Sequence[Alert]:
    """Return an alert and those before it, up to `limit`."""
    chain = select(start.scalar_subquery().label("id"), sa.literal(1).label("place")).cte("chain", recursive=True)
    step = select(Alert.previous_id, chain.c.place + 1).join_from(chain, Alert, Alert.id == chain.c.id)
    chain = chain.union_all(step.where(chain.c.place < limit))
    # an outer join, or SQLite might read all alerts and look each up in the chain
    query = select(chain.c.place, Alert).join_from(chain, Alert, Alert.id == chain.c.id, isouter=True)
    found = sorted(await session.execute(query), key=lambda row: row.place)
    return [alert for _, alert in found if alert is not None]


def _newest(incident_id: UUID) -> Select[UUID | None]:
    return select(Incident.last_alert_id).where(Incident.id == incident_id)


def _walk(name: str, incident_id: UUID) -> CTE:
    """Return what of a whole chain is asked for; nothing is joined to it, as in `_follow`.

    UNION, so that a ring, which a defect would be, is no walk without an end.
    """
    wanted = select(Alert.id, Alert.previous_id, Alert.fingerprint)
    chain = wanted.where(Alert.id == _newest(incident_id).scalar_subquery()).cte(name, recursive=True)
    return chain.union(wanted.join_from(chain, Alert, Alert.id == chain.c.previous_id))


def _merged(incident_id: UUID, into: UUID) -> CTE:
    """Link one chain, and the other as far as it is not older than that, to one."""
    gone = _walk("gone", incident_id)
    oldest = select(gone.c.id).order_by(gone.c.id).limit(1).scalar_subquery()
    newest = _newest(into).scalar_subquery()
    wanted = select(Alert.id, Alert.previous_id).where(Alert.id >= oldest)
    chain = wanted.where(Alert.id == newest).cte("chain", recursive=True)
    chain = chain.union(wanted.join_from(chain, Alert, Alert.id == chain.c.previous_id))
    owner = sa.literal(into, sa.Uuid()).label("owner")
    taken = select(gone.c.id, owner, sa.literal(1).label("goes"))
    owned = taken.union_all(select(chain.c.id, owner, sa.literal(0))).subquery("owned")
    return _linked(owned, below=_rest(chain, newest), rest=sa.null())


def _parted(incident_id: UUID, into: UUID, only: Collection[UUID]) -> CTE:
    """Link some alerts of a chain to one of their own, and what they leave behind, as far back as the oldest of them."""
    newest, goes = _newest(incident_id).scalar_subquery(), case((Alert.id.in_(only), 1), else_=0)
    wanted = select(Alert.id, Alert.previous_id)
    chain = wanted.add_columns((len(only) - goes).label("due")).where(Alert.id == newest).cte("chain", recursive=True)
    step = wanted.add_columns(chain.c.due - goes).join_from(chain, Alert, Alert.id == chain.c.previous_id)
    chain = chain.union(step.where(chain.c.due > 0))
    named = select(Alert.id).where(Alert.id.in_(only))  # where one before it is pruned, it stands in the chain no more
    ids = select(chain.c.id).union(named).subquery("ids")
    going = ids.c.id.in_(only)
    owner = case((going, sa.literal(into, sa.Uuid())), else_=sa.literal(incident_id, sa.Uuid()))
    owned = select(ids.c.id, owner.label("owner"), case((going, 1), else_=0).label("goes")).subquery("owned")
    rest = _rest(chain, newest)
    return _linked(owned, below=case((owned.c.goes == 0, rest)), rest=rest)


def _linked(owned: Subquery, *, below: ColumnElement[Any], rest: ColumnElement[Any]) -> CTE:
    """Link alerts by id: each to its owner's alert before it, and an owner's first one to `below`.

    `moved` is how many are new to the owner, `rest` what remains of a chain of which nothing else is left.
    """
    window: dict[str, Any] = {"partition_by": owned.c.owner, "order_by": owned.c.id}
    return select(
        owned.c.id,
        owned.c.owner,
        func.coalesce(func.lag(owned.c.id).over(**window), below).label("previous_id"),
        func.lead(owned.c.id).over(**window).label("following"),
        func.sum(owned.c.goes).over(partition_by=owned.c.owner).label("moved"),
        rest.label("rest"),
    ).cte("linked")


def _rest(chain: CTE, newest: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the newest alert that a walk did not take."""
    ends = select(newest.label("id")).union_all(select(chain.c.previous_id)).subquery("ends")
    return select(ends.c.id).where(ends.c.id.not_in(select(chain.c.id))).limit(1).scalar_subquery()
