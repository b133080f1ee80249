"""The image: its steps are taken as they stand in the Dockerfile, and what comes of them is run as a container would run it."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.cli.processes import KEY, Server
from tests.deploy.image import DOCKERFILE, Image, let_through, steps
from tests.house.sources import ROOT, tracked
from tests.make import alert

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ANY_PORT = {"INCIDENT_MANAGER_SERVER__PORT": "0"}
pytestmark = pytest.mark.timeout(400)  # the first to take the image builds it, from the package index


def http(server: Server, key: str | None = None) -> httpx2.Client:
    """Return a client of a server that serves, with the key that it showed where none is given."""
    address = server.url.replace("0.0.0.0", "127.0.0.1")
    headers = {"Authorization": f"Bearer {key or KEY.search(server.said)[0]}"}
    return httpx2.Client(base_url=address, headers=headers, trust_env=False)


def test_it_comes_up_for_a_user_without_rights_from_an_empty_folder_and_takes_an_alert(image: Image) -> None:
    with image.started(**ANY_PORT) as server:
        with http(server.wait_until_serving()) as client:
            assert client.get("/health/ready").status_code == 200
            assert client.post("/v1/alerts", json=alert()).status_code == 201
        assert server.stop() == 0
    assert {path.name for path in image.volume.iterdir()} >= {"incidents.db", "secret.key", "admin.key"}
    assert {path.stat().st_uid for path in image.volume.iterdir()} == {image.volume.stat().st_uid}


def test_it_writes_nothing_but_its_volume(image: Image) -> None:
    before = image.files()
    with image.started(**ANY_PORT) as server:
        server.wait_until_serving()
        image.finished("keys", "create", "ci", "--role", "ingest")
        assert server.stop() == 0
    assert image.files() == before


def test_a_second_start_finds_what_the_first_one_left(image: Image) -> None:
    with image.started(**ANY_PORT) as server, http(server.wait_until_serving()) as client:
        assert client.post("/v1/alerts", json=alert()).status_code == 201
        server.stop()
    key = (image.volume / "admin.key").read_text().strip()
    with image.started(**ANY_PORT) as server, http(server.wait_until_serving(), key) as client:
        assert client.post("/v1/alerts", json=alert()).json()["occurrences"] == 2


def test_its_health_check_tells_a_server_from_none(image: Image) -> None:
    with image.started(**ANY_PORT) as server:
        port = str(urlsplit(server.wait_until_serving().url).port)
        assert image.executed(*image.words["HEALTHCHECK"], INCIDENT_MANAGER_SERVER__PORT=port).returncode == 0
        server.stop()
    assert image.executed(*image.words["HEALTHCHECK"], INCIDENT_MANAGER_SERVER__PORT=port).returncode == 1


def test_it_holds_what_it_runs_and_nothing_that_built_it(built: Image) -> None:
    there = {canonicalize_name(found.name): found for found in distributions(path=[str(_packages(built))])}
    assert set(there) == set(_needed(there, "incident-manager"))


def test_the_wheel_holds_every_file_of_the_package(built: Image) -> None:
    packages, moved = (
        _packages(built),
        {"migrations": "incident_manager/migrations", "settings.toml": "incident_manager"},
    )
    for path in tracked():
        name = path.relative_to(ROOT)
        if name.parts[0] in {"incident_manager", "cli"}:
            assert (packages / name).is_file(), name
        elif to := moved.get(name.parts[0]):
            assert (packages / to / (Path(*name.parts[1:]) if len(name.parts) > 1 else name)).is_file(), name


def _packages(built: Image) -> Path:
    [packages] = built.root.glob("opt/incident-manager/lib/python3*/site-packages")
    return packages


def _needed(there: dict[str, Distribution], name: str, extras: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield a distribution and, again and again, those that it requires here."""
    yield name
    for text in there[name].requires or []:
        wanted = Requirement(text)
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in extras | {""}):
            yield from _needed(there, canonicalize_name(wanted.name), frozenset(wanted.extras))


# --- what the Dockerfile says ---------------------------------------------------------------------------------------------


def said(instruction: str) -> list[str]:
    return [arguments for name, arguments in steps() if name == instruction]


def test_its_user_is_a_number_that_is_not_root() -> None:
    [user] = said("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert f"--owner={user.split(':')[0]} --group={user.split(':')[1]}" in DOCKERFILE.read_text()


def test_both_stages_stand_on_the_same_base_of_a_named_version() -> None:
    first, second = (base.split(" AS ")[0] for base in said("FROM"))
    assert first == second
    assert re.fullmatch(r"docker\.io/library/python:3\.\d+-slim-\w+", first)
    assert f'base.name="{first}"' in said("LABEL")[0]


def test_its_labels_name_this_version() -> None:
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', said("LABEL")[0]))
    assert (labels["title"], labels["version"], labels["licenses"]) == (
        PROJECT["name"],
        PROJECT["version"],
        PROJECT["license"],
    )


def test_what_it_needs_of_the_outside_is_declared() -> None:
    assert (said("VOLUME"), said("EXPOSE"), said("STOPSIGNAL")) == (["/data"], ["8080"], ["SIGTERM"])
    assert "INCIDENT_MANAGER_SERVER__DATA_DIR=/data" in said("ENV")[0]
    assert "INCIDENT_MANAGER_SERVER__PORT=8080" in said("ENV")[0]


def test_nothing_is_installed_that_is_not_locked() -> None:
    commands = " && ".join(said("RUN")).split("&&")
    installs = [words for words in commands if re.search(r"\bpip .* install |\bapt", words)]
    assert [
        words for words in installs if "--require-hashes" not in words and "--no-deps --no-index" not in words
    ] == []
    assert len(installs) == 2


@pytest.mark.parametrize(
    ("name", "goes"),
    [
        ("cli/main.py", True),
        ("incident_manager/api/vendor/VENDOR.toml", True),
        ("migrations/versions/2026_11_24_0900_core.py", True),
        ("requirements.lock", True),
        ("requirements-dev.lock", False),
        ("incident_manager/api/__pycache__/health.cpython-311.pyc", False),
        ("data/secret.key", False),
        ("deploy/secrets/auth_secret", False),
        (".git/config", False),
        (".env", False),
        (".venv/bin/python", False),
        ("tests/make.py", False),
    ],
)
def test_only_what_the_image_is_made_of_goes_to_the_builder(name: str, goes: bool) -> None:
    assert let_through(ROOT / name) is goes
