"""Questions about JSON columns, in the words of either database."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from incident_manager.db import Session


def has_pair(session: Session, column: Any, key: str, value: str) -> sa.ColumnElement[bool]:
    """Ask whether a JSON object column holds `key` with exactly this text `value`."""
    if not session.on_sqlite:
        return sa.type_coerce(column, JSONB).contains({key: value})
    each = sa.func.json_each(column).table_valued("key", "value")
    return sa.select(sa.literal(1)).select_from(each).where(each.c.key == key, each.c.value == value).exists()


def has_item(session: Session, column: Any, item: str) -> sa.ColumnElement[bool]:
    """Ask whether a JSON array column holds exactly this text."""
    if not session.on_sqlite:
        return sa.type_coerce(column, JSONB).contains([item])
    each = sa.func.json_each(column).table_valued("value")
    return sa.select(sa.literal(1)).select_from(each).where(each.c.value == item).exists()
