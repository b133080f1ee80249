"""A way to a PostgreSQL that can be cut, or go quiet without being closed."""

import socket
from contextlib import ExitStack, suppress
from threading import Event, Thread
from urllib.parse import parse_qs, urlsplit


class Forwarder:
    """Listens on a port and passes everything on to the server of a database's address."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        folder = parse_qs(parts.query).get("host")
        self._to = (folder[0], parts.port or 5432) if folder else (parts.hostname, parts.port or 5432)
        self._listener = socket.create_server(("127.0.0.1", 0))
        user, _, _ = parts.netloc.rpartition("@")
        self.url = f"postgresql://{user}@127.0.0.1:{self._listener.getsockname()[1]}{parts.path}"
        self._quiet = Event()
        self._sockets = ExitStack()
        Thread(target=self._accept, daemon=True).start()

    def go_quiet(self) -> None:
        """Pass nothing on any more; nobody is told."""
        self._quiet.set()

    def cut(self) -> None:
        """Close everything."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._sockets.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = self._reach()
                for one in (near, far):
                    self._sockets.callback(_end, one)
                for source, target in ((near, far), (far, near)):
                    Thread(target=self._pass, args=(source, target), daemon=True).start()

    def _reach(self) -> socket.socket:
        host, port = self._to
        if not str(host).startswith("/"):
            return socket.create_connection((str(host), port))
        far = socket.socket(socket.AF_UNIX)
        far.connect(f"{host}/.s.PGSQL.{port}")
        return far

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while block := source.recv(65536):
                if not self._quiet.is_set():
                    target.sendall(block)
            if not self._quiet.is_set():
                target.shutdown(socket.SHUT_WR)


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
