"""Pages of other origins (CORS): what a browser is told of those that `server.cors_origins` names, and of no others.

The framework's own middleware refuses with a text of its own instead of a problem, overwrites Vary, and leaves it out of the
answers that another origin must not be given from a cache.

Every origin may be named, by `*`: what a browser adds to a request by itself (cookies, client certificates, a password) lets
nobody in here, only a key that the page must have. So no answer ever allows credentials. Format: the Fetch standard, 3.3.
"""

from collections.abc import Collection
from typing import Final

from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

_METHODS: Final = "DELETE, GET, HEAD, PATCH, POST, PUT"
_REQUEST_HEADERS: Final = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, X-Request-Id, traceparent, tracestate"
)
_ANSWER_HEADERS: Final = "Allow, ETag, Location, Retry-After, WWW-Authenticate, X-Request-Id"
_PREFLIGHT_SECONDS: Final = 600


def open_to(application: ASGIApp, origins: Collection[str]) -> ASGIApp:
    """Return the application such that pages of these origins may call it; without any it stays as it is."""
    return _opened(application, frozenset(origins)) if origins else application


def _opened(application: ASGIApp, origins: frozenset[str]) -> ASGIApp:
    everybody = "*" in origins

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await application(scope, receive, send)
            return
        headers = Headers.from_scope(scope)
        origin = headers.get("origin")
        allowed = "*" if everybody else origin if origin in origins else None

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = MutableScopeHeaders.from_message(message)
                if not everybody:  # whoever asked: a cache must not give the answer to another origin
                    told.extend_header_value("Vary", "Origin")
                if allowed and origin:
                    told["Access-Control-Allow-Origin"] = allowed
                    told["Access-Control-Expose-Headers"] = _ANSWER_HEADERS
            await send(message)

        if allowed and origin and scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await _allow(allowed, send, varies=not everybody)
        else:
            await application(scope, receive, tell)

    return answer


async def _allow(origin: str, send: Send, *, varies: bool) -> None:
    """Answer a browser that asks before a page's request; it compares, and the request itself has to show its key."""
    told = {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Allow-Headers": _REQUEST_HEADERS,
        "Access-Control-Max-Age": str(_PREFLIGHT_SECONDS),
    } | ({"Vary": "Origin"} if varies else {})
    headers = [(name.lower().encode(), value.encode()) for name, value in told.items()]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
