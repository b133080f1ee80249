"""What an ASGI server imports: `app`, from the settings of the environment."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from loguru import logger

from incident_manager import log, memory
from incident_manager.app import create_app
from incident_manager.errors import StartRefused, inner
from incident_manager.settings import load

CLOSING_SECONDS: Final = 1.5  # after the last request: unused numbers are given back, connections closed

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


def in_words(application: Any) -> Application:
    """Return the application with a refusal to start told as one sentence, where the framework sends its whole trace.

    A server that is told of a failed start ends by itself (ASGI, lifespan 2.0); one that only meets an exception may
    take it for "knows no lifespan" and serve all the same.
    """

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(application, scope, receive, send)
        else:
            await application(scope, receive, send)

    return serve


async def _live(application: Application, scope: Message, receive: Receive, send: Send) -> None:
    """Hold a failure back until the exception that comes after it says what it was."""
    failures: list[Message] = []

    async def hold(message: Message) -> None:
        if message["type"].endswith(".failed"):
            failures.append(message)
            return
        if message["type"] == "lifespan.startup.complete":
            memory.settle()
        await send(message)

    try:
        await _close_in_time(application, scope, receive, hold)
    except BaseExceptionGroup as group:  # the framework's own task group is around everything that starts
        if refused := inner(group):
            for failure in failures:
                failure["message"] = f"incident-manager: {refused}"
        raise
    finally:
        for failure in failures:
            await send(failure)


async def _close_in_time(application: Application, scope: Message, receive: Receive, send: Send) -> None:
    """Give closing CLOSING_SECONDS; where the database hangs it is left, and the server ends in order."""
    limit = asyncio.timeout(None)

    async def start_the_limit() -> Message:
        message = await receive()
        if message["type"] == "lifespan.shutdown":
            limit.reschedule(asyncio.get_running_loop().time() + CLOSING_SECONDS)
        return message

    async def send_in_time(message: Message) -> None:
        if not limit.expired():
            await send(message)

    try:
        async with limit:
            await application(scope, start_the_limit, send_in_time)
    except TimeoutError:
        if not limit.expired():
            raise
        logger.warning("left without closing: the database does not answer")
        await send({"type": "lifespan.shutdown.complete"})


try:
    _settings = load()
    log.configure(_settings.log.level, _settings.log.format)
    # flushed: the first key must be readable at once where standard output is a file or a pipe
    app = in_words(create_app(_settings, announce=functools.partial(print, flush=True)))
except StartRefused as refused:
    raise SystemExit(f"incident-manager: {refused}") from None
