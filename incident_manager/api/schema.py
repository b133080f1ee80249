"""The OpenAPI description and its page, which loads nothing from outside: the script is a file of ours (vendor/)."""

from typing import Any, Final

from litestar import Controller, Request, Response, Router, get
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from incident_manager.api.health import VERSION
from incident_manager.rules.access import Policy
from incident_manager.settings import packaged_file

_SCRIPT: Final = "rapidoc-min.js"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"
)
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


class AssetController(Controller):
    """Files that our pages load."""

    path = "/assets"

    @get(f"/{_SCRIPT}", policy=Policy.PUBLIC, include_in_schema=False, sync_to_thread=True)
    def script(self) -> Response[bytes]:
        """Send the page's script."""
        content = (packaged_file("api") / "vendor" / _SCRIPT).read_bytes()
        headers = {"Cache-Control": "public, max-age=86400"}
        return Response(content, media_type="text/javascript; charset=utf-8", headers=headers)


def openapi_config() -> OpenAPIConfig:
    """Return how the API is described."""
    return OpenAPIConfig(
        title="Incident manager",
        version=VERSION,
        description="Alerts in, incidents out. A 2xx means committed. Errors are application/problem+json (RFC 9457).",
        path="/schema",
        render_plugins=[OfflinePage(path="/")],
        openapi_router=Router(
            path="/schema", route_handlers=[], opt={"policy": Policy.PUBLIC}, include_in_schema=False
        ),
        components=Components(
            security_schemes={"key": SecurityScheme(type="http", scheme="bearer", description="im_...")}
        ),
        security=[{"key": []}],
        use_handler_docstrings=True,
    )
