"""What an ASGI server imports: `app`, from the settings of the environment."""

import functools
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from incident_manager import log
from incident_manager.app import create_app
from incident_manager.errors import StartRefused, inner
from incident_manager.settings import load

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
        else:
            await send(message)

    try:
        await application(scope, receive, hold)
    except BaseExceptionGroup as group:  # the framework's own task group is around everything that starts
        if refused := inner(group):
            for failure in failures:
                failure["message"] = f"incident-manager: {refused}"
        raise
    finally:
        for failure in failures:
            await send(failure)


try:
    _settings = load()
    log.configure(_settings.log.level)
    # flushed: the first key must be readable at once where standard output is a file or a pipe
    app = in_words(create_app(_settings, announce=functools.partial(print, flush=True)))
except StartRefused as refused:
    raise SystemExit(f"incident-manager: {refused}") from None
