"""A client for load: HTTP/1.1 over connections that are kept, on asyncio. It hides nothing: no retry, no redirect, no pool."""

import asyncio
import json
from typing import Any, NamedTuple

NO_ANSWER = (OSError, EOFError)  # what comes out where a connection breaks, or cannot be opened


class Answer(NamedTuple):
    """What a server said; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: Any


class Client:
    """Posts one thing after the other, to whichever server it is told; it keeps one connection to each."""

    def __init__(self) -> None:
        self._streams: dict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}

    async def post(self, host: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Return the answer, or raise one of NO_ANSWER where there is none."""
        reader, writer = await self._stream(host)
        lines = {"Host": host, "Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        try:
            writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
            answer = await _read(reader)
        except BaseException:  # cancelled too: what is answered late would be taken for the next answer
            self.leave(host)
            raise
        if answer.headers.get("connection") == "close":
            self.leave(host)
        return answer

    def leave(self, *hosts: str) -> None:
        """Close the connections to these servers, to all where none is named."""
        for host in hosts or tuple(self._streams):
            if stream := self._streams.pop(host, None):
                stream[1].close()

    async def _stream(self, host: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if host in self._streams and self._streams[host][0].at_eof():  # a server may close what rests
            self.leave(host)
        if host not in self._streams:
            name, _, port = host.rpartition(":")
            self._streams[host] = await asyncio.open_connection(name, int(port))
        return self._streams[host]


async def _read(reader: asyncio.StreamReader) -> Answer:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers["content-length"]))
    return Answer(int(first.split()[1]), headers, json.loads(body))
