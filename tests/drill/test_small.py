"""A small version of each drill, on every run of the tests. How fast it all is, `make drill` holds; here nothing may be lost.

What a small version leaves out: PostgreSQL's frozen processes and its full disk, which would need a server of their own for
one second.
"""

import resource
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.bench.engines import Engine
from tests.conftest import ENGINES
from tests.drill import contended, frozen, full, kills, restarts, rolling, terminated
from tests.drill.invariants import Invariant
from tests.drill.own_postgres import own_postgres
from tests.drill.plan import Plan

SQLITE = Engine("SQLite", "", "")


@pytest.fixture
def postgres(postgres_server: str) -> Engine:
    return Engine("PostgreSQL", postgres_server, "")


def small(folder: Path, *engines: Engine, **sizes: int) -> Plan:
    return Plan(folder=folder, engines=engines, clients=4)._replace(**sizes)


def broken(found: Iterable[Invariant]) -> list[Invariant]:
    """Return what does not hold, whatever the machine; a drill that finds nothing to look at is broken itself."""
    looked = [one for one in found if not one.timed]
    assert looked
    return [one for one in looked if one.held is False]


@pytest.mark.parametrize("name", ENGINES)
def test_a_killed_server_keeps_what_it_answered(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    engine = SQLITE if name == "sqlite" else request.getfixturevalue("postgres")
    assert broken(kills.run(small(tmp_path, engine, kills=2))) == []


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="there is no /proc to find PostgreSQL's processes in")
def test_a_stopped_database_costs_nothing_that_was_answered(tmp_path: Path) -> None:
    # Not in tmp_path: the folder above it is its owner's alone, and PostgreSQL runs as somebody else where root asks.
    with tempfile.TemporaryDirectory(prefix="im-own-") as folder, own_postgres(Path(folder) / "pg") as server:
        assert broken(restarts.on(server, small(tmp_path, server.engine, restarts=1))) == []


def test_ended_connections_are_replaced(tmp_path: Path, postgres: Engine) -> None:
    assert broken(terminated.run(small(tmp_path, postgres, terminated_seconds=1))) == []


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits another process's files")
def test_a_disk_without_room_refuses_until_there_is_room(tmp_path: Path) -> None:
    file = tmp_path / "incidents.db"
    plan = small(tmp_path, SQLITE, full_seconds=0)
    assert broken(full.under_load("full", f"sqlite:///{file}", plan, lambda server: full.limited(server, file))) == []


def test_a_locked_database_refuses_until_it_is_let_go(tmp_path: Path) -> None:
    assert broken(frozen.run(small(tmp_path, SQLITE, frozen_seconds=0))) == []


def test_processes_are_replaced_and_nobody_is_told_an_error(tmp_path: Path, postgres: Engine) -> None:
    assert broken(rolling.run(small(tmp_path, postgres, processes=2, rolls=1))) == []


def test_three_processes_that_race_open_one_incident_for_each_key(tmp_path: Path, postgres: Engine) -> None:
    assert broken(contended.run(small(tmp_path, postgres, submits=600, keys=30))) == []
