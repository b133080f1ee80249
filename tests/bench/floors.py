"""Servers that do next to nothing, run as a program with a floor's name: what any server of this kind costs.

It is started by its path, so that it needs nothing of the tests.
"""

import asyncio
import gc
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import click
import msgspec
import uvicorn
import uvloop
from litestar import Litestar, post
from litestar.params import JSONBody

from incident_manager.schemas.alerts import AlertIn

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON = [(b"content-type", b"application/json")]


class Answer(msgspec.Struct):
    """Three fields, as an intake that decides nothing would answer them."""

    status: str
    title: str
    occurrences: int


@post("/v1/alerts")
async def submit(data: JSONBody[AlertIn]) -> Answer:
    return Answer("Accepted", data.title, 1)


def handler() -> Application:
    """A Litestar handler that decodes the alert and answers."""
    return Litestar([submit], logging_config=None, openapi_config=None)


def fast_path() -> Application:
    """An ASGI callable in front of the same application, with the same decoding and answer, the collector tuned."""
    application, read, write = handler(), msgspec.json.Decoder(AlertIn), msgspec.json.Encoder()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 1_000)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != "/v1/alerts":
            await application(scope, receive, send)
            return
        alert = read.decode(await whole(receive))
        await answer(send, write.encode(Answer("Accepted", alert.title, 1)))

    return serve


def raw() -> Application:
    """An ASGI callable that reads the body and answers the same bytes to all."""
    same = msgspec.json.encode(Answer("Accepted", "Disk is full", 1))

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await whole(receive)
            await answer(send, same)

    return serve


FLOORS: dict[str, Callable[[], Application]] = {"handler": handler, "fast path": fast_path, "raw ASGI": raw}


async def whole(receive: Receive) -> bytes:
    """Return the body."""
    message = await receive()
    body: bytes = message["body"]
    while message["more_body"]:
        message = await receive()
        body += message["body"]
    return body


async def answer(send: Send, body: bytes) -> None:
    """Answer 201."""
    headers = [*JSON, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def serve(name: str) -> None:
    """Serve a floor on a free port, and say where."""
    with socket.create_server(("127.0.0.1", 0), backlog=2_048) as listener:
        config = uvicorn.Config(
            FLOORS[name](), http="httptools", access_log=False, log_config=None, lifespan="off", proxy_headers=False
        )
        click.echo(f"Serving on http://127.0.0.1:{listener.getsockname()[1]}")
        await uvicorn.Server(config).serve([listener])


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sys.argv[1]))
