"""Clients that are slow, lie about their bodies or never stop: over sockets, against a server that gives them a second."""

import re
import select
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import chain, cycle, islice
from urllib.parse import urlsplit

import httpx2
import msgspec
import pytest

from tests.cli.processes import KEY, Server, started
from tests.make import alert

ALERT = msgspec.json.encode(alert())
LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
PAGE = b"GET /assets/rapidoc-min.js HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked"
SAID = b"Content-Length: %d" % len(ALERT)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    limits = {"server__request_seconds": "1", "server__keep_alive_seconds": "1"}
    with started(tmp_path_factory.mktemp("hasty"), "--port", "0", **limits) as served:
        yield served.wait_until_serving()


def connected(server: Server) -> socket.socket:
    return socket.create_connection((urlsplit(server.url).hostname, urlsplit(server.url).port), timeout=20)


def head(server: Server, *headers: bytes, path: str = "/v1/alerts") -> bytes:
    """Return the head of a write of an admin's."""
    key = KEY.search(server.said)[0].encode()
    lines = (b"POST %s HTTP/1.1" % path.encode(), b"Host: x", b"Authorization: Bearer " + key)
    return b"\r\n".join([*lines, b"Content-Type: application/json", *headers, b"", b""])


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def until_closed(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def exchange(server: Server, sent: bytes) -> bytes:
    """Send everything, and return what is answered until the server closes the connection."""
    with connected(server) as connection:
        connection.sendall(sent)
        return until_closed(connection)


def statuses(answered: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answered)]


def problem(answered: bytes) -> tuple[int, str]:
    """Check that the last answer is a problem that closes the connection, and return its status and code."""
    start, _, body = answered[answered.rindex(b"HTTP/1.1 ", 0, answered.rindex(b"\r\n\r\n")) :].partition(b"\r\n\r\n")
    lines = set(start.lower().split(b"\r\n"))
    assert lines >= {b"content-type: application/problem+json", b"connection: close"}
    assert b"x-request-id: " in start
    found = msgspec.json.decode(body)
    return found["status"], found["code"]


# --- slow ----------------------------------------------------------------------------------------------------------------


def slow_cases(server: Server) -> dict[str, tuple[bytes, bytes]]:
    """Return what each slow client sends at once, and what it goes on with, a byte at a time."""
    chunked, said = head(server, CHUNKED), head(server, b"Content-Length: 100000")
    return {
        "stops in its head": (b"POST /v1/alerts HTTP/1.1\r\nHo", b""),
        "drips its head": (b"GET /health HTTP/1.1\r\nX: ", b"x"),
        "drips empty lines": (b"\r", b"\n\r"),
        "drips a head after a request": (LIVE + b"GET /", b"x"),
        "stops in its body": (said + b"{", b""),
        "drips its body": (said, b" "),
        "stops in a chunk": (chunked + b"5\r\n", b""),
        "drips chunks": (chunked, chunk(b" ")),
        "says more than it sends": (head(server, b"Content-Length: %d" % (len(ALERT) + 1)) + ALERT, b""),
        "drips a body that nobody wants": (b"POST /v1/alerts HTTP/1.1\r\nContent-Length: 100000\r\n\r\n", b" "),
        "asks nothing": (b"", b""),
        "asks nothing more": (LIVE, b""),
    }


def dripped(server: Server, at_once: bytes, then: bytes) -> bytes:
    """Send the one, then the bytes of the other over and over again, slowly; return what came until the server ended it."""
    answered, drops = b"", chain((bytes([byte]) for byte in cycle(then)), cycle([b""]))
    with connected(server) as connection, suppress(ConnectionError):
        connection.sendall(at_once)
        for drop in islice(drops, 400):
            if not select.select([connection], [], [], 0.05)[0]:
                connection.sendall(drop)
            elif data := connection.recv(65_536):
                answered += data
            else:
                return answered
        raise AssertionError(f"it was left waiting: {at_once!r}, {then!r}")
    return answered


