"""Errors on the wire: every one is `application/problem+json` (RFC 9457), ours and the framework's alike."""

import re
from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.datastructures import MutableScopeHeaders
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from litestar.types import ExceptionHandlersMap, Message, Scope
from loguru import logger

from incident_manager.api.parts import parts_of
from incident_manager.errors import (
    AuthenticationFailed,
    AuthorizationFailed,
    FieldError,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    RequestError,
    RequestTimeout,
    UnsupportedMediaType,
    ValidationFailed,
)
from incident_manager.ids import new_id
from incident_manager.log import redact_text
from incident_manager.schemas.base import Problem
from incident_manager.schemas.decoding import field_error

PROBLEM_JSON: Final = "application/problem+json"
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
_BY_STATUS: Final[dict[int, type[RequestError]]] = {
    error.status: error
    for error in (
        MalformedRequest,
        AuthenticationFailed,
        AuthorizationFailed,
        NotFound,
        MethodNotAllowed,
        RequestTimeout,
        PayloadTooLarge,
        UnsupportedMediaType,
    )
}
_TITLES: Final = {
    400: "Malformed request",
    401: "No valid key",
    403: "The key's role does not allow this",
    404: "No such thing in this tenant",
    408: "The body did not arrive in time",
    409: "Collides with what is there",
    412: "Changed since If-Match was read",
    413: "Body over the limit",
    415: "Content type not taken here",
    422: "A field is not valid",
    500: "A defect of the service; `detail` holds an id that its log has too",
    503: "The database does not answer; Retry-After says when to try again",
}


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """Return the OpenAPI's account of a route's errors: those named, and those that any route may answer.

    A body that may be too large may be too slow as well.
    """
    slow = {RequestTimeout.status} if PayloadTooLarge.status in statuses else set()
    return {
        status: ResponseSpec(Problem, generate_examples=False, description=_TITLES[status], media_type=PROBLEM_JSON)
        for status in sorted({400, 401, 403, 422, 500, 503, *slow, *statuses})
    }


def request_id(scope: Scope) -> str:
    """Return the request's id: the caller's X-Request-Id where it has a safe form, else one of ours."""
    state = scope.setdefault("state", {})
    if "request_id" not in state:
        given = next(
            (value.decode("latin-1") for name, value in scope.get("headers", []) if name == b"x-request-id"),
            "",
        )
        state["request_id"] = given if _REQUEST_ID.fullmatch(given) else str(new_id())
    found: str = state["request_id"]
    return found


async def add_request_id(message: Message, scope: Scope) -> None:
    """Put the request's id on every response that starts, whoever made it."""
    if message["type"] == "http.response.start":
        MutableScopeHeaders.from_message(message)["X-Request-Id"] = request_id(scope)


def document(error: RequestError, instance: str) -> bytes:
    """Return an error as a problem document; `instance` is the path that it is about."""
    members = {
        "type": f"urn:incident-manager:problem:{error.code.lower().replace('_', '-')}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": redact_text(instance),  # an integration's address carries its key
        "code": error.code,
        **error.extra,
    }
    return msgspec.json.encode(members)


def _answer(request: Request[Any, Any, Any], error: RequestError) -> Response[bytes]:
    parts_of(request).telemetry.rejection(error.code)
    return Response(
        document(error, request.scope["path"]),
        status_code=error.status,
        media_type=PROBLEM_JSON,
        headers=dict(error.headers),
    )


def _on_request_error(request: Request[Any, Any, Any], error: RequestError) -> Response[bytes]:
    return _answer(request, error)


def _on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Give the framework's own errors our form; its details for queries become one error a field."""
    if isinstance(error, ValidationException):
        found = error.extra if isinstance(error.extra, list) else []
        fields = [_field(item) for item in found if isinstance(item, dict)]
        return _answer(request, ValidationFailed(fields or [FieldError("", error.detail)]))
    kind = _BY_STATUS.get(error.status_code)
    if kind is None:
        return _on_defect(request, error)
    response = _answer(request, kind(_detail(request, error)))
    for name, value in (error.headers or {}).items():
        if name.lower() == "allow":  # RFC 9110, 15.5.6: a 405 names what is taken; guards.py refuses OPTIONS everywhere
            response.headers["Allow"] = ", ".join(sorted(set(value.split(", ")) - {"OPTIONS"}))
    return response


def _detail(request: Request[Any, Any, Any], error: HTTPException) -> str:
    """Say what the framework leaves unsaid."""
    match error.status_code:
        case NotFound.status:
            return "no such address"
        case MethodNotAllowed.status:
            return f"this address does not take {request.method}"
        case PayloadTooLarge.status:
            return f"the body is larger than {request.route_handler.resolve_request_max_body_size():,} bytes"
    return error.detail


def _field(item: dict[str, Any]) -> FieldError:
    """Return the framework's error under the name that the caller used; it names a header by its parameter in the code."""
    plain = field_error(str(item.get("message", "")))
    name = str(item.get("key") or plain.field)
    return FieldError(name.replace("_", "-").title() if item.get("source") == "header" else name, plain.message)


def _on_defect(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    return Response(defect(error, request.scope), status_code=500, media_type=PROBLEM_JSON)


def defect(error: Exception, scope: Scope) -> bytes:
    """Log a defect of ours, and return the document for it: an id and nothing else; the log has the id and the trace."""
    error_id = request_id(scope)
    logger.opt(exception=error).error(
        "request failed", error_id=error_id, method=scope.get("method"), kind=type(error).__name__
    )
    members = {
        "type": "urn:incident-manager:problem:internal-error",
        "title": "Internal error",
        "status": 500,
        "detail": f"error {error_id}",
        "instance": redact_text(scope["path"]),
        "code": "INTERNAL_ERROR",
    }
    return msgspec.json.encode(members)


HANDLERS: Final[ExceptionHandlersMap] = {
    RequestError: _on_request_error,
    HTTPException: _on_http_exception,
    Exception: _on_defect,
}
