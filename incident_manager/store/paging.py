"""Cursors: where a list goes on, signed, and worth nothing for another list, tenant or filter."""

import base64
import binascii
import hashlib
import hmac
from typing import Final
from uuid import UUID

import msgspec

from incident_manager.errors import ValidationFailed
from incident_manager.vault import Vault

_SIGNATURE_BYTES: Final = 16


class Position(msgspec.Struct, frozen=True, array_like=True):
    """The last row given: the value it was sorted by, as text, and its id."""

    value: str
    id: str


def seal(vault: Vault, tenant_id: UUID, listing: str, position: Position) -> str:
    """Return the cursor for what follows `position` in `listing` (the list's name and its filters)."""
    payload = msgspec.json.encode(position)
    signature = vault.sign(_signed(tenant_id, listing, payload))
    return base64.urlsafe_b64encode(signature + payload).decode().rstrip("=")


def unseal(vault: Vault, tenant_id: UUID, listing: str, cursor: str) -> Position:
    """Return the position that a cursor stands for.

    Raises ValidationFailed where it is not one of ours, or was given for another list, tenant or filter.
    """
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if hmac.compare_digest(signature, vault.sign(_signed(tenant_id, listing, payload))):
            return msgspec.json.decode(payload, type=Position)
    except (binascii.Error, ValueError) as error:
        raise ValidationFailed.of("cursor", "is not a cursor of this list") from error
    raise ValidationFailed.of("cursor", "is not a cursor of this list, or its filters were changed")


def _signed(tenant_id: UUID, listing: str, payload: bytes) -> bytes:
    return tenant_id.bytes + hashlib.sha256(listing.encode()).digest() + payload