@pytest.fixture(scope="module")
def slow(server: Server) -> dict[str, bytes]:
    """What each slow client is answered; they are there together."""
    cases = slow_cases(server)
    with ThreadPoolExecutor(len(cases)) as clients:
        answers = [clients.submit(dripped, server, *case) for case in cases.values()]
        return {name: answer.result() for name, answer in zip(cases, answers, strict=True)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("stops in its head", [408]),
        ("drips its head", [408]),
        ("drips empty lines", [408]),
        ("drips a head after a request", [200, 408]),
        ("stops in its body", [408]),
        ("drips its body", [408]),
        ("stops in a chunk", [408]),
        ("drips chunks", [408]),
        ("says more than it sends", [408]),
        ("drips a body that nobody wants", [401]),
        ("asks nothing", []),
        ("asks nothing more", [200]),
    ],
)
def test_who_is_too_slow_is_told_and_left(slow: dict[str, bytes], name: str, expected: list[int]) -> None:
    assert statuses(slow[name]) == expected
    if expected[-1:] == [408]:
        assert problem(slow[name]) == (408, "MALFORMED_REQUEST")


def test_slow_clients_keep_nobody_from_being_served(server: Server) -> None:
    with ExitStack() as held:
        slow_ones = [held.enter_context(connected(server)) for _ in range(100)]
        for number, connection in enumerate(slow_ones):
            connection.sendall(b"POST /v1/al" if number % 2 else head(server, SAID))
        assert statuses(exchange(server, head(server, SAID, b"Connection: close") + ALERT))[0] in {200, 201}
        assert [statuses(until_closed(connection)) for connection in slow_ones] == [[408]] * 100


def test_who_does_not_take_the_answers_is_cut_off(server: Server) -> None:
    with connected(server) as connection, pytest.raises(ConnectionError):
        ask_for_ever(connection)


def ask_for_ever(connection: socket.socket) -> None:
    while True:
        connection.sendall(PAGE)


# --- too much ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /health HTTP/1.1\r\nX: " + b"a" * 10_000_000,
        b"GET /health HTTP/1.1\r\n" + b"X: a\r\n" * 100_000,
        b"GET /" + b"a" * 1_000_000,
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"\r\n" * 100_000,
    ],
    ids=["header", "headers", "address", "whole address", "empty lines"],
)
def test_a_head_has_64_kib(server: Server, sent: bytes) -> None:
    answered = exchange(server, sent)
    assert (statuses(answered), problem(answered)) == ([400], (400, "MALFORMED_REQUEST"))


def test_a_head_below_it_is_read_in_pieces(server: Server) -> None:
    with connected(server) as connection:
        for piece in (
            b"GET /health/live HTTP/1.1\r\nConnection: close\r\nX: ",
            b"a" * 30_000,
            b"a" * 30_000,
            b"\r\n\r\n",
        ):
            connection.sendall(piece)
        assert statuses(until_closed(connection)) == [200]


def test_what_comes_behind_a_body_has_the_same_limit(server: Server) -> None:
    behind = chunk(ALERT) + b"0\r\n" + b"X: " + b"a" * 70_000 + b"\r\n\r\n"
    assert statuses(exchange(server, head(server, CHUNKED) + behind)) == [400]


@pytest.fixture(scope="module")
def address(server: Server) -> str:
    """The path of an integration, which takes larger bodies."""
    headers = {"Authorization": f"Bearer {KEY.search(server.said)[0]}"}
    made = httpx2.post(f"{server.url}/v1/integrations", json={"name": "g", "monitor": "generic"}, headers=headers)
    return urlsplit(made.json()["url"]).path


def padded(size: int) -> bytes:
    return ALERT[:-1] + b" " * (size - len(ALERT)) + b"}"


@pytest.mark.parametrize("limit", [256 * 1024, 1024 * 1024])
def test_a_body_over_the_limit_is_refused_before_it_comes(server: Server, address: str, limit: int) -> None:
    path = address if limit > 256 * 1024 else "/v1/alerts"
    for said in (limit + 1, 1_000_000_000):
        answered = exchange(server, head(server, b"Content-Length: %d" % said, path=path))
        assert problem(answered) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("limit", [256 * 1024, 1024 * 1024])
