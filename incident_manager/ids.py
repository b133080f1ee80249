"""Identifiers: UUIDv7 (RFC 9562, 5.7), so that ids sort by the time they were made and inserts stay at an index's end."""

from uuid import UUID

import msgspec
import uuid_utils


def new_id() -> UUID:
    """Return a fresh UUIDv7 as the standard library's type, which drivers and msgspec know."""
    return UUID(bytes=uuid_utils.uuid7().bytes)


def read_id(text: str) -> UUID | None:
    """Return the id that a text is, in the form of RFC 9562, 4, with or without dashes; None for anything else.

    The standard library reads more: braces, dashes and underscores anywhere. A name could then be taken for an id.
    """
    try:
        return msgspec.convert(text, UUID)
    except msgspec.ValidationError:
        return None
