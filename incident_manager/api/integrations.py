"""Integrations, the monitors they are for, and the addresses that monitors post to."""

from typing import Annotated, Any, Final

from litestar import Controller, Request, Response, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, PathParameter, QueryParameter

from incident_manager.api.dependencies import Cursor, IdempotencyHeader, IfMatch, PageSize
from incident_manager.api.parts import Parts, parts_of
from incident_manager.api.problems import problems, request_id
from incident_manager.api.requests import require_media_type
from incident_manager.flows import deliveries, integrations, versions
from incident_manager.flows.units import Units
from incident_manager.monitors import MONITORS
from incident_manager.monitors.base import Delivery
from incident_manager.rules.access import Policy
from incident_manager.schemas.alerts import DeliveryAccepted
from incident_manager.schemas.integrations import (
    IntegrationCreated,
    IntegrationIn,
    IntegrationOut,
    IntegrationPage,
    IntegrationPatch,
    MonitorList,
    MonitorName,
    MonitorOut,
)

DELIVERY_LIMIT: Final = 1024 * 1024
Reference = Annotated[str, PathParameter(max_length=100, description="the integration's id or name")]
MonitorFilter = Annotated[
    list[MonitorName] | None, QueryParameter(max_items=50, description="only those of this monitor; repeatable")
]


class MonitorController(Controller):
    """What can post here."""

    path = "/v1/monitors"
    tags = ("integrations",)

    @get(policy=Policy.READ, responses=problems())
    async def list_page(self) -> MonitorList:
        """List the supported monitors, each with what to paste on its side."""
        return MonitorList(
            monitors=[
                MonitorOut(
                    name=name,
                    title=monitor.title,
                    content_types=[*monitor.content_types],
                    setup=monitor.setup("{url}"),
                )
                for name, monitor in MONITORS.items()
            ]
        )


class IntegrationController(Controller):
    """Ways in for monitors. `{reference}` is an id or a name."""

    path = "/v1/integrations"
    tags = ("integrations",)

    @post(policy=Policy.ADMINISTER, responses=problems(409, 413, 415))
    async def create(
        self, data: JSONBody[IntegrationIn], parts: NamedDependency[Parts], units: NamedDependency[Units]
    ) -> Response[IntegrationCreated]:
        """Make an integration. Its key and address are shown this once."""
        return _created(parts, *await units.write(integrations.create, data, parts.vault))

    @get(policy=Policy.READ, responses=problems())
    async def list_page(
        self,
        parts: NamedDependency[Parts],
        units: NamedDependency[Units],
        cursor: Cursor = None,
        page_size: PageSize = 100,
        monitor: MonitorFilter = None,
    ) -> IntegrationPage:
        """List integrations by name, with when each was last heard of and how many alerts it brought."""
        return await units.read(integrations.list_page, cursor, page_size, parts.vault, monitor or ())

    @get("/{reference:str}", policy=Policy.READ, responses=problems(404))
    async def show(self, reference: Reference, units: NamedDependency[Units]) -> Response[IntegrationOut]:
        """Show an integration, with its version as ETag."""
        return _shown(await units.read(integrations.get, reference))

    @put(
        "/{reference:str}",
        policy=Policy.ADMINISTER,
        responses={201: ResponseSpec(IntegrationCreated, generate_examples=False, description="created")}
        | problems(404, 409, 412, 413, 415),
    )
    async def replace(
        self,
        reference: Reference,
        data: JSONBody[IntegrationIn],
        parts: NamedDependency[Parts],
        units: NamedDependency[Units],
        if_match: IfMatch = None,
    ) -> Response[IntegrationOut] | Response[IntegrationCreated]:
        """Create or replace, so that a file of integrations can be applied again and again; a key that exists is kept."""
        found, key = await units.apply(integrations.put, reference, data, if_match, parts.vault)
        return _created(parts, found, key) if key else _shown(found)

    @patch("/{reference:str}", policy=Policy.ADMINISTER, responses=problems(404, 409, 412, 413, 415))
    async def change(
        self,
        reference: Reference,
        data: JSONBody[IntegrationPatch],
        parts: NamedDependency[Parts],
        units: NamedDependency[Units],
        if_match: IfMatch = None,
    ) -> Response[IntegrationOut]:
        """Change what is given."""
        return _shown(await units.write(integrations.change, reference, data, if_match, parts.vault))

    @delete("/{reference:str}", policy=Policy.ADMINISTER, responses=problems(404, 412))
    async def remove(self, reference: Reference, units: NamedDependency[Units], if_match: IfMatch = None) -> None:
        """Close an integration's address; its alerts stay."""
        await units.write(integrations.delete, reference, if_match)

    @post(
        "/{monitor:str}/{key:str}",
        status_code=200,
        policy=Policy.OWN_KEY,
        request_max_body_size=DELIVERY_LIMIT,
        responses=problems(413, 415),
        security=[],
    )
    async def deliver(
        self,
        request: Request[Any, Any, Any],
        monitor: FromPath[str],
        key: FromPath[str],
        idempotency_key: IdempotencyHeader = None,
    ) -> DeliveryAccepted:
        """Take in what a monitor sends. The key in the address is enough; a result for each alert, all committed."""
        parts = parts_of(request)
        door = deliveries.Door(
            database=parts.database,
            clock=parts.clock,
            vault=parts.vault,
            intake=parts.intake,
            dedup=parts.settings.dedup,
            known=parts.doors,
            answer_seconds=parts.settings.intake.answer_seconds,
        )
        admitted = await door.admit(monitor, key, request_id(request.scope))
        require_media_type(request, admitted.monitor.content_types)
        delivery = Delivery(headers=dict(request.headers), body=await request.body())
        return await door.deliver(admitted, delivery, idempotency_key)


def _created(parts: Parts, made: IntegrationOut, key: str) -> Response[IntegrationCreated]:
    url = f"{parts.settings.public_url}/v1/integrations/{made.monitor}/{key}"
    fields = {name: getattr(made, name) for name in IntegrationOut.__struct_fields__}
    headers = {"ETag": versions.etag(made.version), "Location": f"/v1/integrations/{made.name}"}
    return Response(IntegrationCreated(**fields, key=key, url=url), status_code=201, headers=headers)


def _shown(found: IntegrationOut) -> Response[IntegrationOut]:
    return Response(found, headers={"ETag": versions.etag(found.version)}, status_code=200)
