"""The server's command: checks the settings, takes the address, and hands over to `server.py`."""

import contextlib
import socket
from collections.abc import Iterator

import rich_click as click

from cli import local
from incident_manager.errors import StartRefused


@click.command("serve")
@click.option("--host", help="Address to listen on.  [default: the setting server.host]")
@click.option("--port", type=click.IntRange(0, 65_535), help="0 takes a free one.  [default: the setting server.port]")
@click.option(
    "--workers", type=click.IntRange(1), help="Processes; PostgreSQL only.  [default: the setting server.workers]"
)
@click.option("--no-migrate", is_flag=True, help="Refuse an older schema instead of upgrading it.")
@local.options
def serve(host: str | None, port: int | None, workers: int | None, no_migrate: bool) -> None:
    """Serve the API until SIGTERM or Ctrl-C.

    An empty database gets its schema, the tenant `default` and an admin key, which is shown this once.
    """
    from incident_manager import log
    from incident_manager.settings import load

    flags = local.flags(
        {
            "server.host": host,
            "server.port": port,
            "server.workers": workers,
            "database.migrate": False if no_migrate else None,
        }
    )
    settings = load(flags)
    log.configure(settings.log.level, settings.log.format)
    with _bound(settings.server.host, settings.server.port) as listener:
        from cli import server

        flags["server.port"] = listener.getsockname()[1]  # where it was 0, links need the real one
        settings = load(flags)
        if settings.server.workers == 1:
            server.serve_alone(settings, listener)
        else:
            server.serve_with_workers(settings, listener, flags)


@contextlib.contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    """Take the address before anything else is touched. It listens later, when there is something to answer.

    Raises StartRefused.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = min(
            found, key=lambda one: one[0] != socket.AF_INET
        )  # localhost: 127.0.0.1
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _refused(host, port, error) from error
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError as error:
            raise _refused(host, port, error) from error
        listener.set_inheritable(True)
        yield listener


def _refused(host: str, port: int, error: OSError) -> StartRefused:
    return StartRefused(f"server.host, server.port: cannot listen on {host}, port {port}: {error.strerror}")
