"""How an incident is acted on: once per Idempotency-Key, in one transaction, and the answer is the incident."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any

from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.params import PathParameter

from incident_manager.api.dependencies import IdempotencyHeader
from incident_manager.api.parts import Parts
from incident_manager.flows import versions
from incident_manager.flows.idempotency import claim_of, once
from incident_manager.flows.units import Unit, Units
from incident_manager.schemas.incidents import IncidentOut
from incident_manager.store.numbers import NumberPromise

Reference = Annotated[str, PathParameter(max_length=64, description="the incident's id or number")]
Shown = Response[IncidentOut]


class Acting:
    """Runs the action that a request asks for."""

    def __init__(self, request: Request[Any, Any, Any], parts: Parts, units: Units, key: str | None) -> None:
        self._request, self._parts, self._units, self._key = request, parts, units, key

    async def __call__(self, work: Callable[[Unit], Awaitable[IncidentOut]]) -> Shown:
        """Run `work`, which is given the transaction's unit."""
        request, ttl = self._request, self._parts.intake.idempotency_ttl
        name = f"{request.method} {request.scope['path']}"
        claim = claim_of(name, self._key, await request.body()) if self._key else None
        return shown(await self._units.write(once, claim, ttl, IncidentOut, work))

    def number(self) -> AbstractAsyncContextManager[NumberPromise]:
        """Promise a number for an incident that the action opens."""
        return self._parts.numbers.promise(self._units.actor.tenant_id, 1)


def provide_acting(
    request: Request[Any, Any, Any],
    parts: NamedDependency[Parts],
    units: NamedDependency[Units],
    idempotency_key: IdempotencyHeader = None,
) -> Acting:
    """Return what runs the request's action."""
    return Acting(request, parts, units, idempotency_key)


def shown(incident: IncidentOut) -> Shown:
    """Answer with an incident and its version."""
    return Response(incident, headers={"ETag": versions.etag(incident.version)}, status_code=200)
