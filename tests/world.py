"""The story-teller: a running service, people with keys, alerts that arrive, and time that passes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
from litestar import Litestar

from incident_manager.api.parts import STATE_KEY, Parts
from incident_manager.app import create_app
from incident_manager.clock import ManualClock
from incident_manager.flows import access
from incident_manager.flows.units import Units
from incident_manager.ids import new_id
from incident_manager.rules.access import Actor, ActorKind, Role
from incident_manager.schemas.access import KeyIn
from incident_manager.settings import Settings
from tests import make

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class World:
    """One service. `http` calls it as its first admin; `as_key` as anybody else."""

    def __init__(self, app: Litestar, clock: ManualClock, admin_key: str) -> None:
        self.app, self.clock, self.admin_key = app, clock, admin_key
        self.http = self.as_key(admin_key)

    @property
    def parts(self) -> Parts:
        return self.app.state[STATE_KEY]

    def as_key(self, key: str | None) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        transport = httpx2.ASGITransport(app=in_one_piece(self.app), raise_app_exceptions=False)
        return httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080", headers=headers)

    async def units(self, tenant: str = access.DEFAULT_TENANT) -> Units:
        actor = Actor(tenant_id=new_id(), kind=ActorKind.COMMAND_LINE, name="test")
        found = await access.get_tenant(Units(self.parts.database, self.clock, actor), tenant)
        actor = Actor(tenant_id=found.id, kind=ActorKind.COMMAND_LINE, name="test")
        return Units(self.parts.database, self.clock, actor)

    async def tenant(self, name: str) -> Units:
        """Make a tenant."""
        actor = Actor(tenant_id=new_id(), kind=ActorKind.COMMAND_LINE, name="test")
        units = Units(self.parts.database, self.clock, actor)
        await units.write(access.create_tenant, name, self.parts.vault.fingerprint)
        return units

    async def key(self, role: Role, units: Units | None = None, *, expires_at: datetime | None = None) -> str:
        """Make a key of a role, in the default tenant or in another one, and return its text."""
        units = units or await self.units()
        wanted = KeyIn(name=f"{role}-{new_id().hex}", role=role, expires_at=expires_at)
        return (await units.write(access.create_key, wanted, self.parts.vault)).key

    async def alert(self, **fields: Any) -> dict[str, Any]:
        """Post an alert as a monitor would, and return the answer, its HTTP status as `http_status`."""
        response = await self.http.post("/v1/alerts", json=make.alert(**fields))
        assert response.status_code in {200, 201}, response.text
        return {**response.json(), "http_status": response.status_code}

    async def get(self, path: str, **query: Any) -> Any:
        response = await self.http.get(path, params=query)
        assert response.status_code == 200, response.text
        return response.json()

    async def post(self, path: str, body: Any = None, *, status: int = 200) -> Any:
        response = await self.http.post(path, json=body)
        assert response.status_code == status, response.text
        return response.json()

    async def incident(self, reference: object) -> dict[str, Any]:
        return await self.get(f"/v1/incidents/{reference}")

    async def incidents(self, **query: Any) -> list[dict[str, Any]]:
        return (await self.get("/v1/incidents", **query))["incidents"]

    async def timeline(self, reference: object) -> list[dict[str, Any]]:
        return (await self.get(f"/v1/incidents/{reference}/timeline"))["events"]

    def forward(self, **span: float) -> None:
        """Let time pass: `forward(minutes=30)`."""
        self.clock.forward(timedelta(**span))


def in_one_piece(app: Any) -> Any:
    """Return an application such that a body whose length is known comes to it whole, as servers hand on what is small.

    httpx says of each piece that more may come, which no alert that takes the short way (api/fast.py) does.
    """

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        async def whole() -> Any:
            message = await receive()
            while message.get("more_body"):
                more = await receive()
                message = more | {"body": message["body"] + more.get("body", b"")}
            return message

        sized = any(name == b"content-length" for name, _ in scope["headers"])
        await app(scope, whole if sized else receive, send)

    return answer


@asynccontextmanager
async def running(settings: Settings, clock: ManualClock | None = None) -> AsyncIterator[World]:
    """Start a service as the server would and stop it as the server would.

    Its lifespan lives in a task of its own: it must end in the task that it began in, and a fixture's two halves do not.
    """
    clock = clock or ManualClock(START)
    app = create_app(settings, clock, announce=lambda _: None)
    started, stop = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        async with app.lifespan():
            started.set()
            await stop.wait()

    life = asyncio.create_task(live())
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait({life, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if life.done():
        life.result()
    yield World(app, clock, (settings.data_dir / "admin.key").read_text().strip())
    stop.set()
    await life
