"""Keys on the wire."""

from datetime import datetime
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from incident_manager.rules.access import Role
from incident_manager.schemas.base import Instant, ResourceName, in_utc


class KeyIn(Struct, kw_only=True, forbid_unknown_fields=True):
    """A key to make; without `expires_at` it is valid until it is revoked."""

    name: ResourceName
    role: Role
    expires_at: Instant | None = None

    def __post_init__(self) -> None:
        """Bring the instant to UTC."""
        in_utc(self, "expires_at")


class KeyPatch(Struct, kw_only=True, forbid_unknown_fields=True):
    """What may be changed of a valid key; what is left out stays, and so does the key itself."""

    name: ResourceName | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    expires_at: Instant | None | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Bring the instant to UTC."""
        in_utc(self, "expires_at")


class KeyOut(Struct, kw_only=True, frozen=True):
    """A key, but for the key itself."""

    id: UUID
    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    version: int


class KeyCreated(KeyOut, kw_only=True, frozen=True):
    """A new key, shown this once."""

    key: str


class KeyPage(Struct, kw_only=True, frozen=True):
    """The tenant's keys, in the order they were made."""

    keys: list[KeyOut]
    total: int
    next_cursor: str | None = None
