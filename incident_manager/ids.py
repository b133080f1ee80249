"""Identifiers: UUIDv7 (RFC 9562, 5.7), so that ids sort by the time they were made and inserts stay at an index's end."""

from uuid import UUID

import uuid_utils


def new_id() -> UUID:
    """Return a fresh UUIDv7 as the standard library's type, which drivers and msgspec know."""
    return UUID(bytes=uuid_utils.uuid7().bytes)
