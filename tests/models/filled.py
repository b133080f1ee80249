"""A database with something in every table: one row with every column set, and one with as little as the table takes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from incident_manager.models import Base, search
from incident_manager.models.types import UtcDateTime

Row = dict[str, Any]
START = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def rows(tenant: int = 1) -> Iterator[tuple[sa.Table, list[Row]]]:
    """Yield the rows of each table, parents first; the same for the same tenant, none shared between tenants."""
    written: dict[str, Row] = {}
    for place, table in enumerate(Base.metadata.sorted_tables):
        full = _row(table, written, number=tenant * 1_000 + place * 10, full=True)
        written[table.name] = full
        sparse = _row(table, written, number=tenant * 1_000 + place * 10 + 1, full=False)
        if "tenant_id" in table.c:
            sparse["tenant_id"] = full["tenant_id"]
        yield table, [full, sparse]


def fill(connection: sa.Connection, tenant: int = 1) -> None:
    """Write one tenant's rows."""
    for table, made in rows(tenant):
        connection.execute(table.insert(), made)


def snapshot(connection: sa.Connection) -> dict[str, list[Row]]:
    """Return every row of every table, sorted, as the driver gives it; a full-text index follows from its table."""
    return {
        name: sorted((dict(row) for row in connection.execute(sa.text(f"SELECT * FROM {name}")).mappings()), key=str)
        for name in sorted(sa.inspect(connection).get_table_names())
        if not name.startswith(search.PREFIX)
    }


def _row(table: sa.Table, written: dict[str, Row], *, number: int, full: bool) -> Row:
    row: Row = {}
    for place, column in enumerate(table.c):
        needed = full or not column.nullable
        row[column.name] = _value(column, number * 100 + place) if needed else None
    for key in table.foreign_key_constraints:
        parent = row if key.referred_table is table else written[key.referred_table.name]
        for element in key.elements:
            if row[element.parent.name] is not None:
                row[element.parent.name] = parent[element.column.name]
    return row


def _value(column: sa.Column[Any], number: int) -> Any:
    if isinstance(column.type, sa.Enum):
        return column.type.python_type(column.type.enums[number % len(column.type.enums)])
    if isinstance(column.type, sa.JSON):
        return {"key é": [number, "text", None]}
    if isinstance(column.type, UtcDateTime):
        return START + timedelta(seconds=number)
    made = {UUID: UUID(int=number), str: f"{column.name} ü {number}", bool: bool(number % 2), int: number}
    return made[column.type.python_type]
