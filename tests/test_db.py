"""One commit, nothing left of what failed, and what SQLite needs to share a file."""

import asyncio
import sqlite3
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import func, select

from incident_manager.clock import SystemClock
from incident_manager.db import SQLITE_READERS, Database, Session
from incident_manager.engines import async_url, bare_engine
from incident_manager.errors import Conflict, Unavailable
from incident_manager.ids import new_id
from incident_manager.models.access import Tenant
from incident_manager.models.alerts import DedupKey
from incident_manager.settings import load
from tests.untraced import untraced

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def tenant(name: str) -> Tenant:
    return Tenant(id=new_id(), name=name, created_at=SystemClock().now(), secret_fingerprint="f")


async def names(database: Database) -> list[str]:
    async def look(session: Session) -> list[str]:
        return list(await session.scalars(select(Tenant.name).order_by(Tenant.name)))

    return await database.read(look, tenant_id=None)


async def add(database: Database, *wanted: str) -> None:
    async def write(session: Session) -> None:
        session.add_all([tenant(name) for name in wanted])

    await database.transaction(write, tenant_id=None)


async def test_a_transaction_commits_and_returns_what_its_work_returns(database: Database) -> None:
    async def write(session: Session) -> str:
        session.add(tenant("a"))
        return "done"

    assert await database.transaction(write, tenant_id=None) == "done"
    assert await names(database) == ["a"]


@pytest.mark.parametrize("failing", [0, 1, 2, 3])
async def test_work_that_fails_leaves_nothing_however_much_it_had_written(database: Database, failing: int) -> None:
    async def write(session: Session) -> None:
        for number in range(4):
            if number == failing:
                raise LookupError
            session.add(tenant(str(number)))
            await session.flush()

    with pytest.raises(LookupError):
        await database.transaction(write, tenant_id=None)
    assert await names(database) == []


async def test_what_a_read_writes_is_not_kept(database: Database) -> None:
    async def write(session: Session) -> None:
        session.add(tenant("a"))

    if database.is_sqlite:
        with pytest.raises(Unavailable):  # a reader cannot write at all
            await database.read(write, tenant_id=None)
    else:
        await database.read(write, tenant_id=None)
    assert await names(database) == []


async def test_a_name_that_is_taken_is_a_conflict_and_undoes_the_rest(database: Database) -> None:
    await add(database, "a")
    with pytest.raises(Conflict):
        await add(database, "b", "a")
    assert await names(database) == ["a"]


async def test_a_reference_that_is_checked_at_commit_is_a_conflict(database: Database) -> None:
    owner = tenant("a")

    async def write(session: Session) -> None:
        session.add(owner)
        await session.flush()
        nowhere = new_id()
        session.add(
            DedupKey(tenant_id=owner.id, fingerprint="f", incident_id=nowhere, open=True, firing=True, occurrences=1)
        )
        await session.flush()

    with pytest.raises(Conflict):
        await database.transaction(write, tenant_id=owner.id)
    assert await names(database) == []


async def test_a_value_that_must_not_be_missing_is_a_defect_and_no_conflict(database: Database) -> None:
    async def write(session: Session) -> None:
        nameless = tenant("a")
        nameless.name = None
        session.add(nameless)

    with pytest.raises(sa.exc.IntegrityError):
        await database.transaction(write, tenant_id=None)


