"""Metrics: what Prometheus reads, and what counts every request, whatever becomes of it."""

from time import perf_counter
from typing import Final

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from incident_manager import log
from incident_manager.api.parts import Parts
from incident_manager.api.problems import problems, request_id
from incident_manager.rules.access import Policy
from incident_manager.telemetry import CONTENT_TYPE, Telemetry

_CALLER_LEFT: Final = 499  # nginx's: there was nobody to answer any more


class MetricsController(Controller):
    """The numbers of the process that answers."""

    path = "/metrics"
    tags = ("operations",)

    @get(policy=Policy.METRICS, media_type=CONTENT_TYPE, responses=problems())
    async def metrics(self, parts: NamedDependency[Parts]) -> Response[bytes]:
        """Show all metrics in Prometheus's text format. Any key may read them; anybody where `metrics.public` says so."""
        return Response(parts.telemetry.exposition(), media_type=CONTENT_TYPE.removesuffix("; charset=utf-8"))


def measured(application: ASGIApp, telemetry: Telemetry) -> ASGIApp:
    """Return the application such that every request is counted and timed, and all that it logs bears its id."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        began, status = perf_counter(), _CALLER_LEFT

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            with log.bound(request_id=request_id(scope)):
                await application(scope, receive, note)
        finally:
            route = str(scope.get("path_template", ""))
            telemetry.request(str(scope.get("method", "")), route, status, perf_counter() - began)

    return answer
