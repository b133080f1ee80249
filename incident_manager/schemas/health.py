"""Health on the wire."""

from enum import StrEnum

from msgspec import Struct


class HealthStatus(StrEnum):
    """`degraded` serves, but something needs a person."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


class Check(Struct, kw_only=True, frozen=True):
    """One thing that was looked at."""

    status: HealthStatus
    detail: str = ""


class HealthOut(Struct, kw_only=True, frozen=True):
    """How the service is; the worst of its checks."""

    status: HealthStatus
    version: str
    uptime_seconds: float
    checks: dict[str, Check]
