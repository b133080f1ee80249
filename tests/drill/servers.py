"""The API under fire: processes over one database and one data folder, and the ways in."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2

from tests.cli.processes import Server, started

WINDOW = {"dedup__window_seconds": "86400"}  # longer than any run: one problem is one incident
BATCH = "/v1/alerts/batch"
ABSENT = {404, 405}


class Access(NamedTuple):
    """What a client needs to post alerts in every form."""

    headers: dict[str, str]
    monitor: str  # the path that a monitor posts to
    batches: bool  # whether there is an address that takes many at once


def starting(folder: Path, url: str, **settings: str) -> AbstractContextManager[Server]:
    """Start a process; `wait_until_serving` waits for it."""
    return started(folder, "--port", "0", "--data-dir", "data", database__url=url, **WINDOW, **settings)


@contextmanager
def served(folder: Path, url: str, **settings: str) -> Iterator[Server]:
    """Serve with one process."""
    with starting(folder, url, **settings) as server:
        yield server.wait_until_serving()


@contextmanager
def fleet(folder: Path, url: str, count: int) -> Iterator[list[Server]]:
    """Serve with several processes; the first one makes what a first start makes."""
    with ExitStack() as stack:
        first = stack.enter_context(served(folder, url))
        others = [stack.enter_context(starting(folder, url)) for _ in range(count - 1)]
        yield [first, *(other.wait_until_serving() for other in others)]


def access(folder: Path, server: Server) -> Access:
    """Return the ways into a server of a folder; they work for every other process over its database."""
    headers = {"Authorization": f"Bearer {(folder / 'data/admin.key').read_text().strip()}"}
    with httpx2.Client(base_url=server.url, headers=headers, trust_env=False, timeout=30) as client:
        made = client.post("/v1/integrations", json={"name": "drill", "monitor": "generic"}).raise_for_status().json()
        batches = client.post(BATCH, json=[]).status_code not in ABSENT
    return Access(headers, f"/v1/integrations/generic/{made['key']}", batches)


def condition(server: Server) -> str:
    """Return what a server says of itself: healthy, or what is wrong."""
    return str(httpx2.get(f"{server.url}/health", trust_env=False, timeout=30).json()["status"])
