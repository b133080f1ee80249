"""Incidents: open, list, read, change, and what is done to them."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
from litestar import Controller, Response, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter
from msgspec import Meta

from incident_manager.api.acting import Acting, Reference, shown
from incident_manager.api.dependencies import LOCATED, VERSIONED, Cursor, IfMatch, PageSize
from incident_manager.api.parts import Parts
from incident_manager.api.problems import problems
from incident_manager.errors import ValidationFailed
from incident_manager.flows import alerts
from incident_manager.flows.incidents import reading, requests
from incident_manager.flows.intake.submissions import policy_for
from incident_manager.flows.units import Units
from incident_manager.rules.access import Policy
from incident_manager.rules.incident_type import IncidentType
from incident_manager.rules.lifecycle import IncidentState
from incident_manager.rules.severity import Severity
from incident_manager.schemas.alerts import AlertPage
from incident_manager.schemas.base import LABEL_KEY_LIMIT, LABEL_VALUE_LIMIT, NAME_LIMIT, NO_NUL, Instant
from incident_manager.schemas.incidents import (
    IncidentFilter,
    IncidentIn,
    IncidentOut,
    IncidentPage,
    IncidentPatch,
    IncidentSort,
    TimelinePage,
)

PAGE_LIMIT: Final = 10_000
WORDS_LIMIT: Final = 10

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

    @post(
        policy=Policy.ACT,
        responses=problems(409, 413, 415),
        response_headers=LOCATED,
    )
    async def open(
        self, data: JSONBody[IncidentIn], parts: NamedDependency[Parts], acting: NamedDependency[Acting]
    ) -> Response[IncidentOut]:
        """Open an incident by hand. One that an alert like it would have attached to: 409 with its `incident_id`."""
        policy = policy_for(parts.settings.dedup, has_identity=False)
        async with acting.number() as numbers:
            answer = await acting(lambda unit: requests.create(unit, data, policy, numbers))
        answer.headers["Location"] = f"/v1/incidents/{answer.content.id}"
        answer.status_code = 201
        return answer

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
        return shown(await units.read(reading.get, reference))

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
        return shown(await units.write(requests.change, reference, data, if_match))

    @put("/{reference:str}", policy=Policy.ACT, responses=problems(404, 409, 412, 413, 415), response_headers=VERSIONED)
    async def replace(
        self,
        reference: Reference,
        data: JSONBody[IncidentPatch],
        units: NamedDependency[Units],
        if_match: IfMatch = None,
    ) -> Response[IncidentOut]:
        """Change what is given, as PATCH does."""
        return shown(await units.write(requests.change, reference, data, if_match))

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
