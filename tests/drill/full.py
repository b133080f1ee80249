"""There is no room left on the disk while alerts come in: they are refused, and taken again as soon as there is room.

The disk is a small file system in memory, where this machine lets one be mounted. Where not, SQLite's server is forbidden to
let files grow (RLIMIT_FSIZE), and PostgreSQL is left out.
"""

import asyncio
import os
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from tests.cli.processes import Server
from tests.drill.deliveries import mixed
from tests.drill.invariants import Invariant, skipped, within
from tests.drill.load import BROKEN, GOOD, UNAVAILABLE, Load, held
from tests.drill.own_postgres import own_postgres
from tests.drill.plan import Plan
from tests.drill.servers import access, served
from tests.drill.stored import looked_at
from tests.postgres import address, execute

SIZE_MEBIBYTES = 64
BACK_SECONDS = 3.0
WARM_SECONDS = 0.5  # of load before and after

Filled = Callable[[Server], AbstractContextManager[None]]


def run(plan: Plan) -> list[Invariant]:
    """Fill the disk of each engine once, then look into it."""
    found = []
    for engine in plan.engines:
        drill, disk = f"full {engine.name}", plan.folder / f"full-{engine.name}"
        disk.mkdir()
        on = _on_postgres if engine.server else _on_sqlite
        with mounted(disk) as refused:
            found += on(drill, disk, plan, refused)
    return found


def _on_sqlite(drill: str, disk: Path, plan: Plan, refused: str) -> list[Invariant]:
    if refused and not hasattr(resource, "prlimit"):
        return [skipped(drill, "a full disk is survived", f"{refused}; and only Linux limits another process's files")]
    file = disk / "incidents.db"
    full: Filled = (lambda server: limited(server, file)) if refused else (lambda _: filled(disk))
    return [*under_load(drill, f"sqlite:///{file}", plan, full)]


def _on_postgres(drill: str, disk: Path, plan: Plan, refused: str) -> list[Invariant]:
    if refused:
        return [skipped(drill, "a full disk is survived", refused)]
    with own_postgres(plan.folder / "full-pg") as postgres:
        shutil.chown(disk, postgres.user or os.getuid())
        server = postgres.engine.server
        for statement in (f"CREATE TABLESPACE small LOCATION '{disk}'", "CREATE DATABASE drill TABLESPACE small"):
            asyncio.run(execute(server, statement))
        return [*under_load(drill, address(server, "drill"), plan, lambda _: filled(disk))]


def under_load(drill: str, url: str, plan: Plan, full: Filled) -> Iterator[Invariant]:
    """Post alerts to a server whose disk is full for a while."""
    folder = plan.folder / f"{drill.replace(' ', '-')}-api"
    with served(folder, url) as server:
        with Load(mixed(access(folder, server), plan.seed), clients=plan.clients) as load:
            load.to(server.url)
            load.until(load.results.__len__, "it takes alerts")
            time.sleep(WARM_SECONDS)  # a span of load, not a wait for something
            with full(server):
                began = time.monotonic()
                load.until(lambda: next(load.times(UNAVAILABLE, since=began), None), "alerts are refused")
                time.sleep(plan.full_seconds)  # the span that is wanted
            room = time.monotonic()
            load.until(lambda: next(load.times(*GOOD, since=room), None), "it takes alerts again")
            time.sleep(WARM_SECONDS)  # a span of load, not a wait for something
            load.finish()
        refused, broken = [*load.times(UNAVAILABLE)], [*load.times(BROKEN)]
        yield Invariant(drill, "meanwhile 503 is answered", bool(refused), f"{len(refused):,} times")
        yield within(drill, "2xx again after there is room", [next(load.times(*GOOD, since=room)) - room], BACK_SECONDS)
        alive = server.process.poll() is None and not broken
        yield Invariant(
            drill, "the API lives on, and answers everybody", alive, f"{len(broken)} of {len(load.seen):,} not"
        )
        yield from held(drill, load)
        yield from looked_at(drill, url, load.answered)


@contextmanager
def mounted(folder: Path) -> Iterator[str]:
    """Put a small file system on a folder. Yields why there is none, "" where there is one."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MEBIBYTES}m", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        yield f"mount: {getattr(error, 'stderr', None) or error}".strip()
        return
    try:
        yield ""
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Leave no room on a folder's file system for as long as the block takes."""
    ballast = folder / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        yield
    finally:
        ballast.unlink()


@contextmanager
def limited(server: Server, file: Path) -> Iterator[None]:
    """Let no file of a server's become larger than this one is, for as long as the block takes."""
    process, (before, hard) = server.process.pid, resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (file.stat().st_size, hard))
    try:
        yield
    finally:
        resource.prlimit(process, resource.RLIMIT_FSIZE, (before, hard))