async def test_what_is_loaded_can_be_read_after_the_commit(database: Database) -> None:
    await add(database, "a")

    async def rename(session: Session) -> Tenant:
        found = (await session.scalars(select(Tenant))).one()
        found.name = "b"
        return found

    assert (await database.transaction(rename, tenant_id=None)).name == "b"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///data/incidents.db", "sqlite+aiosqlite:///data/incidents.db"),
        ("postgresql://u:p%40@h:1/n?sslmode=require", "postgresql+asyncpg://u:p%40@h:1/n?sslmode=require"),
    ],
)
def test_an_address_gets_the_driver_of_its_database(url: str, expected: str) -> None:
    assert async_url(url).render_as_string(hide_password=False) == expected


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    "parameter", ["sslmode=disable", "sslmode=prefer&target_session_attrs=any", "application_name=other"]
)
async def test_a_postgresql_address_may_say_what_libpq_knows(database_url: str, parameter: str) -> None:
    database = Database(f"{database_url}{'&' if '?' in database_url else '?'}{parameter}", load().database)
    assert await names(database) == []
    await database.close()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_zone_and_planner_are_set_on_each_connection(database: Database) -> None:
    async def shown(session: Session) -> list[str]:
        wanted = ("timezone", "jit", "application_name")
        return [str(await session.scalar(sa.text(f"SHOW {name}"))) for name in wanted]

    assert await database.read(shown, tenant_id=None) == ["UTC", "off", "incident-manager"]


@on_sqlite
async def test_every_sqlite_connection_is_durable_and_checks_references(database: Database) -> None:
    """Read back through our own connections: SQLite ignores a pragma that it does not know, and most are a connection's."""
    expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}

    async def pragmas(session: Session, names: Any = (*expected, "query_only")) -> dict[str, Any]:
        return {name: await session.scalar(sa.text(f"PRAGMA {name}")) for name in names}

    assert await database.transaction(pragmas, tenant_id=None) == {**expected, "query_only": 0}
    meeting = asyncio.Barrier(SQLITE_READERS)

    async def together(session: Session) -> dict[str, Any]:
        found = await pragmas(session)
        await meeting.wait()  # so that each read has a connection of its own
        return found

    readers = [database.read(together, tenant_id=None) for _ in range(SQLITE_READERS)]
    assert await asyncio.gather(*readers) == [{**expected, "query_only": 1}] * SQLITE_READERS


@on_sqlite
async def test_a_sqlite_writer_locks_when_it_begins_and_a_reader_does_not_wait_for_it(
    database: Database, database_url: str
) -> None:
    other = sqlite3.connect(database_url.removeprefix("sqlite:///"), timeout=0, isolation_level=None)

    async def only_read(session: Session) -> None:
        await session.scalar(select(func.count()).select_from(Tenant))
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        assert await names(database) == []

    await database.transaction(only_read, tenant_id=None)
    other.execute("BEGIN IMMEDIATE")  # free again
    other.close()


@on_sqlite
async def test_processes_that_share_a_sqlite_file_wait_for_each_other(database: Database, database_url: str) -> None:
    """Seven other processes and this one, 40 transactions each that read and then write."""
    command = [sys.executable, "-m", "tests.sqlite_writer", database_url.removeprefix("sqlite:///"), "40"]
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    others = [
        await asyncio.create_subprocess_exec(*command, str(number), env=untraced(), **pipes) for number in range(7)
    ]
    for other in others:
        assert await other.stdout.readline() == b"ready\n"

    async def ours() -> None:
        for number in range(40):
            await add(database, f"ours {number}")

    outputs, _ = await asyncio.gather(asyncio.gather(*(other.communicate(b"go\n") for other in others)), ours())
    assert [output for output, _ in outputs] == [b"40\n"] * 7
    assert len(await names(database)) == 8 * 40


@pytest.mark.parametrize(
    "open_it", [lambda url: Database(url, load().database).engine, bare_engine], ids=["pool", "bare"]
)
async def test_a_file_that_cannot_be_opened_starts_no_thread(tmp_path: Path, open_it: Any) -> None:
    """A thread that outlives the loop prints a trace when it ends: after a start that was refused in one sentence."""
    before, engine = set(threading.enumerate()), open_it(f"sqlite:///{tmp_path / 'nowhere' / 'incidents.db'}")
    started: list[str] = []
    threading.setprofile(lambda frame, *_: started.append(frame.f_code.co_name))
    try:
        with pytest.raises(sa.exc.OperationalError, match="unable to open"):
            await engine.connect()
    finally:
        threading.setprofile(None)
    assert "_connection_worker_thread" not in started
    assert set(threading.enumerate()) <= before
    await engine.dispose()
