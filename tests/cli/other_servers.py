"""A server that answers whatever a test wants: for what a client must come through."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Other:
    """Gives one answer to every request, and keeps the headers it was sent."""

    def __init__(self) -> None:
        self._answer = (200, "application/json", b"{}")
        self.received: list[dict[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def answers(self, status: int, content_type: str, body: bytes) -> None:
        self._answer = (status, content_type, body)

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        other = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                other.received.append(dict(self.headers))
                status, content_type, body = other._answer
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler
