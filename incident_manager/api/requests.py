"""How bodies are read: JSON within our bounds, straight into the handler's struct."""

import asyncio
from typing import Any, get_args

from litestar import Request
from litestar.exceptions import InternalServerException

from incident_manager.api.parts import parts_of
from incident_manager.errors import MalformedRequest, RequestTimeout, UnsupportedMediaType
from incident_manager.schemas.decoding import decode


class StrictRequest(Request[Any, Any, Any]):
    """A request whose JSON is read by schemas/decoding.py instead of the framework's lenient way."""

    async def body(self) -> bytes:
        """Return the body. A caller who leaves before it is whole is no defect of ours, as the framework has it.

        Raises PayloadTooLarge (the framework's), MalformedRequest, and RequestTimeout where it takes too long to come.
        """
        seconds = parts_of(self).settings.server.request_seconds
        try:
            async with asyncio.timeout(seconds):
                return await super().body()
        except TimeoutError as error:
            raise RequestTimeout(f"the body did not arrive within {seconds} s") from error
        except InternalServerException as error:
            raise MalformedRequest("the connection ended before the body did") from error

    async def json(self) -> Any:
        """Return the body as the handler's type of `data`.

        Raises UnsupportedMediaType, MalformedRequest, ValidationFailed.
        """
        require_media_type(self, ("application/json",))
        annotation = self.route_handler.parsed_data_field.annotation  # type: ignore[union-attr]
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)] or [annotation]
        return decode(await self.body(), kinds[0])


def require_media_type(request: Request[Any, Any, Any], taken: tuple[str, ...]) -> None:
    """Refuse a body of another content type, or in another encoding than UTF-8 or compressed.

    Raises UnsupportedMediaType.
    """
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    if kind.strip().lower() not in taken:
        raise UnsupportedMediaType(f"the content type must be {' or '.join(taken)}, is {kind.strip() or 'missing'}")
    for parameter in parameters.split(";"):
        name, _, charset = parameter.partition("=")
        if name.strip().lower() == "charset" and charset.strip('" ').lower() not in {"utf-8", "utf8"}:
            raise UnsupportedMediaType("the charset must be UTF-8")
    if request.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise UnsupportedMediaType("the body must not be compressed")
