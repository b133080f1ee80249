"""The OpenAPI description and its page, which loads nothing from outside: the script is a file of ours (vendor/)."""

from typing import Any, Final

import msgspec
from litestar import Controller, Request, Response, Router, get
from litestar.connection import ASGIConnection
from litestar.enums import MediaType
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from incident_manager.api.health import VERSION
from incident_manager.api.openapi import complete
from incident_manager.errors import NotFound
from incident_manager.rules.access import Policy
from incident_manager.settings import packaged_file

_SCRIPT: Final = "rapidoc-min.js"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"
)
_PAGE_HEADERS: Final = {
    "Content-Security-Policy": f"{_POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
_PAGE: Final = f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>Incident manager: API</title><script type="module" src="/assets/{_SCRIPT}"></script></head>
<body><rapi-doc spec-url="/schema/openapi.json" load-fonts="false" render-style="focused" theme="light" show-header="false"
 allow-server-selection="false" persist-auth="false" sort-endpoints-by="path" schema-style="table"
 regular-font="system-ui, sans-serif" mono-font="ui-monospace, monospace"></rapi-doc></body>
</html>
"""


class OfflinePage(OpenAPIRenderPlugin):
    """The browsable page at /schema."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002
        """Return the page; it fetches the description itself."""
        return _PAGE.encode()


class Description(OpenAPIRenderPlugin):
    """The description itself, at /schema/openapi.json."""

    def __init__(self) -> None:
        super().__init__(path="/openapi.json", media_type=MediaType.JSON)
        self._rendered = b""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return it as JSON, made at the first request."""
        self._rendered = self._rendered or msgspec.json.encode(complete(request.app, openapi_schema))
        return self._rendered


class AssetController(Controller):
    """Files that our pages load."""

    path = "/assets"

    @get(f"/{_SCRIPT}", policy=Policy.PUBLIC, include_in_schema=False, sync_to_thread=True)
    def script(self) -> Response[bytes]:
        """Send the page's script."""
        content = (packaged_file("api") / "vendor" / _SCRIPT).read_bytes()
        headers = {"Cache-Control": "public, max-age=86400", "X-Content-Type-Options": "nosniff"}
        return Response(content, media_type="text/javascript", headers=headers)


def openapi_config() -> OpenAPIConfig:
    """Return how the API is described."""
    return OpenAPIConfig(
        title="Incident manager",
        version=VERSION,
        description="Alerts in, incidents out. A 2xx means committed. Errors are application/problem+json (RFC 9457).",
        path="/schema",
        render_plugins=[OfflinePage(path="/"), Description()],
        openapi_router=Router(
            path="/schema",
            route_handlers=[],
            guards=[_know_page],
            response_headers=_PAGE_HEADERS,
            opt={"policy": Policy.PUBLIC},
            include_in_schema=False,
        ),
        components=Components(
            security_schemes={"key": SecurityScheme(type="http", scheme="bearer", description="im_...")}
        ),
        security=[{"key": []}],
        operation_id_creator=_operation_id,
        use_handler_docstrings=True,
    )


def _know_page(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Refuse what stands below /schema and is nothing; the framework would answer it with a page of its own."""
    if "path" in connection.path_params:
        raise NotFound("no such address")


def _operation_id(handler: HTTPRouteHandler, _method: object, _path: object) -> str:
    noun, _, verb = str(handler).rpartition(".")
    return f"{noun.rpartition('.')[2].removesuffix('Controller').lower()}_{verb}"
