"""A database that refuses, is full, ends connections or kills a transaction: tried again, or told at once as 503."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy import func, select, update

from incident_manager.db import ATTEMPTS, Database, Session
from incident_manager.errors import Unavailable
from incident_manager.ids import new_id
from incident_manager.models.access import Tenant
from incident_manager.settings import load
from tests.postgres import execute
from tests.test_db import add, names, on_sqlite, tenant

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
AWHILE = 5  # seconds; well below the 10 that a caller may wait by default


@pytest.fixture(autouse=True)
async def _no_thread_outlives_its_test() -> AsyncIterator[None]:
    """Each SQLite connection has a thread; one whose connection was lost track of would stay, and hold the file."""
    yield
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            await asyncio.to_thread(thread.join, AWHILE)
            assert not thread.is_alive()


@pytest.fixture
async def narrow(database_url: str) -> AsyncIterator[Database]:
    """A database with one connection, for which nobody waits longer than a second."""
    opened = Database(database_url, load({"database.pool_size": 1, "database.wait_seconds": 1}).database)
    yield opened
    await opened.close()


async def backend(session: Session) -> int:
    return int(await session.scalar(sa.text("SELECT pg_backend_pid()")) or 0)


async def end(url: str, *backends: int) -> None:
    for number in backends:
        await execute(url, f"SELECT pg_terminate_backend({number})")


async def unavailable_after(call: Awaitable[Any]) -> float:
    """Return after how many seconds a call was told that the database is not available."""
    start = time.monotonic()
    with pytest.raises(Unavailable):
        await call
    return time.monotonic() - start


@on_postgresql
@pytest.mark.parametrize("way", ["read", "transaction"])
async def test_a_connection_that_ends_before_the_commit_is_replaced(
    database: Database, database_url: str, way: str
) -> None:
    backends: list[int] = []

    async def work(session: Session) -> str | None:
        session.add(tenant("a"))
        await session.flush()
        backends.append(await backend(session))
        if len(backends) == 1:
            await end(database_url, *backends)
        return await session.scalar(select(Tenant.name))

    assert await getattr(database, way)(work, tenant_id=None) == "a"
    assert len(set(backends)) == 2
    assert await names(database) == (["a"] if way == "transaction" else [])


@on_postgresql
async def test_idle_connections_that_ended_are_replaced_without_an_error(database: Database, database_url: str) -> None:
    meeting = asyncio.Barrier(8)

    async def together(session: Session) -> int:
        number = await backend(session)
        await meeting.wait()
        return number

    pooled = await asyncio.gather(*(database.read(together, tenant_id=None) for _ in range(8)))
    await end(database_url, *pooled)
    await asyncio.gather(*(add(database, str(number)) for number in range(8)))
    assert len(await names(database)) == len(set(pooled)) == 8


@on_postgresql
async def test_a_connection_lost_while_committing_is_not_tried_again(database: Database, database_url: str) -> None:
    """The commit may have happened. Here the backend ends itself in a trigger that runs at commit."""
    await execute(database_url, ENDS_AT_COMMIT)
    tries = 0

    async def work(session: Session) -> None:
        nonlocal tries
        tries += 1
        session.add(tenant("a"))

    with pytest.raises(Unavailable):
        await database.transaction(work, tenant_id=None)
    assert (tries, await names(database)) == (1, [])


@on_postgresql
async def test_a_deadlock_is_tried_again_until_both_have_committed(database: Database) -> None:
    await add(database, "a", "b")
    meeting, tries = asyncio.Barrier(2), []

    async def crossing(session: Session, first: str, second: str) -> None:
        tries.append(first)
        for name in (first, second):
            counted = {"next_incident_number": Tenant.next_incident_number + 1}
            await session.execute(update(Tenant).where(Tenant.name == name).values(counted))
            if name == first and len(tries) <= 2:
                await meeting.wait()

    both = [("a", "b"), ("b", "a")]
    await asyncio.gather(*(database.transaction(lambda s, p=pair: crossing(s, *p), tenant_id=None) for pair in both))
    counts = await database.read(lambda s: s.scalars(select(Tenant.next_incident_number)), tenant_id=None)
    assert (list(counts), len(tries)) == ([3, 3], 3)


@on_postgresql
@pytest.mark.parametrize("met", ["before writing", "before the commit"])
async def test_a_serialisation_failure_is_tried_again(database: Database, met: str) -> None:
    """Each of two counts what the other adds: one of them must fail, in its statement or in its commit."""
    meeting, tries = asyncio.Barrier(2), []

    async def count_and_add(session: Session) -> None:
        tries.append(number := len(tries) + 1)
        await session.connection(execution_options={"isolation_level": "SERIALIZABLE"})
        seen = await session.scalar(select(func.count()).select_from(Tenant))
        if number <= 2 and met == "before writing":
            await meeting.wait()
        session.add(tenant(f"{seen} before, try {number}"))
        await session.flush()
        if number <= 2 and met == "before the commit":
            await meeting.wait()

    await asyncio.gather(*(database.transaction(count_and_add, tenant_id=None) for _ in range(2)))
    first, second = await names(database)
    assert (first.startswith("0"), second) == (True, "1 before, try 3")


@on_postgresql
async def test_what_fails_each_time_is_given_up_after_some_tries(database: Database) -> None:
    tries = 0

    async def work(session: Session) -> None:
        nonlocal tries
        tries += 1
        await session.execute(sa.text("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END $$"))

    with pytest.raises(Unavailable, match="too busy"):
        await database.transaction(work, tenant_id=None)
    assert tries == ATTEMPTS


@on_postgresql
async def test_a_statement_whose_plan_a_migration_has_outdated_is_tried_again(
    database: Database, database_url: str
) -> None:
    await add(database, "a")
    query = sa.text("SELECT * FROM tenants")

    async def look(session: Session) -> int:
        return len((await session.execute(query)).one())

    before = await database.read(look, tenant_id=None)
    await execute(database_url, "ALTER TABLE tenants ADD COLUMN motto text")
    assert await database.read(look, tenant_id=None) == before + 1


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://somebody:hunter2@127.0.0.1:1/incidents",
        "postgresql://somebody:hunter2@/incidents?host=/nowhere",
        "sqlite:////nowhere/incidents.db",
    ],
)
async def test_a_database_that_cannot_be_reached_is_told_at_once(url: str) -> None:
    database = Database(url, load().database)
    assert await unavailable_after(names(database)) < AWHILE
    assert await unavailable_after(add(database, "a")) < AWHILE
    await database.close()


async def test_a_file_that_is_no_database_is_told_at_once_and_let_go(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear database, " * 100)
    database = Database(f"sqlite:///{tmp_path / 'letter.txt'}", load().database)
    for _ in range(10):
        assert await unavailable_after(names(database)) < AWHILE
    await database.close()


@on_postgresql
@pytest.mark.parametrize(
    "condition", ["CONNECTION LIMIT 0", "NOLOGIN"], ids=["all its connections are taken", "it is not let in"]
)
async def test_a_server_that_turns_connections_away_is_told_at_once(database_url: str, condition: str) -> None:
    role = f"guest_{new_id().hex}"
    await execute(database_url, f"CREATE ROLE {role} {condition} PASSWORD 'x'".replace("LIMIT 0", "LIMIT 0 LOGIN"))
    address = sa.make_url(database_url).set(username=role, password="x")
    database = Database(address.render_as_string(hide_password=False), load().database)
    assert await unavailable_after(names(database)) < AWHILE
    await database.close()
    await execute(database_url, f"DROP ROLE {role}")


@on_postgresql
async def test_a_database_that_only_reads_refuses_writes_as_unavailable(database: Database, database_url: str) -> None:
    name = sa.make_url(database_url).database
    await execute(database_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert await unavailable_after(add(database, "a")) < AWHILE
    assert await names(database) == []


@on_postgresql
async def test_a_statement_that_takes_too_long_is_ended(database_url: str) -> None:
    database = Database(database_url, load({"database.statement_seconds": 1}).database)
    slow = database.read(lambda session: session.execute(sa.text("SELECT pg_sleep(60)")), tenant_id=None)
    assert 1 <= await unavailable_after(slow) < AWHILE
    assert await names(database) == []
    await database.close()


async def test_whoever_finds_all_connections_taken_waits_only_so_long(narrow: Database) -> None:
    taken, free = asyncio.Event(), asyncio.Event()

    async def hold(session: Session) -> None:
        await session.execute(sa.text("SELECT 1"))
        taken.set()
        await free.wait()

    holder = asyncio.create_task(narrow.transaction(hold, tenant_id=None))
    await taken.wait()
    waited = await asyncio.gather(*(unavailable_after(add(narrow, str(number))) for number in range(5)))
    assert all(1 <= seconds < AWHILE for seconds in waited)
    free.set()
    await holder
    await add(narrow, "afterwards")


@on_sqlite
async def test_a_file_that_another_program_holds_is_told_after_the_wait(narrow: Database, database_url: str) -> None:
    other = sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert 1 <= await unavailable_after(add(narrow, "a")) < AWHILE
    other.execute("ROLLBACK")
    other.close()
    await add(narrow, "b")
    assert await names(narrow) == ["b"]


@pytest.mark.parametrize("again", [0, 1, 5], ids=["once", "twice at once", "twice"])
@pytest.mark.parametrize("ticks", [range(20), range(20, 40), (60, 100, 200, 400, 800)], ids=["early", "later", "late"])
async def test_a_cancelled_transaction_leaves_nothing_open(
    database: Database, ticks: Iterable[int], again: int
) -> None:
    """Cancelled after so many turns of the loop: in the queue, the connect, the begin, a statement, the commit.

    The task is kept, and with it the traceback and the cursors in it, as a log or a debugger would.
    """
    kept = []
    for turns in ticks:
        kept.append(asyncio.create_task(database.transaction(write_two, tenant_id=None)))
        await turn(turns)
        kept[-1].cancel()
        await turn(again)
        kept[-1].cancel()
        await asyncio.wait(kept)
        assert len(await names(database)) in {0, 2}
        await database.transaction(nothing_is_held, tenant_id=None)


async def turn(times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


async def write_two(session: Session) -> None:
    session.add_all([tenant("first"), tenant("second")])
    await session.flush()
    await session.scalar(select(func.count()).select_from(Tenant))


async def nothing_is_held(session: Session) -> None:
    """Take what any open transaction would hold against us, and leave no rows for the next round."""
    if not session.on_sqlite:
        await session.execute(sa.text("SET LOCAL lock_timeout = '2s'"))
        await session.execute(sa.text("LOCK TABLE tenants IN ACCESS EXCLUSIVE MODE"))
    await session.execute(sa.delete(Tenant))


@pytest.mark.parametrize("way", ["read", "transaction"])
async def test_a_cancelled_caller_gives_its_connection_back(narrow: Database, way: str) -> None:
    call: Callable[..., Awaitable[Any]] = getattr(narrow, way)
    for _ in range(10):
        started = asyncio.Event()

        async def hang(session: Session, started: asyncio.Event = started) -> None:
            await session.execute(sa.text("SELECT 1"))
            started.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(call(hang, tenant_id=None))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await names(narrow) == []


@on_postgresql
async def test_a_caller_cancelled_in_a_statement_leaves_no_backend_at_work(narrow: Database, database_url: str) -> None:
    backends: list[int] = []
    at_work = asyncio.Event()

    async def sleep(session: Session) -> None:
        backends.append(await backend(session))
        at_work.set()
        await session.execute(sa.text("SELECT pg_sleep(60)"))

    task = asyncio.create_task(narrow.transaction(sleep, tenant_id=None))
    await at_work.wait()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert await names(narrow) == []
    assert await still_in_a_transaction(database_url, backends[0]) is False


async def still_in_a_transaction(url: str, number: int) -> bool:
    """Watch a backend until it is out of its transaction, for some seconds."""
    connection = await asyncpg.connect(url)
    try:
        for _ in range(AWHILE * 20):
            state = await connection.fetchval("SELECT state FROM pg_stat_activity WHERE pid = $1", number)
            if state in {None, "idle"}:
                return False
            await asyncio.sleep(0.05)
        return True
    finally:
        await connection.close()


ENDS_AT_COMMIT = """
CREATE FUNCTION end_backend() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON tenants
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION end_backend();
"""
