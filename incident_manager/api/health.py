"""Health: for people, load balancers and supervisors; public, and says nothing about data.

What it looks at may hang. A look gets LOOK_SECONDS, and there is one at a time: whoever asks meanwhile waits for the same one,
or the probes of a database that hangs would take every connection.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec

from incident_manager.api.parts import Parts
from incident_manager.api.problems import problems
from incident_manager.db import Database
from incident_manager.errors import Unavailable
from incident_manager.rules.access import Policy
from incident_manager.schemas.health import Check, HealthOut, HealthStatus
from incident_manager.store import durability

T = TypeVar("T")

VERSION: Final = version("incident-manager")
LOOKS_KEY: Final = "looks"
LOOK_SECONDS: Final = 2.0
CLOSE_SECONDS: Final = 0.5
LOW_DISK_BYTES: Final = 512 * 1024 * 1024
_UP: Final = {status: spec for status, spec in problems().items() if status != Unavailable.status}
_DOWN: Final = _UP | {503: ResponseSpec(HealthOut, generate_examples=False, description="it cannot serve")}


class HealthController(Controller):
    """Three questions: how is it, does the process live, can it serve."""

    path = "/health"
    tags = ("operations",)

    @get(policy=Policy.PUBLIC, responses=_DOWN)
    async def health(self, request: Request[Any, Any, Any], parts: NamedDependency[Parts]) -> Response[HealthOut]:
        """Look at everything."""
        return await _look(request, parts)

    @get("/live", policy=Policy.PUBLIC, responses=_UP)
    async def live(self, parts: NamedDependency[Parts]) -> HealthOut:
        """Say that the process answers; looks at nothing else, so that a database's trouble restarts no process."""
        return _out(parts, {})

    @get("/ready", policy=Policy.PUBLIC, responses=_DOWN)
    async def ready(self, request: Request[Any, Any, Any], parts: NamedDependency[Parts]) -> Response[HealthOut]:
        """Say whether requests can be served now."""
        return await _look(request, parts)


class _Look(Generic[T]):
    """A question to something that may hang."""

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask: Final = ask
        self._asking: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """Return the answer.

        Raises TimeoutError after LOOK_SECONDS. The look itself goes on until it ends (a statement and a wait for a connection
        have limits of their own): to cancel it would mean to close its connection, which hangs as it does.
        """
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._answer())
            self._asking.add_done_callback(_hear)
        asking = self._asking
        done, _ = await asyncio.wait({asking}, timeout=LOOK_SECONDS)
        if not done:
            raise TimeoutError
        return asking.result()

    async def close(self) -> None:
        """Let a look that is under way end, for CLOSE_SECONDS: its connection should not outlive the pool."""
        if self._asking is not None:
            await asyncio.wait({self._asking}, timeout=CLOSE_SECONDS)

    async def _answer(self) -> T:
        return await self._ask()


def _hear(asked: asyncio.Task[Any]) -> None:
    """Take note of a failure that nobody waits for any more, or asyncio would report it as one that was overlooked."""
    if not asked.cancelled():
        asked.exception()


class Looks:
    """What health looks at, one for an application."""

    def __init__(self, database: Database, head: str) -> None:
        self._head: Final = head
        self._folder: Final = Path(str(database.url.database)).parent if database.is_sqlite else None
        self._condition: Final = _Look(lambda: database.read(durability.condition, tenant_id=None))
        self._writing: Final = _Look(lambda: database.transaction(durability.answers, tenant_id=None))
        self._disk: Final = _Look(self._usage)

    async def database(self, known: tuple[str, ...]) -> Check:
        """Look at the database and at what it stands on; `known` are weaknesses that it had at the start."""
        try:
            condition, busy, free = await asyncio.gather(self._condition(), self._is_busy(), self._free_bytes())
        except Unavailable as error:
            return Check(status=HealthStatus.UNHEALTHY, detail=error.detail)
        except TimeoutError:
            detail = f"the database does not answer within {LOOK_SECONDS:.0f} s"
            return Check(status=HealthStatus.UNHEALTHY, detail=detail)
        if not condition.takes_writes:
            return Check(status=HealthStatus.UNHEALTHY, detail="the database takes no writes")
        if condition.schema is None:
            return Check(status=HealthStatus.UNHEALTHY, detail="the database has no tables of this program")
        worries = list(dict.fromkeys((*known, *condition.weaknesses)))
        if condition.schema != self._head:
            worries.append(f"the schema is at version {condition.schema}, this program needs {self._head}")
        if busy:
            worries.append(f"the database's writer has been busy for {LOOK_SECONDS:.0f} s")
        if free is not None and free < LOW_DISK_BYTES:
            worries.append(f"{free // 1024**2} MiB of disk are left for the database")
        return Check(status=HealthStatus.DEGRADED if worries else HealthStatus.HEALTHY, detail="; ".join(worries))

    async def close(self) -> None:
        """End the looks that are under way; before the database is closed."""
        await asyncio.gather(self._condition.close(), self._writing.close(), self._disk.close())

    async def _is_busy(self) -> bool:
        """Say whether a transaction that writes nothing cannot begin and end in time."""
        try:
            await self._writing()
        except TimeoutError:
            return True
        return False

    async def _free_bytes(self) -> int | None:
        """Return the free bytes below a SQLite file; None for a server, whose disk is not ours to see."""
        try:
            return await self._disk() if self._folder else None
        except (OSError, TimeoutError):  # the folder is gone, or hangs: the database says so itself
            return None

    async def _usage(self) -> int:
        return (await asyncio.to_thread(shutil.disk_usage, str(self._folder))).free


async def _look(request: Request[Any, Any, Any], parts: Parts) -> Response[HealthOut]:
    looks: Looks = request.app.state[LOOKS_KEY]
    out = _out(parts, {"database": await looks.database(parts.weaknesses)})
    if out.status is HealthStatus.UNHEALTHY:
        return Response(out, status_code=503, headers={"Retry-After": "1"})
    return Response(out, status_code=200)


def _out(parts: Parts, checks: dict[str, Check]) -> HealthOut:
    order = list(HealthStatus)
    worst = max((check.status for check in checks.values()), key=order.index, default=HealthStatus.HEALTHY)
    uptime = (parts.clock.now() - parts.started_at).total_seconds()
    return HealthOut(status=worst, version=VERSION, uptime_seconds=uptime, checks=checks)
