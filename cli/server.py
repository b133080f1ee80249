"""How the server runs: in this process, or as several processes behind one socket. Loaded by `serve` alone."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any, Final

import click
import uvicorn
import uvloop
from loguru import logger
from uvicorn.supervisors.multiprocess import Multiprocess

from cli.protocol import Config, Protocol
from incident_manager import memory, start
from incident_manager.app import create_app
from incident_manager.clock import SystemClock
from incident_manager.db import Database
from incident_manager.errors import StartRefused, inner
from incident_manager.settings import Settings, export

_APPLICATION: Final = "incident_manager.asgi:app"
_BACKLOG: Final = 2_048
_CLOSING_SECONDS: Final = 1.5  # after the last request: unused numbers are given back, connections closed
_WORKER_SECONDS: Final = 150.0  # longer than a start waits for another one's migration


class _Server(uvicorn.Server):
    """uvicorn's server, but for its signals, which are heard around it, and the line that says where it serves."""

    def __init__(self, config: uvicorn.Config, settings: Settings) -> None:
        super().__init__(config)
        self._settings: Final = settings

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do not: uvicorn raises the signal again at the end, and a stop that was asked for would end with an error."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        announce(f"Serving on {_address(self._settings)}")


class _Supervisor(Multiprocess):
    """uvicorn's supervisor, but that it says when all workers serve, and stops where one cannot."""

    failed = False

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], settings: Settings) -> None:
        super().__init__(config, sockets)
        self._settings: Final = settings

    def init_processes(self) -> None:
        """Start the workers and wait for them."""
        super().init_processes()
        if all(process.wait_until_ready(_WORKER_SECONDS) for process in self.processes):
            announce(f"Serving on {_address(self._settings)} with {len(self.processes)} workers")
        else:
            self.failed = True
            self.should_exit.set()


def announce(words: str) -> None:
    """Tell whoever started the server, at once; a reader that has gone away is no reason to stop."""
    with contextlib.suppress(BrokenPipeError):
        click.echo(words)


def serve_alone(settings: Settings, listener: socket.socket) -> None:
    """Serve in this process, until it is told to stop.

    1. The application's life is around the server's: what it refuses comes out here as it was raised.
    2. A signal while it starts ends the start. Afterwards the server stops listening and finishes what it accepted, for at
       most `server.stop_seconds`; a second signal changes nothing.
    3. Only then does the application close; where its database hangs, it is left.

    Raises StartRefused.
    """
    application = create_app(settings, announce=announce)
    server = _Server(_config(application, settings, lifespan="off"), settings)

    async def live() -> None:
        with _stopped_by_signals(server):
            async with asyncio.timeout(None) as limit, application.lifespan():
                _listen(listener, settings)
                memory.settle()
                await server.serve([listener])
                limit.reschedule(asyncio.get_running_loop().time() + _CLOSING_SECONDS)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(live())
        except asyncio.CancelledError:
            logger.info("stopped while starting")
        except TimeoutError:
            logger.warning("left without closing: the database does not answer")
        except BaseExceptionGroup as group:
            if refused := inner(group):
                raise refused from group
            raise


def serve_with_workers(settings: Settings, listener: socket.socket, flags: Mapping[str, object]) -> None:
    """Serve in processes of their own that share the socket; one that dies is replaced.

    The start is made here first: once, and with its refusal in this process. Workers find flags in their environment.

    Raises StartRefused.
    """
    asyncio.run(_prepare(settings))
    _listen(listener, settings)
    export(flags)
    config = _config(_APPLICATION, settings, lifespan="on", workers=settings.server.workers)
    supervisor = _Supervisor(config, [listener], settings)
    supervisor.run()
    if supervisor.failed:
        raise StartRefused("a worker did not start; what it said stands above")


async def _prepare(settings: Settings) -> None:
    database = Database(settings.database_url, settings.database)
    try:
        await start.prepare(settings, database, SystemClock(), announce)
    finally:
        await database.close()


def _listen(listener: socket.socket, settings: Settings) -> None:
    """Listen, here: uvloop would say nothing where another process bound the same port and listened first.

    Raises StartRefused.
    """
    try:
        listener.listen(_BACKLOG)
    except OSError as error:
        raise StartRefused(f"server.port: cannot listen on {_address(settings)}: {error.strerror}") from error


@contextlib.contextmanager
def _stopped_by_signals(server: _Server) -> Iterator[None]:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def stop(number: int, frame: FrameType | None) -> None:
        server.handle_exit(number, frame)
        if not server.started and task is not None:
            loop.call_soon_threadsafe(task.cancel)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _config(application: Any, settings: Settings, **more: Any) -> Config:
    return Config(
        application,
        request_seconds=settings.server.request_seconds,
        timeout_keep_alive=settings.server.keep_alive_seconds,
        loop="uvloop",
        http=Protocol,
        ws="none",
        backlog=_BACKLOG,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.server.trusted_proxies),
        forwarded_allow_ips=settings.server.trusted_proxies,
        timeout_graceful_shutdown=settings.server.stop_seconds,
        **more,
    )


def _address(settings: Settings) -> str:
    host = f"[{settings.server.host}]" if ":" in settings.server.host else settings.server.host
    return f"http://{host}:{settings.server.port}"
