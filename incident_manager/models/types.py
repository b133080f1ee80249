"""Column types that both databases read alike."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An instant: aware on both ends, UTC with microseconds in between; a naive value is refused, never guessed."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Give the driver UTC; SQLite keeps text of fixed width, which sorts."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone reached the database")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Give back an aware instant."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


def json_column() -> sa.types.TypeEngine[Any]:
    """Return JSON, binary and searchable where the database can."""
    return sa.JSON().with_variant(JSONB(), "postgresql")


def closed_set(kind: type[StrEnum], name: str) -> sa.Enum:
    """Return a text column that holds the values of `kind` only, by a check constraint called `name`.

    Text, not PostgreSQL's own enum: a value more is then a change of one constraint, inside a transaction.
    """
    return sa.Enum(
        kind,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=32,
        values_callable=lambda values: [str(value) for value in values],
    )
