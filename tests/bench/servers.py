"""Servers under measurement, as processes of their own: ours as people start it, and the floors."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.cli.processes import KEY, Server, started

FLOORS_FILE = Path(__file__).with_name("floors.py")
MEBIBYTE = 1024 * 1024


class Served(NamedTuple):
    """A server that answers; `key` is "" where it asks for none."""

    url: str
    key: str
    process_id: int

    def resident_mebibytes(self) -> float:
        """Return how much memory the process holds (VmRSS of proc(5))."""
        status = Path(f"/proc/{self.process_id}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(line.split()[1]) * 1024 / MEBIBYTE


@contextmanager
def ours(folder: Path, database_url: str) -> Iterator[Served]:
    """Serve this checkout over a database, with the settings that it comes with."""
    with started(folder, "--port", "0", database__url=database_url) as server:
        yield _served(server)


@contextmanager
def floor(folder: Path, name: str) -> Iterator[Served]:
    """Serve what does next to nothing. Its folder is kept off the path of imports, where `floors` has neighbours."""
    with started(folder, command=(sys.executable, "-P", str(FLOORS_FILE), name)) as server:
        yield _served(server)


def _served(server: Server) -> Served:
    server.wait_until_serving()
    key = KEY.search(server.said)
    return Served(server.url, key[0] if key else "", server.process.pid)
