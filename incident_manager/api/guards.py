"""Before a handler runs: the caller is known, the policy allows it, the address is well-formed."""

from typing import Any, Final
from urllib.parse import unquote_to_bytes, urlsplit
from uuid import UUID

import msgspec
from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import BaseRouteHandler
from litestar.routes import HTTPRoute
from loguru import logger

from incident_manager import log
from incident_manager.api.parts import Parts, parts_of
from incident_manager.api.problems import request_id
from incident_manager.errors import (
    AuthenticationFailed,
    AuthorizationFailed,
    FieldError,
    MalformedRequest,
    StartRefused,
    Unavailable,
    ValidationFailed,
)
from incident_manager.flows import access
from incident_manager.flows.units import Units
from incident_manager.rules.access import Actor, ActorKind, Policy, may
from incident_manager.settings import is_loopback
from incident_manager.store import access as store

POLICY: Final = "policy"
_QUERY: Final = "query"
_INSTEAD: Final = "instead"
_UNGUARDED: Final = frozenset({Policy.PUBLIC, Policy.OWN_KEY})

Connection = ASGIConnection[Any, Any, Any, Any]


async def check_address(connection: Connection, handler: BaseRouteHandler) -> None:
    """Refuse paths and queries that are not UTF-8 or hold NUL, and query parameters that the route does not know.

    A misspelt filter that is passed over would answer with what was not asked for; so would a page that is given twice.
    It waits for nothing, and is a coroutine all the same: the framework would run a plain function in a thread.
    """
    for part in (connection.scope.get("raw_path", b""), connection.scope["query_string"]):
        raw = unquote_to_bytes(part)
        if b"\x00" in raw or not _is_utf8(raw):
            raise MalformedRequest("the address holds a NUL or is not UTF-8")
    repeatable: dict[str, bool] = handler.opt.get(_QUERY, {})
    given = connection.query_params
    wrong = [FieldError(name, "is not a parameter of this address") for name in given if name not in repeatable]
    wrong += [
        FieldError(name, "may be given once")
        for name in given
        if not repeatable.get(name, True) and len(given.getall(name)) > 1
    ]
    if wrong:
        raise ValidationFailed(wrong)


async def authorize(connection: Connection, handler: BaseRouteHandler) -> None:
    """Find out who calls and whether the route's policy allows it; the caller is then in the request's state."""
    if _INSTEAD in handler.opt:
        raise MethodNotAllowedException(headers=handler.opt[_INSTEAD])
    if reference := connection.path_params.get("reference"):
        log.bind(reference=reference)
    policy: Policy = handler.opt[POLICY]
    if policy in _UNGUARDED:
        return
    parts = parts_of(connection)
    if policy is Policy.METRICS and parts.settings.metrics.public:
        return
    if not parts.settings.auth.enabled:
        connection.scope["state"]["actor"] = await _open_actor(connection, parts)
        return
    caller = await _caller(connection, parts)
    if not may(caller.role, policy):
        raise AuthorizationFailed(f"a key of role {caller.role} may not do this")
    actor = msgspec.structs.replace(caller.actor, request_id=request_id(connection.scope))
    connection.scope["state"]["actor"] = actor
    if caller.use_is_due and caller.actor.id is not None:
        await _record_use(parts, actor, caller.actor.id)


def declare_policies(app: Litestar) -> None:
    """Check that every route has a policy, and note which query parameters it takes.

    Raises StartRefused for a route without one: it would be open to anybody, or to nobody.
    """
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            raise StartRefused(f"the route {route.path} is not one of HTTP, and no policy guards it")
        for method, (handler, model) in route.route_handler_map.items():
            if (
                method == "OPTIONS"
            ):  # the framework adds it, open to anybody; what other origins ask about, origins.py answers
                handler.opt[_INSTEAD] = {"Allow": ", ".join(sorted(route.methods))}
                continue
            if not isinstance(handler.opt.get(POLICY), Policy):
                raise StartRefused(f"the route {method} {route.path} declares no policy")
            handler.opt[_QUERY] = {one.field_alias: one.is_sequence for one in model.expected_query_params}


async def _caller(connection: Connection, parts: Parts) -> access.Caller:
    scheme, _, token_text = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token_text:
        raise AuthenticationFailed("send a key: Authorization: Bearer im_...")
    token = access.read_token(token_text.strip())
    seconds = parts.settings.intake.answer_seconds
    key = await parts.database.look_up(lambda session: store.find_key(session, token.id), seconds=seconds)
    now = parts.clock.now()
    caller = access.check_key(key, token, parts.vault, now)
    parts.keyring.remember(connection.headers["authorization"].encode("latin-1"), caller, now)
    return caller


async def _record_use(parts: Parts, actor: Actor, key_id: UUID) -> None:
    """Note the key's use. A database that cannot be written must not keep people from reading."""
    try:
        units, seconds = Units(parts.database, parts.clock, actor), parts.settings.intake.answer_seconds
        await parts.database.in_time(units.write(access.record_use, key_id), seconds)
    except Unavailable:
        logger.warning("use of a key not recorded", key_id=str(key_id))


async def _open_actor(connection: Connection, parts: Parts) -> Actor:
    """Serve without keys, but only what this machine asks of itself.

    The address it came to shows that it did not come over a network. The Host header shows that it was meant for this machine:
    a page from elsewhere whose name has been pointed at 127.0.0.1 (DNS rebinding) brings that name along. The Origin header
    shows the same of a page that posts here under a name of ours.
    """
    server = connection.scope.get("server")
    if server is None or not is_loopback(str(server[0])):
        raise AuthorizationFailed("without keys this service answers on loopback only")
    for name in ("host", "origin"):
        if not _names_loopback(connection.headers.get(name)):
            raise AuthorizationFailed(
                f"without keys this service answers to loopback names only; see the {name} header"
            )
    name = access.DEFAULT_TENANT
    seconds = parts.settings.intake.answer_seconds
    tenant = await parts.database.look_up(lambda session: store.find_tenant(session, name), seconds=seconds)
    if tenant is None:
        raise AuthorizationFailed("there is no tenant `default` to serve without keys")
    return Actor(tenant_id=tenant.id, kind=ActorKind.SYSTEM, name="anonymous", request_id=request_id(connection.scope))


def _names_loopback(header: str | None) -> bool:
    """Say whether a Host (`name:port`) or an Origin (`scheme://name:port`) is this machine's; one that is not sent is."""
    if header is None:
        return True
    try:
        name = urlsplit(header if "//" in header else f"//{header}").hostname
    except ValueError:
        return False
    return name is not None and is_loopback(name)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
