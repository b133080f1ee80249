"""Tenants and keys. Keys are found by id before the tenant is known, so that one look-up sees all tenants."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, update

from incident_manager.db import SEES_ALL_TENANTS, Session
from incident_manager.models.access import ApiKey, Tenant


async def list_tenants(session: Session) -> Sequence[Tenant]:
    """Return all tenants by name."""
    return (await session.scalars(select(Tenant).order_by(Tenant.name))).all()


async def find_tenant(session: Session, name: str) -> Tenant | None:
    """Return the tenant of that name."""
    return (await session.scalars(select(Tenant).where(Tenant.name == name))).one_or_none()


async def find_key(session: Session, key_id: UUID) -> ApiKey | None:
    """Return a key of whatever tenant, valid or not."""
    query = select(ApiKey).where(ApiKey.id == key_id)
    return (await session.scalars(query, execution_options=SEES_ALL_TENANTS)).one_or_none()


async def find_key_by_name(session: Session, name: str, *, for_update: bool = False) -> ApiKey | None:
    """Return the key of that name that is not revoked."""
    query = select(ApiKey).where(ApiKey.name == name, ApiKey.revoked_at.is_(None))
    return (await session.scalars(query.with_for_update() if for_update else query)).one_or_none()


async def find_own_key(session: Session, key_id: UUID, *, for_update: bool = False) -> ApiKey | None:
    """Return a key of this tenant, revoked or not."""
    query = select(ApiKey).where(ApiKey.id == key_id)
    return (await session.scalars(query.with_for_update() if for_update else query)).one_or_none()


async def list_keys(session: Session, *, after: UUID | None, limit: int) -> Sequence[ApiKey]:
    """Return up to `limit` of this tenant's keys, revoked ones too, in the order they were made, from the one after `after`."""
    query = select(ApiKey).order_by(ApiKey.id).limit(limit)
    return (await session.scalars(query if after is None else query.where(ApiKey.id > after))).all()


async def count_keys(session: Session) -> int:
    """Return how many keys this tenant has, revoked ones too."""
    return await session.scalar(select(func.count()).select_from(select(ApiKey.id).subquery())) or 0


async def record_use(session: Session, key_id: UUID, at: datetime) -> None:
    """Note when a key was last used."""
    await session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=at))
