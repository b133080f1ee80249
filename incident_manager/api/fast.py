"""The short way in for single alerts: what the framework adds to a request costs more than storing it does.

It answers what is in order, by the same functions as the handler in api/alerts.py, and hands everything else on to the
application as it came: who is not known yet, what cannot be read, what is refused. So there is one account of every error, and
tests/api/test_fast.py holds that both ways answer alike.
"""

import asyncio
from typing import Any, Final, NamedTuple, cast

import msgspec
from litestar import Litestar
from litestar.types import ASGIApp, HTTPReceiveMessage, HTTPScope, Receive, Scope, Send

from incident_manager.api.intake import ALERTS, BODY_LIMIT, KEY_LIMIT, SCOPE, single
from incident_manager.api.parts import STATE_KEY, Parts
from incident_manager.api.problems import PROBLEM_JSON, defect, document, request_id
from incident_manager.errors import AuthenticationFailed, RequestError
from incident_manager.flows.access import Caller
from incident_manager.flows.idempotency import claim_of
from incident_manager.flows.intake.results import Result
from incident_manager.rules.access import Policy, may
from incident_manager.schemas.alerts import AlertIn
from incident_manager.schemas.decoding import decode_quickly

_ENCODER: Final = msgspec.json.Encoder()
_TYPES: Final = frozenset({b"application/json", b"application/json; charset=utf-8"})
_LEFT: Final = frozenset({b"content-encoding", b"transfer-encoding", b"expect"})  # to the framework's way


class _Head(NamedTuple):
    authorization: bytes
    idempotency_key: str | None


class _Request(NamedTuple):
    caller: Caller
    head: _Head
    alert: AlertIn
    body: bytes
    scope: HTTPScope


def short_way(application: ASGIApp, app: Litestar) -> ASGIApp:
    """Return the application with the short way in front of it."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        head = _read_head(scope)
        parts: Parts | None = app.state.get(STATE_KEY) if head else None
        caller = parts.keyring.find(head.authorization, parts.clock.now()) if head and parts else None
        if head is None or parts is None or caller is None or not may(caller.role, Policy.INGEST):
            await application(scope, receive, send)
            return
        read = _Read(receive)
        body = await read.whole(parts.settings.server.request_seconds)
        alert = _decode(body) if body else None
        if alert is None or not await _answer(
            parts, _Request(caller, head, alert, body, cast("HTTPScope", scope)), send
        ):
            await application(scope, read, send)

    return answer


async def _answer(parts: Parts, request: _Request, send: Send) -> bool:
    """Take in an alert and answer it; False where it was not taken in and the application has to say why."""
    request.scope["path_template"] = ALERTS  # where the framework puts it, for the metrics
    try:
        result = await _take_in(parts, request)
    except AuthenticationFailed:  # since it was checked
        parts.keyring.forget(request.head.authorization)
        return False
    except RequestError as error:
        parts.telemetry.rejection(error.code)
        await _send(send, request.scope, error.status, document(error, ALERTS), PROBLEM_JSON, error.headers)
    except Exception as error:  # noqa: BLE001 - the fence that the framework is for its handlers
        await _send(send, request.scope, 500, defect(error, request.scope), PROBLEM_JSON)
    else:
        await _send(send, request.scope, 201 if result.opened else 200, _ENCODER.encode(result.answer))
    return True


class _Read:
    """A reading of the body that can begin anew, for whoever comes after."""

    def __init__(self, receive: Receive) -> None:
        self._receive: Final = receive
        self._first: HTTPReceiveMessage | None = None

    async def whole(self, seconds: int) -> bytes:
        """Return the body where it comes in one piece; b"" where it does not, or takes too long."""
        try:
            async with asyncio.timeout(seconds):
                self._first = cast("HTTPReceiveMessage", await self._receive())
        except TimeoutError:
            return b""
        if self._first["type"] != "http.request" or self._first.get("more_body"):
            return b""
        return self._first.get("body", b"")  # either may be left out

    async def __call__(self) -> Any:
        """Receive, as ASGI has it."""
        first, self._first = self._first, None
        return first or await self._receive()


def _read_head(scope: Scope) -> _Head | None:
    """Return what of the head counts, or None where the request is not plainly one for this way."""
    if scope["path"] != ALERTS or scope["query_string"] or scope.get("method") != "POST":
        return None
    headers = list(scope["headers"])
    given = dict(headers)
    # what is given twice goes to the framework, which knows which of them counts
    if len(given) < len(headers) or not _LEFT.isdisjoint(given):
        return None
    length, key = given.get(b"content-length", b""), given.get(b"idempotency-key")
    sized = length.isdigit() and 0 < int(length[:10]) <= BODY_LIMIT
    kind = given.get(b"content-type", b"").lower()
    if kind not in _TYPES or not sized or (key is not None and not 0 < len(key) <= KEY_LIMIT):
        return None
    return _Head(given.get(b"authorization", b""), key.decode("latin-1") if key else None)


def _decode(body: bytes) -> AlertIn | None:
    """Return the alert that a body is, None where it is none: in full, the application says why."""
    try:
        return decode_quickly(body, AlertIn)
    except RequestError:
        return None


async def _take_in(parts: Parts, request: _Request) -> Result:
    caller, head, alert, body, scope = request
    claim = claim_of(SCOPE, head.idempotency_key, body) if head.idempotency_key else None
    actor = msgspec.structs.replace(caller.actor, request_id=request_id(scope))
    [result] = await parts.intake.receive(single(parts, actor, alert, claim, caller.credential))
    return result


async def _send(
    send: Send,
    scope: Scope,
    status: int,
    body: bytes,
    kind: str = "application/json",
    more: dict[str, str] | None = None,
) -> None:
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id(scope).encode()),
        *((name.lower().encode(), value.encode()) for name, value in (more or {}).items()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
