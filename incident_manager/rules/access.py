"""Who may do what: roles of keys, policies of routes, and the actor that history names."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec


class Role(StrEnum):
    """A key has exactly one."""

    ADMIN = "admin"
    RESPONDER = "responder"
    VIEWER = "viewer"
    INGEST = "ingest"


class Policy(StrEnum):
    """A route declares exactly one."""

    PUBLIC = "public"
    OWN_KEY = "own_key"  # the address carries its own key and checks it itself
    METRICS = "metrics"  # any key; nobody's where `metrics.public` says so
    INGEST = "ingest"
    READ = "read"
    ACT = "act"
    ADMINISTER = "administer"


GRANTS: Final[Mapping[Role, frozenset[Policy]]] = {
    Role.ADMIN: frozenset({Policy.METRICS, Policy.INGEST, Policy.READ, Policy.ACT, Policy.ADMINISTER}),
    Role.RESPONDER: frozenset({Policy.METRICS, Policy.INGEST, Policy.READ, Policy.ACT}),
    Role.VIEWER: frozenset({Policy.METRICS, Policy.READ}),
    Role.INGEST: frozenset({Policy.METRICS, Policy.INGEST}),
}


class ActorKind(StrEnum):
    """What stands behind a change."""

    KEY = "key"
    INTEGRATION = "integration"
    COMMAND_LINE = "command_line"
    SYSTEM = "system"


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who does something, in which tenant, in which request; `name` is what the timeline shows."""

    tenant_id: UUID
    kind: ActorKind
    name: str
    id: UUID | None = None
    request_id: str | None = None


def may(role: Role, policy: Policy) -> bool:
    """Say whether a key of `role` may use a route of `policy`."""
    return policy in GRANTS[role]
