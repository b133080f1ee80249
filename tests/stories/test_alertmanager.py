"""A real Alertmanager, configured with what we say to paste, against a really served instance: fires, repeats, resolves."""

import asyncio
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest
import uvicorn

from incident_manager.app import create_app
from incident_manager.settings import Settings, load

T = TypeVar("T")

BINARY = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
ROUTE = """
route:
  receiver: incident-manager
  group_by: [alertname]
  group_wait: 100ms
  group_interval: 500ms
  repeat_interval: 500ms
"""
ALERT: dict[str, Any] = {
    "labels": {"alertname": "DiskAlmostFull", "severity": "critical", "service": "shop", "instance": "db-1:9100"},
    "annotations": {
        "summary": "The disk of db-1 is almost full",
        "description": "4 % are left",
        "runbook_url": "http://127.0.0.1/runbooks/disk",
    },
    "generatorURL": "http://127.0.0.1/graph?g0.expr=disk_free",
}

pytestmark = pytest.mark.skipif(BINARY is None, reason="prometheus-alertmanager is not installed")


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """Serve on a free port of loopback; yield a client with the admin's key."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        settings = load(
            {
                "database.url": settings.database_url,
                "server.data_dir": settings.server.data_dir,
                "server.public_url": address,
            }
        )
        app = create_app(settings, announce=lambda _: None)
        server = uvicorn.Server(uvicorn.Config(app, lifespan="on", log_config=None))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            await until(lambda: ready(server))
            key = (settings.data_dir / "admin.key").read_text().strip()
            async with httpx2.AsyncClient(base_url=address, headers={"Authorization": f"Bearer {key}"}) as client:
                yield client
        finally:
            server.should_exit = True
            await serving


async def ready(server: uvicorn.Server) -> bool:
    return server.started


@contextmanager
def alertmanager(folder: Path, configuration: str) -> Iterator[Path]:
    """Run Alertmanager on a free port of loopback, without its cluster; yield its log. It is gone afterwards."""
    assert BINARY is not None
    (folder / "alertmanager.yml").write_text(configuration)
    log = folder / "alertmanager.log"
    arguments = [
        "--web.listen-address=127.0.0.1:0",
        "--cluster.listen-address=",
        "--web.external-url=http://127.0.0.1/am",
    ]
    files = [f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'alertmanager'}"]
    with log.open("w") as output:
        process = subprocess.Popen([BINARY, *files, *arguments, "--web.route-prefix=/"], stdout=output, stderr=output)
    try:
        yield log
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


async def listening(log: Path) -> str | None:
    found = re.search(r'msg="Listening on" address=(\S+)', await asyncio.to_thread(log.read_text))
    return f"http://{found[1]}" if found else None


async def until(probe: Callable[[], Awaitable[T | None]]) -> T:
    """Ask again and again, for half a minute at most, until there is an answer."""
    for _ in range(600):
        if found := await probe():
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("it did not come about in time")


async def receiver(client: httpx2.AsyncClient, **fields: str) -> str:
    """Make an integration and return what `GET /v1/monitors` says to paste, with its address."""
    made = await client.post("/v1/integrations", json={"name": "am", "monitor": "alertmanager", **fields})
    monitors = (await client.get("/v1/monitors")).json()["monitors"]
    setup = {monitor["name"]: monitor["setup"] for monitor in monitors}["alertmanager"]
    return setup.replace("{url}", made.json()["url"])


async def post(address: str, **fields: str) -> None:
    async with httpx2.AsyncClient() as client:
        response = await client.post(f"{address}/api/v2/alerts", json=[ALERT | fields])
    assert response.status_code == 200, response.text


def such(client: httpx2.AsyncClient, **wanted: Any) -> Callable[[], Awaitable[dict[str, Any] | None]]:
    """Return a probe for the one incident once it is as wanted."""

    async def probe() -> dict[str, Any] | None:
        found = (await client.get("/v1/incidents")).json()["incidents"]
        return next((each for each in found if all(each[name] == value for name, value in wanted.items())), None)

    return probe


async def test_it_opens_folds_and_resolves(settings: Settings, tmp_path: Path) -> None:
    started = datetime.now(UTC)
    async with served(settings) as client:
        with alertmanager(tmp_path, ROUTE + await receiver(client)) as log:
            address = await until(lambda: listening(log))
            await post(address, startsAt=started.isoformat())
            opened = await until(such(client, state="Detected"))
            await until(such(client, occurrences=3))
            await post(address, startsAt=started.isoformat(), endsAt=datetime.now(UTC).isoformat())
            ended = await until(such(client, state="Resolved"))

    assert (opened["title"], opened["description"]) == ("The disk of db-1 is almost full", "4 % are left")
    assert (opened["severity"], opened["source"]) == ("P0", "am")
    assert opened["affected_resources"] == ["shop", "db-1:9100"]
    assert [link["href"] for link in opened["links"]] == [ALERT["generatorURL"], "http://127.0.0.1/am"]
    assert ended["id"] == opened["id"]
    assert (ended["resolution"]["resolution_method"], ended["labels"]) == ("Automated", ALERT["labels"])


async def test_it_sends_the_signing_secret_as_its_setting_says(settings: Settings, tmp_path: Path) -> None:
    secret = "a-secret-between-two"
    async with served(settings) as client:
        setup = await receiver(client, signing_secret=secret)
        signing = setup.replace("# http_config", "http_config").replace("the-signing-secret", secret)
        with alertmanager(tmp_path, ROUTE + signing) as log:
            await post(await until(lambda: listening(log)))
            assert await until(such(client, state="Detected"))
