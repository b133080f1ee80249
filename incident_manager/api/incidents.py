"""Incidents: open, list, read, change, and what is done to them."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from litestar import Controller, Request, Response, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter
from msgspec import Meta

from incident_manager.api.dependencies import LOCATED, VERSIONED, Cursor, IdempotencyHeader, IfMatch, PageSize
from incident_manager.api.parts import Parts
from incident_manager.api.problems import problems
from incident_manager.errors import ValidationFailed
from incident_manager.flows import alerts, versions
from incident_manager.flows.idempotency import claim_of, once
from incident_manager.flows.incidents import reading, requests
from incident_manager.flows.intake.submissions import policy_for
from incident_manager.flows.units import Unit, Units
from incident_manager.rules.access import Policy
from incident_manager.rules.incident_type import IncidentType
from incident_manager.rules.lifecycle import IncidentState
from incident_manager.rules.severity import Severity
from incident_manager.schemas.alerts import AlertPage
from incident_manager.schemas.base import LABEL_KEY_LIMIT, LABEL_VALUE_LIMIT, NAME_LIMIT, NO_NUL, Instant
from incident_manager.schemas.incidents import (
    AcknowledgeIn,
    CloseIn,
    IncidentFilter,
    IncidentIn,
    IncidentOut,
    IncidentPage,
    IncidentPatch,
    IncidentSort,
    NoteIn,
    ReopenIn,
    ResolveIn,
    TimelinePage,
)

PAGE_LIMIT: Final = 10_000
WORDS_LIMIT: Final = 10

Reference = Annotated[str, PathParameter(max_length=64, description="the incident's id or number")]
Texts = Annotated[
    list[Annotated[str, Meta(max_length=NAME_LIMIT, pattern=NO_NUL)]] | None, QueryParameter(max_items=50)
]
Pair = Annotated[
    str, Meta(max_length=LABEL_KEY_LIMIT + 1 + LABEL_VALUE_LIMIT, pattern=r"^[^\x00]+:[^:\x00]*(?![\s\S])")
]
Pairs = Annotated[list[Pair] | None, QueryParameter(max_items=50, description="key:value, split at the last colon")]
Words = Annotated[
    str | None, QueryParameter(max_length=200, pattern=NO_NUL, description="words of title and description, at most 10")
]
# text here, because the framework's reading of a query also takes numbers for times
Moment = Annotated[
    str | None, QueryParameter(max_length=40, description="RFC 3339, with a zone", schema_extra={"format": "date-time"})
]


class IncidentController(Controller):
    """Incidents of the caller's tenant. `{reference}` is an id or a number."""

    path = "/v1/incidents"
    tags = ("incidents",)

    @post(policy=Policy.ACT, responses=problems(409, 413, 415), response_headers=LOCATED)
    async def open(
        self,
        request: Request[Any, Any, Any],
        data: JSONBody[IncidentIn],
        parts: NamedDependency[Parts],
        units: NamedDependency[Units],
        idempotency_key: IdempotencyHeader = None,
    ) -> Response[IncidentOut]:
        """Open an incident by hand. One that an alert like it would have attached to: 409 with its `incident_id`."""
        policy = policy_for(parts.settings.dedup, has_identity=False)
        async with parts.numbers.promise(units.actor.tenant_id, 1) as numbers:
            shown = await _act(
                request,
                parts,
                units,
                idempotency_key,
                lambda unit: requests.create(unit, data, policy, numbers),
            )
        shown.headers["Location"] = f"/v1/incidents/{shown.content.id}"
        shown.status_code = 201
        return shown

    @get(policy=Policy.READ, responses=problems())
    async def list_page(
        self,
        parts: NamedDependency[Parts],
        units: NamedDependency[Units],
        states: FromQuery[list[IncidentState] | None] = None,
        severities: FromQuery[list[Severity] | None] = None,
        sources: Texts = None,
        types: FromQuery[list[IncidentType] | None] = None,
        assignees: Texts = None,
        services: Texts = None,
        labels: Pairs = None,
        active_only: FromQuery[bool] = False,
        q: Words = None,
        since: Moment = None,
        until: Moment = None,
        sort: FromQuery[IncidentSort] = IncidentSort.CREATED_LAST,
        page: Annotated[int, QueryParameter(ge=0, le=PAGE_LIMIT, description="from 0; deeper, use the cursor")] = 0,
        page_size: PageSize = 20,
        cursor: Cursor = None,
    ) -> IncidentPage:
        """List incidents. Filters may be repeated: any of one filter's values, all of the filters.

        `labels` are `key:value`, split at the last colon; each key is a filter of its own.
        """
        wanted = IncidentFilter(
            states=states or [],
            severities=severities or [],
            sources=sources or [],
            types=types or [],
            assignees=assignees or [],
            services=services or [],
            labels=[(key, value) for key, _, value in (pair.rpartition(":") for pair in labels or [])],
            active_only=active_only,
            words=_words(q),
            since=_instant("since", since),
            until=_instant("until", until),
        )
        if page and cursor:
            raise ValidationFailed.of("page", "is not for lists that go on from a cursor")
        where = reading.Paging(page=page, page_size=page_size, cursor=cursor)
        return await units.read(reading.list_incidents, wanted, sort, where, parts.vault)

    @get("/{reference:str}", policy=Policy.READ, responses=problems(404), response_headers=VERSIONED)
    async def show(self, reference: Reference, units: NamedDependency[Units]) -> Response[IncidentOut]:
        """Show an incident, with its version as ETag. Repeats that only count do not change the version."""
        return _shown(await units.read(reading.get, reference))

    @patch(
        "/{reference:str}", policy=Policy.ACT, responses=problems(404, 409, 412, 413, 415), response_headers=VERSIONED
    )
    async def change(
        self,
        reference: Reference,
        data: JSONBody[IncidentPatch],
        units: NamedDependency[Units],
        if_match: IfMatch = None,
    ) -> Response[IncidentOut]:
        """Change what is given; `state: Resolved` is a resolve in full."""
        return _shown(await units.write(requests.change, reference, data, if_match))

    @put("/{reference:str}", policy=Policy.ACT, responses=problems(404, 409, 412, 413, 415), response_headers=VERSIONED)
    async def replace(
        self,
        reference: Reference,
        data: JSONBody[IncidentPatch],
        units: NamedDependency[Units],
        if_match: IfMatch = None,
    ) -> Response[IncidentOut]:
        """Change what is given, as PATCH does."""
        return _shown(await units.write(requests.change, reference, data, if_match))

    @post(
        "/{reference:str}/acknowledge",
        status_code=200,
        policy=Policy.ACT,
        responses=problems(404, 409, 413, 415),
        response_headers=VERSIONED,
    )
    async def acknowledge(
        self,
        request: Request[Any, Any, Any],
        reference: Reference,
        parts: NamedDependency[Parts],
        units: NamedDependency[Units],
        data: JSONBody[AcknowledgeIn | None] = None,
        idempotency_key: IdempotencyHeader = None,
    ) -> Response[IncidentOut]:
        """Take it: Detected becomes Triaged; whatever else is active stays as it is, and says who has it."""
        by = data.by if data else None
        return await _act(
            request, parts, units, idempotency_key, lambda unit: requests.acknowledge(unit, reference, by)
        )

    @post(
        "/{reference:str}/resolve",
        status_code=200,
        policy=Policy.ACT,
        responses=problems(404, 409, 413, 415),
        response_headers=VERSIONED,
    )
    async def resolve(
        self,
        request: Request[Any, Any, Any],
        reference: Reference,
        data: JSONBody[ResolveIn],
        parts: NamedDependency[Parts],
        units: NamedDependency[Units],
        idempotency_key: IdempotencyHeader = None,
    ) -> Response[IncidentOut]:
        """End it, and say how."""
        return await _act(request, parts, units, idempotency_key, lambda unit: requests.resolve(unit, reference, data))

    @post(
        "/{reference:str}/close",
        status_code=200,
        policy=Policy.ACT,
        responses=problems(404, 409, 413, 415),
        response_headers=VERSIONED,
    )
    async def close(
        self,
        request: Request[Any, Any, Any],
        reference: Reference,
        parts: NamedDependency[Parts],
        units: NamedDependency[Units],
        data: JSONBody[CloseIn | None] = None,  # noqa: ARG002 - read, so that a body with anything in it is refused
        idempotency_key: IdempotencyHeader = None,
    ) -> Response[IncidentOut]:
        """Put a resolved incident away."""
        return await _act(request, parts, units, idempotency_key, lambda unit: requests.close(unit, reference))

    @post(
        "/{reference:str}/reopen",
        status_code=200,
        policy=Policy.ACT,
        responses=problems(404, 409, 413, 415),
        response_headers=VERSIONED,
    )
    async def reopen(
        self,
        request: Request[Any, Any, Any],
        reference: Reference,
        data: JSONBody[ReopenIn],
        parts: NamedDependency[Parts],
        units: NamedDependency[Units],
        idempotency_key: IdempotencyHeader = None,
    ) -> Response[IncidentOut]:
        """Take it up again; how it had ended stays on the timeline."""
        return await _act(
            request, parts, units, idempotency_key, lambda unit: requests.reopen(unit, reference, data.reason)
        )

    @post(
        "/{reference:str}/notes",
        status_code=200,
        policy=Policy.ACT,
        responses=problems(404, 413, 415),
        response_headers=VERSIONED,
    )
    async def add_note(
        self,
        request: Request[Any, Any, Any],
        reference: Reference,
        data: JSONBody[NoteIn],
        parts: NamedDependency[Parts],
        units: NamedDependency[Units],
        idempotency_key: IdempotencyHeader = None,
    ) -> Response[IncidentOut]:
        """Write a note on the timeline."""
        return await _act(
            request,
            parts,
            units,
            idempotency_key,
            lambda unit: requests.add_note(unit, reference, data.content),
        )

    @get("/{reference:str}/timeline", policy=Policy.READ, responses=problems(404))
    async def timeline(
        self,
        reference: Reference,
        parts: NamedDependency[Parts],
        units: NamedDependency[Units],
        cursor: Cursor = None,
        page_size: PageSize = 100,
    ) -> TimelinePage:
        """Show what happened to it, oldest first."""
        return await units.read(reading.timeline, reference, cursor, page_size, parts.vault)

    @get("/{reference:str}/alerts", policy=Policy.READ, responses=problems(404))
    async def list_alerts(
        self,
        reference: Reference,
        parts: NamedDependency[Parts],
        units: NamedDependency[Units],
        cursor: Cursor = None,
        page_size: PageSize = 20,
    ) -> AlertPage:
        """List its alerts, newest first."""
        return await units.read(alerts.list_alerts, cursor, page_size, parts.vault, reference)


async def _act(
    request: Request[Any, Any, Any],
    parts: Parts,
    units: Units,
    key: str | None,
    work: Callable[[Unit], Awaitable[IncidentOut]],
) -> Response[IncidentOut]:
    """Run a flow once per Idempotency-Key and answer with the incident."""
    claim = claim_of(f"{request.method} {request.scope['path']}", key, await request.body()) if key else None
    return _shown(await units.write(once, claim, parts.intake.idempotency_ttl, IncidentOut, work))


def _shown(incident: IncidentOut) -> Response[IncidentOut]:
    return Response(incident, headers={"ETag": versions.etag(incident.version)}, status_code=200)


def _words(q: str | None) -> list[str]:
    words = re.findall(r"\S+", q or "")
    if len(words) > WORDS_LIMIT:
        raise ValidationFailed.of("q", f"holds more than {WORDS_LIMIT} words")
    return words


def _instant(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return msgspec.convert(text, Instant).astimezone(UTC)
    except (msgspec.ValidationError, OverflowError) as error:
        raise ValidationFailed.of(name, "is not a time of RFC 3339 with a zone") from error
