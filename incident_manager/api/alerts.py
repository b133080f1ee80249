"""Alerts: post one, read them."""

from typing import Any, Final
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody

from incident_manager.api.dependencies import Cursor, IdempotencyHeader, PageSize
from incident_manager.api.intake import (
    ALERTS,
    BATCH_LIMIT,
    BODY_LIMIT,
    ITEMS_LIMIT,
    SCOPE,
    several,
    single,
    told,
)
from incident_manager.api.parts import Parts
from incident_manager.api.problems import problems
from incident_manager.api.requests import require_media_type
from incident_manager.flows import alerts
from incident_manager.flows.idempotency import claim_of
from incident_manager.flows.intake import previews
from incident_manager.flows.intake.submissions import submit
from incident_manager.flows.units import Units
from incident_manager.rules.access import Policy
from incident_manager.schemas.alerts import AlertAccepted, AlertIn, AlertOut, AlertPage, AlertPreview, BatchAccepted
from incident_manager.schemas.decoding import decode_items

_ATTACHED: Final = {200: ResponseSpec(AlertAccepted, generate_examples=False, description="stored; opened no incident")}


class AlertController(Controller):
    """Alerts from anybody who has a key."""

    path = ALERTS
    tags = ("alerts",)

    @post(
        policy=Policy.INGEST,
        request_max_body_size=BODY_LIMIT,
        responses=_ATTACHED | problems(413, 415),
        response_description="committed, and it opened an incident",
    )
    async def submit(
        self,
        request: Request[Any, Any, Any],
        data: JSONBody[AlertIn],
        parts: NamedDependency[Parts],
        units: NamedDependency[Units],
        idempotency_key: IdempotencyHeader = None,
    ) -> Response[AlertAccepted]:
        """Take in an alert: 201 where it opened an incident, 200 where it did not. Either way it is committed."""
        claim = claim_of(SCOPE, idempotency_key, await request.body()) if idempotency_key else None
        [result] = await parts.intake.receive(single(parts, units.actor, data, claim))
        return Response(result.answer, status_code=201 if result.opened else 200)

    @post(
        "/batch",
        status_code=200,
        policy=Policy.INGEST,
        items=AlertIn,
        items_limit=ITEMS_LIMIT,
        request_max_body_size=BATCH_LIMIT,
        responses=problems(413, 415),
        response_description="committed, but for the items that are Rejected",
    )
    async def submit_batch(
        self,
        request: Request[Any, Any, Any],
        parts: NamedDependency[Parts],
        units: NamedDependency[Units],
        idempotency_key: IdempotencyHeader = None,
    ) -> BatchAccepted:
        """Take in many alerts at once: one result an item, in order. What is wrong with one does not hold up the others."""
        require_media_type(request, ("application/json",))
        body = await request.body()
        items = decode_items(body, AlertIn, ITEMS_LIMIT)
        parcel = several(parts, units.actor, items, idempotency_key, body)
        return told(items, await parts.intake.receive(parcel) if parcel.submissions else ())

    @post(
        "/preview",
        status_code=200,
        policy=Policy.READ,
        request_max_body_size=BODY_LIMIT,
        responses=problems(413, 415),
        response_description="nothing was stored",
    )
    async def preview(
        self, data: JSONBody[AlertIn], parts: NamedDependency[Parts], units: NamedDependency[Units]
    ) -> AlertPreview:
        """Say what would become of an alert now, and why: its fingerprint, how it is folded, the incident it would go to."""
        received_at = parts.clock.now()
        settings = parts.settings.dedup
        submission = submit(data, units.actor, source=data.source, settings=settings, received_at=received_at)
        return await units.read(previews.preview, submission)

    @get(policy=Policy.READ, responses=problems())
    async def list_page(
        self,
        parts: NamedDependency[Parts],
        units: NamedDependency[Units],
        cursor: Cursor = None,
        page_size: PageSize = 20,
    ) -> AlertPage:
        """List alerts, newest first."""
        return await units.read(alerts.list_alerts, cursor, page_size, parts.vault)

    @get("/{alert_id:uuid}", policy=Policy.READ, responses=problems(404))
    async def show(self, alert_id: FromPath[UUID], units: NamedDependency[Units]) -> AlertOut:
        """Show an alert: what was given, and what was decided."""
        return await units.read(alerts.get, alert_id)
