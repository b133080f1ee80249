"""Health: for people, load balancers and supervisors; public, and says nothing about data."""

from importlib.metadata import version
from typing import Final

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec

from incident_manager.api.parts import Parts
from incident_manager.api.problems import problems
from incident_manager.errors import Unavailable
from incident_manager.rules.access import Policy
from incident_manager.schemas.health import Check, HealthOut, HealthStatus
from incident_manager.store import durability

VERSION: Final = version("incident-manager")
_UP: Final = {status: spec for status, spec in problems().items() if status != Unavailable.status}
_DOWN: Final = _UP | {503: ResponseSpec(HealthOut, generate_examples=False, description="it cannot serve")}


class HealthController(Controller):
    """Three questions: how is it, does the process live, can it serve."""

    path = "/health"
    tags = ("operations",)

    @get(policy=Policy.PUBLIC, responses=_DOWN)
    async def health(self, parts: NamedDependency[Parts]) -> Response[HealthOut]:
        """Look at everything."""
        return await _look(parts)

    @get("/live", policy=Policy.PUBLIC, responses=_UP)
    async def live(self, parts: NamedDependency[Parts]) -> HealthOut:
        """Say that the process answers; looks at nothing else, so that a database's trouble restarts no process."""
        return _out(parts, {})

    @get("/ready", policy=Policy.PUBLIC, responses=_DOWN)
    async def ready(self, parts: NamedDependency[Parts]) -> Response[HealthOut]:
        """Say whether requests can be served now."""
        return await _look(parts)


async def _look(parts: Parts) -> Response[HealthOut]:
    out = _out(parts, {"database": await _database(parts)})
    if out.status is HealthStatus.UNHEALTHY:
        return Response(out, status_code=503, headers={"Retry-After": "1"})
    return Response(out, status_code=200)


async def _database(parts: Parts) -> Check:
    try:
        await parts.database.read(durability.answers, tenant_id=None)
    except Unavailable as error:
        return Check(status=HealthStatus.UNHEALTHY, detail=error.detail)
    if parts.weaknesses:
        return Check(status=HealthStatus.DEGRADED, detail="; ".join(parts.weaknesses))
    return Check(status=HealthStatus.HEALTHY)


def _out(parts: Parts, checks: dict[str, Check]) -> HealthOut:
    order = list(HealthStatus)
    worst = max((check.status for check in checks.values()), key=order.index, default=HealthStatus.HEALTHY)
    uptime = (parts.clock.now() - parts.started_at).total_seconds()
    return HealthOut(status=worst, version=VERSION, uptime_seconds=uptime, checks=checks)
