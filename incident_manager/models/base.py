"""What all tables share: names of constraints, the id, and the tenant (from db.py, whose sessions filter by it)."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from incident_manager.db import TenantOwned
from incident_manager.models.types import UtcDateTime, json_column


class Base(DeclarativeBase):
    """Base of all tables; every constraint gets a name, so that a migration can drop it on both databases."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime(),
        UUID: sa.Uuid(),
        str: sa.Text(),
        dict[str, str]: json_column(),
        dict[str, Any]: json_column(),
        list[str]: json_column(),
        list[Any]: json_column(),
    }


class Record(TenantOwned):
    """A row with an id of its own, in a tenant. The tenant leads the key: a reference cannot cross tenants."""

    id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-1)


def same_tenant(column: str, target: str, *, deferred: bool = False) -> sa.ForeignKeyConstraint:
    """Return a reference that holds only within the tenant; `deferred` ones are checked at commit."""
    return sa.ForeignKeyConstraint(
        ["tenant_id", column],
        [f"{target}.tenant_id", f"{target}.id"],
        deferrable=deferred or None,
        initially="DEFERRED" if deferred else None,
    )