def test_a_body_that_goes_on_is_refused_where_it_passes_the_limit(server: Server, address: str, limit: int) -> None:
    path = address if limit > 256 * 1024 else "/v1/alerts"
    without_end = chunk(padded(limit)) + b"1000\r\n "
    assert problem(exchange(server, head(server, CHUNKED, path=path) + without_end)) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("limit", [256 * 1024, 1024 * 1024])
def test_a_body_of_the_limit_is_taken(server: Server, address: str, limit: int) -> None:
    path = address if limit > 256 * 1024 else "/v1/alerts"
    said = head(server, b"Content-Length: %d" % limit, path=path) + padded(limit)
    chunked = head(server, CHUNKED, b"Connection: close", path=path) + chunk(padded(limit)) + b"0\r\n\r\n"
    first, second = statuses(exchange(server, said + chunked))
    assert {first, second} <= {200, 201}


def test_who_sends_far_too_much_before_it_listens_hears_the_answer(server: Server) -> None:
    sent = head(server, b"Content-Length: 10000000") + b" " * 10_000_000
    assert problem(exchange(server, sent)) == (413, "PAYLOAD_TOO_LARGE")


# --- not what it says ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        (SAID, CHUNKED),
        (CHUNKED, SAID),
        (SAID, SAID),
        (SAID, b"Content-Length: 3"),
        (SAID + b", " + SAID[16:],),
        (b"Content-Length: +3",),
        (b"Content-Length: -1",),
        (b"Content-Length: 0x1f",),
        (b"Content-Length: 99999999999999999999",),
        (b"Transfer-Encoding: gzip, chunked",),
        (b"Transfer-Encoding: gzip", CHUNKED),
        (b"Transfer-Encoding: identity",),
        (b"Transfer-Encoding: xchunked",),
        (b"Transfer-Encoding : chunked",),
        (b"X: a\r\n b", SAID),
        (b"X: a\n" + SAID,),
    ],
    ids=lambda headers: str(b" | ".join(headers)),
)
def test_a_body_whose_end_two_readers_may_see_differently_is_refused(
    server: Server, headers: tuple[bytes, ...]
) -> None:
    answered = exchange(server, head(server, *headers) + chunk(ALERT) + b"0\r\n\r\n" + LIVE)
    assert (statuses(answered), problem(answered)) == ([400], (400, "MALFORMED_REQUEST"))


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x00\x05",
        b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_http_is_answered_like_every_other_error(server: Server, sent: bytes) -> None:
    assert problem(exchange(server, sent)) == (400, "MALFORMED_REQUEST")


def test_what_is_too_much_of_a_body_is_a_next_request_and_a_bad_one(server: Server) -> None:
    answered = exchange(server, head(server, SAID) + ALERT + b"xx}")
    assert statuses(answered)[0] in {200, 201}
    assert problem(answered) == (400, "MALFORMED_REQUEST")


@pytest.mark.parametrize(
    "bad", [b"nonsense\r\n\r\n", b"POST /v1/alerts HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"]
)
def test_what_was_asked_before_it_is_answered_before_it(server: Server, bad: bytes) -> None:
    assert statuses(exchange(server, LIVE * 3 + bad)) == [200, 200, 200, 400]


def test_a_chunk_that_is_none_is_refused(server: Server) -> None:
    assert statuses(exchange(server, head(server, CHUNKED) + chunk(b"{") + b"zz\r\n")) == [400]


def test_headers_behind_a_body_are_none_of_the_requests(server: Server) -> None:
    behind = chunk(ALERT) + b"0\r\nContent-Encoding: gzip\r\nIdempotency-Key: \r\n\r\n"
    [status] = statuses(exchange(server, head(server, CHUNKED, b"Connection: close") + behind))
    assert status in {200, 201}


def test_what_anybody_can_send_fills_no_log(server: Server) -> None:
    before = server.errors.count("\n")
    asking = LIVE[:-2] + b"Connection: close, Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert statuses(exchange(server, asking)) == [200]
    assert statuses(exchange(server, b"nonsense\r\n\r\n")) == [400]
    assert server.errors.count("\n") == before
