"""Every way to fail, with secrets wherever secrets go: none comes out again, in no answer, no line of the log, no metric."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2
import msgspec
import pytest

from incident_manager import log
from incident_manager.settings import Settings
from tests import make
from tests.api.outage import cut_off
from tests.api.stalling import stalled
from tests.cli.processes import finished
from tests.logs import restored
from tests.world import World, running

SECRET = "canary0secret-of-the-service-that-nobody-knows"
SIGNING = "whsec_Y2FuYXJ5c2lnbmluZ2NhbmFyeXNpZ25pbmc="
TITLE = "canary0title"  # no secret, but what is sent does not belong into the log either
FORGED = f"im_0123456789abcdef0123456789abcdef_{'canary0' * 6}x"


class Said(NamedTuple):
    """All that came out, but for what makes a key, which shows it once."""

    secrets: list[str]
    texts: list[str]

    def leaks(self) -> list[str]:
        return [f"{secret} in {text}" for text in self.texts for secret in self.secrets if secret and secret in text]


@pytest.fixture(params=["json", "text"])
def logging_all(request: pytest.FixtureRequest) -> Iterator[None]:
    with restored():
        log.configure("debug", request.param)
        yield


@pytest.fixture
def guarded(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, auth=msgspec.structs.replace(settings.auth, secret=SECRET))


@asynccontextmanager
async def listening(world: World) -> AsyncIterator[Said]:
    """Collect every answer that a world gives, what it says of itself at the end included."""
    said = Said([world.admin_key.split("_", 2)[2], SECRET, SIGNING, "canary0"], [])

    async def note(response: httpx2.Response) -> None:
        await response.aread()
        said.texts.append(f"{response.headers} {response.text}")

    world.http.event_hooks["response"].append(note)
    yield said
    for path in ("/metrics", "/health", "/schema/openapi.json"):
        await world.http.get(path)


async def fail_in_every_way(world: World, key: str) -> None:
    """Send what is refused, for each reason there is."""
    address = f"/v1/integrations/generic/{key}"
    bodies = (
        {"content": b'{"title": "canary0title"'},
        {"json": {"title": TITLE, "canary0": 1}},
        {"content": b"\x00\xff"},
    )
    json = {"Content-Type": "application/json"}
    for path in ("/v1/alerts", "/v1/incidents", address, address[:-1], f"{address}/more", "/v1/integrations"):
        for body in bodies:
            await world.http.post(path, **body, headers=json)
    for scheme in ("Bearer", "Basic", "Token"):
        for token in (FORGED, SECRET, world.admin_key[:-1]):
            await world.http.get("/v1/alerts", headers={"Authorization": f"{scheme} {token}"})
    await world.http.post(address, json=[{"title": TITLE}], headers={"webhook-signature": f"v1,{SIGNING}"})
    await world.http.post("/v1/alerts", json=make.alert(title=TITLE), headers={"Content-Type": "text/canary0"})
    await world.http.get("/v1/alerts", headers={"X-Request-Id": f"{SECRET} x", "Cookie": f"session={SECRET}"})


async def integration(world: World) -> str:
    body = {"name": "gen", "monitor": "generic", "signing_secret": SIGNING}
    made = await world.as_key(world.admin_key).post("/v1/integrations", json=body)
    key: str = made.json()["key"]
    return key


@pytest.mark.usefixtures("logging_all")
async def test_what_is_refused(guarded: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    async with running(guarded) as world:
        key = await integration(world)
        async with listening(world) as said:
            await fail_in_every_way(world, key)
    said.texts.append("".join(capfd.readouterr()))
    assert Said([*said.secrets[:3], key], said.texts).leaks() == []
    assert "canary0" not in said.texts[-1]  # an answer may name the field or the type that it refuses, the log may not


@pytest.mark.usefixtures("logging_all")
async def test_a_defect_of_ours(guarded: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    async with running(guarded) as world, listening(world) as said:
        async with world.parts.database.engine.connect() as connection:
            await connection.exec_driver_sql("ALTER TABLE alerts RENAME TO moved")
            await connection.commit()
        assert (await world.http.post("/v1/alerts", json=make.alert(title=TITLE))).status_code == 500
        assert (await world.http.get("/v1/alerts")).status_code == 500
    written = "".join(capfd.readouterr())
    said.texts.append(written)
    assert "request failed" in written
    assert said.leaks() == []


@pytest.mark.usefixtures("logging_all")
@pytest.mark.parametrize("trouble", [cut_off, stalled])
async def test_a_database_in_trouble(guarded: Settings, capfd: pytest.CaptureFixture[str], trouble: object) -> None:
    public = msgspec.structs.replace(guarded, metrics=msgspec.structs.replace(guarded.metrics, public=True))
    async with trouble(public) as found:
        world = found[0] if isinstance(found, tuple) else found
        async with listening(world) as said:
            if trouble is cut_off:
                await fail_in_every_way(world, "k" * 32)
    said.texts.append("".join(capfd.readouterr()))
    assert said.texts[-1] or trouble is stalled
    assert Said(said.secrets[:3], said.texts).leaks() == []


REFUSED_STARTS = [
    {"auth__secret": "canary0short"},
    {"auth__secret": "canary0" * 5, "log__level": "loud"},
    {"auth__secret": "canary0" * 5, "database__url": "mysql://im:canary0@db/n"},
    {"auth__secret": "canary0" * 5, "database__url": "postgresql://im:canary0@127.0.0.1:1/n"},
    {"auth__secret": "canary0" * 5, "database__url": "postgresql://im:canary0@db:canary0/n?password=canary0"},
    {"auth__canary": "canary0"},
    {"auth__bootstrap_key_file": "key.txt"},
]


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["doctor"], ["keys", "list"], ["db", "current"]])
@pytest.mark.parametrize("environment", REFUSED_STARTS)
def test_a_start_that_is_refused(tmp_path: Path, command: list[str], environment: dict[str, str]) -> None:
    (tmp_path / "key.txt").write_text("im_canary0")
    ended = finished(tmp_path, *command, **{name.upper(): value for name, value in environment.items()})
    assert "canary0" not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


CLIENT = [["list"], ["health"], ["ack", "1"], ["alert", "--source", "s", "--title", "t"], ["get"], ["none-such"]]


@pytest.mark.parametrize("command", CLIENT, ids=lambda command: command[0])
def test_a_command_that_fails(tmp_path: Path, command: list[str]) -> None:
    ended = finished(tmp_path, *command, URL="http://user:canary0@127.0.0.1:1", API_KEY=FORGED)
    assert ended.returncode in {1, 2}
    assert "canary0" not in ended.stdout + ended.stderr
