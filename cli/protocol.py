"""How HTTP/1.1 is read from a connection: uvicorn's reading, bounded in time and size, with errors in our form.

uvicorn waits for ever for the rest of a request and for whoever does not take an answer, keeps a head of any size, and answers
what it cannot read before what it could. A client has `server.request_seconds` here for the head of a request and, by
api/requests.py, as many for its body; it has them again to take the answer.
"""

import asyncio
from enum import Enum, auto
from typing import Any, Final, cast

import httptools
import uvicorn
from loguru import logger
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from incident_manager.api.problems import PROBLEM_JSON, document
from incident_manager.errors import MalformedRequest, RequestError, RequestTimeout
from incident_manager.ids import new_id

HEAD_BYTES: Final = 65_536
REST_BYTES: Final = (
    16 * 1024 * 1024
)  # what is read and dropped of a body that nobody wants, so that the answer is heard
_LINGER_SECONDS: Final = 2.0
_PHRASES: Final = {MalformedRequest.status: "Bad Request", RequestTimeout.status: "Request Timeout"}


class Config(uvicorn.Config):
    """uvicorn's, and the time that a client has."""

    def __init__(self, *arguments: Any, request_seconds: int, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.request_seconds: Final = request_seconds


class _Part(Enum):
    """What of a request was read last."""

    NOTHING = auto()  # or all of it
    HEAD = auto()
    BODY = auto()


class _Way:
    """The transport as an answer sees it: to close it is the protocol's business.

    What is written in one turn of the loop is sent at once: uvicorn writes a head and a body, and two calls cost twice.
    """

    def __init__(self, protocol: "Protocol") -> None:
        self._protocol: Final = protocol
        self._held: Final[list[bytes]] = []

    def write(self, data: bytes) -> None:
        """Send soon; nothing where the connection has ended, which uvicorn tells the newest of its requests only."""
        if self._protocol.is_ending():
            return
        if not self._held:
            self._protocol.loop.call_soon(self.flush)
        self._held.append(data)

    def flush(self) -> None:
        """Send what is held, and expect it to be taken."""
        if self._held:
            data = b"".join(self._held)
            self._held.clear()
            if not self._protocol.is_ending():
                self._protocol.transport.write(data)
                self._protocol.expect_to_be_read()

    def is_closing(self) -> bool:
        """Say whether anything more can be answered."""
        return self._protocol.is_ending()

    def close(self) -> None:
        """End the connection after what was written."""
        self._protocol.end()


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._seconds: Final = cast("Config", self.config).request_seconds
        self._way: Final = _Way(self)
        self._part = _Part.NOTHING
        self._unanswered = 0
        self._raw_bytes = self._head_bytes = self._rest_bytes = 0
        self._refusal: RequestError | None = None
        self._lingers = False
        self._reading: asyncio.TimerHandle | None = None
        self._taking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Wait for a first request no longer than for a next one."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the limits."""
        self._wait_no_longer()
        self._expect_nothing()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; the time runs from the first byte of a request, whatever it is."""
        if self._refusal or self._lingers:
            self._drop(data)
            return
        if self._part is _Part.NOTHING:
            self._begin()
        elif self._part is _Part.HEAD:
            self._raw_bytes += len(data)  # a header that goes on and on is told to nobody before it ends
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            logger.debug("not HTTP", error=type(error).__name__)  # no louder: anybody could fill the log
            self.send_400_response("")
        except httptools.HttpParserUpgrade:
            logger.debug("upgrade passed over")  # as it may be: RFC 9110, 7.8
        if self._part is _Part.HEAD and self._raw_bytes > HEAD_BYTES and not self._refusal:
            self.send_400_response("")
        if self._part is not _Part.NOTHING and self._reading is None and not self.is_ending():
            self._reading = self.loop.call_later(self._seconds, self._out_of_time)

    def on_message_begin(self) -> None:
        """Begin a request, maybe in the middle of what was received."""
        super().on_message_begin()
        self._begin()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the address."""
        self._head_bytes += len(url)
        if self._head_bytes > HEAD_BYTES:
            raise OverflowError  # of which the parser makes an error of its own, which ends in `send_400_response`
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; one behind the body (RFC 9110, 6.5) is none of those that were looked at, and left out.

        A body that is compressed on the way is refused (RFC 9112, 6.1), since a proxy may find another end of it than we do.
        """
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > HEAD_BYTES:
            raise OverflowError
        if name.lower() == b"transfer-encoding" and value.strip().lower() != b"chunked":
            raise ValueError
        if self._part is _Part.HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Let the application begin."""
        super().on_headers_complete()
        self.cycle.transport = self._way  # type: ignore[assignment] # it has what an answer uses of one
        self._part = _Part.BODY
        self._unanswered += 1

    def on_body(self, body: bytes) -> None:
        """Hand on a piece of the body; one that nobody wants any more has a limit."""
        if self.cycle.response_complete:
            self._drop(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request is whole."""
        super().on_message_complete()
        self._part = _Part.NOTHING
        self._wait_no_longer()

    def on_response_complete(self) -> None:
        """Go on to the next request, or to what could not be read of it."""
        self._unanswered -= 1
        if self._lingers:
            return
        super().on_response_complete()
        if self._refusal and not self._unanswered:
            self._write(self._refusal)

    def pause_writing(self) -> None:
        """Wait for the client to take what is written, but not for ever."""
        super().pause_writing()
        self.expect_to_be_read()

    def resume_writing(self) -> None:
        """Write on: it reads."""
        super().resume_writing()
        self.expect_to_be_read()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's signature; its words are its own
        """Answer what cannot be read as HTTP, and close the connection."""
        self._refuse(MalformedRequest("this is not HTTP/1.1 as RFC 9112 has it, or its address or head is over 64 KiB"))

    def is_ending(self) -> bool:
        """Say whether nothing more will be answered here."""
        return self._lingers or self.transport.is_closing()

    def end(self) -> None:
        """Close, but where a body is still coming in say so first and let it come for a while.

        A connection that is closed over unread bytes is reset (RFC 9112, 9.6), and the answer may be lost with it.
        """
        self._way.flush()
        if self._part is _Part.NOTHING or self.is_ending():
            self.transport.close()
            return
        self._lingers = True
        self.transport.write_eof()
        self.flow.resume_reading()
        self._wait_no_longer()
        self._reading = self.loop.call_later(_LINGER_SECONDS, self.transport.abort)

    def _begin(self) -> None:
        self._part = _Part.HEAD
        self._raw_bytes = self._head_bytes = self._rest_bytes = 0

    def _drop(self, data: bytes) -> None:
        self._rest_bytes += len(data)
        if self._rest_bytes > REST_BYTES:
            self.transport.abort()

    def _out_of_time(self) -> None:
        """End the connection of a client that is too slow."""
        self._reading = None
        if self._unanswered:  # not its fault alone: the application is at work, and has a limit of its own for bodies
            self._reading = self.loop.call_later(self._seconds, self._out_of_time)
        elif self._part is _Part.BODY:  # answered long ago
            self.transport.abort()
        else:
            self._refuse(RequestTimeout(f"the head of the request did not arrive within {self._seconds} s"))

    def _refuse(self, error: RequestError) -> None:
        """Answer an error in place of the application, in its turn: after the answers to the requests before it."""
        before = self._unanswered
        if self._part is _Part.BODY:
            if self.pipeline:  # the request has not begun, and will not
                self.pipeline.popleft()
                self._unanswered -= 1
            if self.cycle.response_started:
                self.transport.abort()
                return
            before -= 1
        if before:
            self._refusal = error
        else:
            self._write(error)

    def _write(self, error: RequestError) -> None:
        if self.is_ending():
            return
        body = document(error, "/")
        head = (
            f"HTTP/1.1 {error.status} {_PHRASES[error.status]}",
            f"content-type: {PROBLEM_JSON}",
            f"content-length: {len(body)}",
            f"x-request-id: {new_id()}",
            "connection: close",
        )
        self._way.flush()
        self.transport.write("\r\n".join([*head, "", ""]).encode() + body)
        self._part = _Part.HEAD
        self.end()

    def expect_to_be_read(self) -> None:
        """Cut the connection of a client that does not take what is written."""
        self._expect_nothing()
        if self.transport.get_write_buffer_size():
            self._taking = self.loop.call_later(self._seconds, self._not_taken)

    def _not_taken(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _expect_nothing(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _wait_no_longer(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
