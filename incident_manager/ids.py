"""Identifiers: UUIDv7 (RFC 9562, 5.7), so that ids sort by the time they were made and inserts stay at an index's end."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
import uuid_utils

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def new_id() -> UUID:
    """Return a fresh UUIDv7 as the standard library's type, which drivers and msgspec know."""
    return UUID(bytes=uuid_utils.uuid7().bytes)


def first_id(at: datetime) -> UUID:
    """Return the lowest id of an instant's millisecond: what is made before it comes before it, what is made then, after."""
    milliseconds = (at - _EPOCH) // timedelta(milliseconds=1)
    return UUID(int=(max(0, milliseconds) << 80) | (0x7 << 76) | (0b10 << 62))


def read_id(text: str) -> UUID | None:
    """Return the id that a text is, in the form of RFC 9562, 4, with or without dashes; None for anything else.

    The standard library reads more: braces, dashes and underscores anywhere. A name could then be taken for an id.
    """
    try:
        return msgspec.convert(text, UUID)
    except msgspec.ValidationError:
        return None
