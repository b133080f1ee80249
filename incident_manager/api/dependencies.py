"""What handlers are given: the parts, and the caller's units of work; and the headers that they share."""

from typing import Annotated, Any, Final

from litestar import Request
from litestar.datastructures import ResponseHeader
from litestar.params import HeaderParameter, QueryParameter

from incident_manager.api.intake import KEY_LIMIT
from incident_manager.api.parts import Parts, parts_of
from incident_manager.flows.units import Units
from incident_manager.schemas.base import CURSOR_LIMIT


def provide_parts(request: Request[Any, Any, Any]) -> Parts:
    """Return the parts of the application."""
    return parts_of(request)


def provide_units(request: Request[Any, Any, Any]) -> Units:
    """Return units of work of the caller that the guard found."""
    parts = parts_of(request)
    return Units(parts.database, parts.clock, request.scope["state"]["actor"])


Cursor = Annotated[
    str | None,
    QueryParameter(
        max_length=CURSOR_LIMIT, pattern=r"^[A-Za-z0-9_-]*(?![\s\S])", description="`next_cursor` of the page before"
    ),
]
PageSize = Annotated[int, QueryParameter(ge=1, le=100, description="rows a page, 1 to 100")]
IfMatch = Annotated[
    str | None,
    HeaderParameter(
        name="If-Match", max_length=1_000, description="the ETag that was read; another version answers 412"
    ),
]
IdempotencyHeader = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=KEY_LIMIT,
        description="the same key on the same route gets the first answer again, for 24 h; with another body, 422",
    ),
]

VERSIONED: Final = (
    ResponseHeader(name="ETag", documentation_only=True, description="its version, for If-Match", required=True),
)
LOCATED: Final = (
    *VERSIONED,
    ResponseHeader(name="Location", documentation_only=True, description="its address", required=True),
)
