"""The audit on the wire."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from incident_manager.rules.access import ActorKind


class AuditOut(Struct, kw_only=True, frozen=True):
    """One change; `before` and `after` hold only what differs."""

    id: UUID
    at: datetime
    actor_kind: ActorKind
    actor: str
    actor_id: UUID | None
    request_id: str | None
    action: str
    resource: str
    resource_id: UUID | None
    before: dict[str, Any]
    after: dict[str, Any]


class AuditPage(Struct, kw_only=True, frozen=True):
    """Changes, newest first; `total` is exact up to 10,000 and stays there."""

    audit: list[AuditOut]
    total: int
    next_cursor: str | None
