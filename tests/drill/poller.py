"""Asks a server whether it is alive, without a pause, until standard input ends: `python -m tests.drill.poller URL`.

Prints the longest time between two answers, in milliseconds. A process of its own, so that nothing else that the drill does
makes it late.
"""

import http.client
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.cli.processes import environment


class Poll:
    """The longest gap between two signs of life, once it has ended."""

    gap = 0.0


@contextmanager
def polled(url: str) -> Iterator[Poll]:
    """Ask the server whether it is alive for as long as the block takes."""
    command = [sys.executable, "-m", "tests.drill.poller", url]
    poll = Poll()
    with subprocess.Popen(
        command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield poll
        poll.gap = float(process.communicate()[0])


def longest_gap(url: str, ended: threading.Event) -> float:
    """Poll until told to end and return the longest gap, in milliseconds."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    longest, last = 0.0, time.perf_counter()
    while not ended.is_set():
        connection.request("GET", "/health/live")
        response = connection.getresponse()
        response.read()
        if response.status != http.client.OK:
            raise SystemExit(f"not alive: {response.status}")
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
        time.sleep(0.001)
    return longest * 1000


def _main(url: str) -> None:
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    sys.stdout.write(f"{longest_gap(url, ended)}\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
