"""Integrations. They are found by their key's digest before the tenant is known, so that one look-up sees all tenants."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import Select, func, select

from incident_manager.db import SEES_ALL_TENANTS, Session
from incident_manager.models.integrations import Integration

_LIVING = Integration.deleted_at.is_(None)


async def find_by_digest(session: Session, digest: str) -> Integration | None:
    """Return the integration, of whatever tenant, whose key has this digest."""
    query = select(Integration).where(Integration.key_digest == digest, _LIVING)
    return (await session.scalars(query, execution_options=SEES_ALL_TENANTS)).one_or_none()


async def find_by_name(session: Session, name: str, *, for_update: bool = False) -> Integration | None:
    """Return the integration of that name."""
    query = select(Integration).where(Integration.name == name, _LIVING)
    return (await session.scalars(query.with_for_update() if for_update else query)).one_or_none()


async def find(session: Session, integration_id: UUID, *, for_update: bool = False) -> Integration | None:
    """Return the integration of that id, unless deleted."""
    query = select(Integration).where(Integration.id == integration_id, _LIVING)
    return (await session.scalars(query.with_for_update() if for_update else query)).one_or_none()


async def list_after(session: Session, name: str, limit: int, monitors: Collection[str] = ()) -> Sequence[Integration]:
    """Return up to `limit` integrations by name, from the one after `name`; of these monitors where any are named."""
    query = _of(select(Integration), monitors).where(Integration.name > name).order_by(Integration.name).limit(limit)
    return (await session.scalars(query)).all()


async def count(session: Session, monitors: Collection[str] = ()) -> int:
    """Return how many there are, of these monitors where any are named."""
    return await session.scalar(select(func.count()).select_from(_of(select(Integration), monitors).subquery())) or 0


def _of(query: Select[Integration], monitors: Collection[str]) -> Select[Integration]:
    living = query.where(_LIVING)
    return living.where(Integration.monitor.in_(monitors)) if monitors else living
