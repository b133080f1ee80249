"""Before a handler runs: the address is well-formed, the caller is known, the policy allows it."""

from typing import Any, Final
from urllib.parse import unquote_to_bytes
from uuid import UUID

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.routes import HTTPRoute
from loguru import logger

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
_QUERY_NAMES: Final = "query_names"
_UNGUARDED: Final = frozenset({Policy.PUBLIC, Policy.OWN_KEY})

Connection = ASGIConnection[Any, Any, Any, Any]


def check_address(connection: Connection, handler: BaseRouteHandler) -> None:
    """Refuse paths and queries that are not UTF-8 or hold NUL, and query parameters that the route does not know.

    A misspelt filter that is passed over would answer with what was not asked for.
    """
    for part in (connection.scope.get("raw_path", b""), connection.scope["query_string"]):
        raw = unquote_to_bytes(part)
        if b"\x00" in raw or not _is_utf8(raw):
            raise MalformedRequest("the address holds a NUL or is not UTF-8")
    known = handler.opt.get(_QUERY_NAMES, frozenset())
    unknown = [
        FieldError(name, "is not a parameter of this address") for name in connection.query_params if name not in known
    ]
    if unknown:
        raise ValidationFailed(unknown)


async def authorize(connection: Connection, handler: BaseRouteHandler) -> None:
    """Find out who calls and whether the route's policy allows it; the caller is then in the request's state."""
    policy: Policy = handler.opt[POLICY]
    if policy in _UNGUARDED:
        return
    parts = parts_of(connection)
    if not parts.settings.auth.enabled:
        connection.scope["state"]["actor"] = await _open_actor(connection, parts)
        return
    caller = await _caller(connection, parts)
    if not may(caller.role, policy):
        raise AuthorizationFailed(f"a key of role {caller.role} may not do this")
    actor = Actor(**{**_fields(caller.actor), "request_id": request_id(connection.scope)})
    connection.scope["state"]["actor"] = actor
    if caller.use_is_due and caller.actor.id is not None:
        await _record_use(Units(parts.database, parts.clock, actor), caller.actor.id)


def declare_policies(app: Litestar) -> None:
    """Check that every route has a policy, and note which query parameters it takes.

    Raises StartRefused for a route without one: it would be open to anybody, or to nobody.
    """
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for method, (handler, model) in route.route_handler_map.items():
            if method == "OPTIONS":
                handler.opt.setdefault(POLICY, Policy.PUBLIC)
            if not isinstance(handler.opt.get(POLICY), Policy):
                raise StartRefused(f"the route {method} {route.path} declares no policy")
            handler.opt[_QUERY_NAMES] = frozenset(parameter.field_alias for parameter in model.expected_query_params)


async def _caller(connection: Connection, parts: Parts) -> access.Caller:
    scheme, _, token_text = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token_text:
        raise AuthenticationFailed("send a key: Authorization: Bearer im_...")
    token = access.read_token(token_text.strip())
    key = await parts.database.read(lambda session: store.find_key(session, token.id), tenant_id=None)
    return access.check_key(key, token, parts.vault, parts.clock.now())


async def _record_use(units: Units, key_id: UUID) -> None:
    """Note the key's use. A database that cannot be written must not keep people from reading."""
    try:
        await units.write(access.record_use, key_id)
    except Unavailable:
        logger.warning("use of a key not recorded", key_id=str(key_id))


async def _open_actor(connection: Connection, parts: Parts) -> Actor:
    """Serve without keys, but only whoever reached us through a loopback address."""
    server = connection.scope.get("server")
    if server is None or not is_loopback(str(server[0])):
        raise AuthenticationFailed("without keys this service answers on loopback only")
    name = access.DEFAULT_TENANT
    tenant = await parts.database.read(lambda session: store.find_tenant(session, name), tenant_id=None)
    if tenant is None:
        raise AuthenticationFailed("there is no tenant `default` to serve without keys")
    return Actor(tenant_id=tenant.id, kind=ActorKind.SYSTEM, name="anonymous", request_id=request_id(connection.scope))


def _fields(actor: Actor) -> dict[str, Any]:
    return {name: getattr(actor, name) for name in Actor.__struct_fields__}


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
