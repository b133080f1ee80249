"""Integrations and monitors on the wire."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from incident_manager.rules.dedup import DedupMode
from incident_manager.rules.severity import Severity
from incident_manager.schemas.base import LabelKey, Labels, ResourceName

SeverityMap = Annotated[dict[LabelKey, Severity], Meta(max_length=64)]
WindowSeconds = Annotated[int, Meta(ge=1, le=604_800)]
# 8 characters or more; "***", which is what is read back, keeps the present one
SigningSecret = Annotated[str, Meta(max_length=512, pattern=r"^(\*\*\*|[^\x00]{8,})(?![\s\S])")]
MonitorName = Annotated[str, Meta(min_length=1, max_length=64)]


class IntegrationIn(Struct, kw_only=True, forbid_unknown_fields=True):
    """A way in for one monitor. `dedup_mode` and `window_seconds` override the settings for its alerts."""

    name: ResourceName
    monitor: MonitorName
    severity_map: SeverityMap = field(default_factory=dict)
    dedup_mode: DedupMode | None = None
    window_seconds: WindowSeconds | None = None
    labels: Labels = field(default_factory=dict)
    signing_secret: SigningSecret | None = None


class IntegrationPatch(Struct, kw_only=True, forbid_unknown_fields=True):
    """What may be changed; what is left out stays. The monitor and the key are what the address is made of: they stay."""

    name: ResourceName | UnsetType = UNSET
    severity_map: SeverityMap | UnsetType = UNSET
    dedup_mode: DedupMode | None | UnsetType = UNSET
    window_seconds: WindowSeconds | None | UnsetType = UNSET
    labels: Labels | UnsetType = UNSET
    signing_secret: SigningSecret | None | UnsetType = UNSET


class IntegrationOut(Struct, kw_only=True, frozen=True):
    """An integration, but for its key; a signing secret shows as `***`. `warnings` tell of what can have no effect."""

    id: UUID
    name: str
    monitor: str
    severity_map: dict[str, Severity]
    dedup_mode: DedupMode | None
    window_seconds: int | None
    labels: dict[str, str]
    signing_secret: str | None
    signed: bool
    created_at: datetime
    updated_at: datetime
    version: int
    last_seen_at: datetime | None
    alerts_received: int
    warnings: list[str]


class IntegrationCreated(IntegrationOut, kw_only=True, frozen=True):
    """A new integration; its key and address are shown this once."""

    key: str
    url: str


class IntegrationPage(Struct, kw_only=True, frozen=True):
    """Integrations by name."""

    integrations: list[IntegrationOut]
    total: int
    next_cursor: str | None


class MonitorOut(Struct, kw_only=True, frozen=True):
    """A monitor that is supported, and what to paste on its side (`{url}` stands for the integration's address)."""

    name: str
    title: str
    content_types: list[str]
    setup: str


class MonitorList(Struct, kw_only=True, frozen=True):
    """All supported monitors, by name."""

    monitors: list[MonitorOut]
