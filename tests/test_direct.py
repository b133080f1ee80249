"""Prebuilt statements: one commit, nothing left of what failed, tried again afresh, and connections that are kept."""

import asyncio
import sqlite3
from collections.abc import Sequence

import asyncpg
import pytest

from incident_manager.db import ATTEMPTS, Database
from incident_manager.direct import Statement, Steps
from incident_manager.errors import Conflict, RequestError, Unavailable
from incident_manager.ids import new_id
from tests.postgres import execute
from tests.test_db import names, on_sqlite
from tests.test_db_faults import ENDS_AT_COMMIT, end, nothing_is_held, on_postgresql, turn

# As the database itself raises them; the second and third are those of a deadlock and of a serialisation failure.
FAILURES = {
    "lost": "SELECT pg_terminate_backend(pg_backend_pid())",
    "deadlock": "DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40P01'; END $$",
    "serialisation": "DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END $$",
}
# A sequence keeps its value where a transaction is rolled back, so only the first commit fails.
FAILS_FIRST_COMMIT = """
CREATE SEQUENCE commits;
CREATE FUNCTION fail_first() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN IF nextval('commits') = 1 THEN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END IF; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON tenants
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail_first();
"""
NOWHERE = """
INSERT INTO dedup_keys (tenant_id, fingerprint, incident_id, open, firing, occurrences)
    SELECT id, 'f', id, true, true, 1 FROM tenants
"""
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def inserted(name: str) -> Statement:
    columns = "id, name, created_at, secret_fingerprint, next_incident_number"
    values = f"'{new_id().hex}', '{name}', '2026-03-01 12:00:00.000000', 'f', 1"
    return Statement("test.insert", f"INSERT INTO tenants ({columns}) VALUES ({values})")


def adding(*wanted: str) -> Steps[str]:
    for name in wanted:
        yield inserted(name)
    return "done"


def asking(text: str, parameters: tuple[str, ...] = ()) -> Steps[object]:
    return (yield Statement("test.ask", text, parameters))


async def test_a_transaction_commits_and_returns_what_its_generator_returns(database: Database) -> None:
    assert await database.run(lambda: adding("a", "b")) == "done"
    assert await names(database) == ["a", "b"]


async def test_a_generator_is_sent_the_first_value_of_the_first_row_and_none_where_there_is_no_row(
    database: Database,
) -> None:
    query = f"SELECT name, id FROM tenants WHERE name >= {'?1' if database.is_sqlite else '$1'} ORDER BY name"
    await database.run(lambda: adding("a", "b", "c"))
    assert [await database.run(lambda name=name: asking(query, (name,))) for name in "bd"] == ["b", None]


@pytest.mark.parametrize("failing", [0, 1, 3])
async def test_a_generator_that_fails_leaves_nothing_and_what_comes_next_is_committed(
    database: Database, failing: int
) -> None:
    def steps() -> Steps[None]:
        yield from adding(*"abc"[:failing])
        raise LookupError

    with pytest.raises(LookupError):
        await database.run(steps)
    await database.run(lambda: adding("z"))
    assert await names(database) == ["z"]


async def test_a_name_that_is_taken_is_a_conflict_and_undoes_the_rest(database: Database) -> None:
    with pytest.raises(Conflict):
        await database.run(lambda: adding("a", "b", "a"))
    await database.run(lambda: adding("z"))
    assert await names(database) == ["z"]


async def test_a_reference_that_fails_at_commit_is_a_conflict_and_undoes_all(database: Database) -> None:
    def steps() -> Steps[None]:
        yield inserted("a")
        yield Statement("test.insert", NOWHERE)

    with pytest.raises(Conflict):
        await database.run(steps)
    await database.run(lambda: adding("z"))
    assert await names(database) == ["z"]


async def test_a_statement_that_is_wrong_is_a_defect_and_nothing_that_a_caller_is_told(database: Database) -> None:
    with pytest.raises((sqlite3.Error, asyncpg.PostgresError)) as caught:
        await database.run(lambda: asking("UPDATE tenants SET nothing = 1"))
    assert not isinstance(caught.value, RequestError)


@on_postgresql
@pytest.mark.parametrize("failure", FAILURES)
async def test_what_is_worth_another_try_runs_its_generator_afresh(database: Database, failure: str) -> None:
    tries: list[int] = []

    def steps() -> Steps[int]:
        tries.append(1)
        yield inserted("a")
        if len(tries) == 1:
            yield Statement("test.fail", FAILURES[failure])
        yield inserted(f"b{len(tries)}")
        return len(tries)

    assert await database.run(steps) == 2
    assert await names(database) == ["a", "b2"]


@on_postgresql
async def test_a_serialisation_failure_at_commit_is_tried_again(database: Database, database_url: str) -> None:
    await execute(database_url, FAILS_FIRST_COMMIT)
    made: list[Steps[str]] = []

    def steps() -> Steps[str]:
        made.append(adding("a"))
        return made[-1]

    assert (await database.run(steps), len(made), await names(database)) == ("done", 2, ["a"])


@on_postgresql
async def test_a_connection_lost_while_committing_is_not_tried_again(database: Database, database_url: str) -> None:
    """The commit may have happened. Here the backend ends itself in a trigger that runs at commit."""
    await execute(database_url, ENDS_AT_COMMIT)
    made: list[Steps[str]] = []

    def steps() -> Steps[str]:
        made.append(adding("a"))
        return made[-1]

    with pytest.raises(Unavailable):
        await database.run(steps)
    assert (len(made), await names(database)) == (1, [])


@on_postgresql
async def test_what_fails_each_time_is_given_up_after_some_tries(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("incident_manager.db.random.uniform", lambda *_: 0)
    made: list[Steps[object]] = []

    def steps() -> Steps[object]:
        made.append(asking(FAILURES["deadlock"]))
        return made[-1]

    with pytest.raises(Unavailable, match="too busy"):
        await database.run(steps)
    assert len(made) == ATTEMPTS


async def backends(database: Database, url: str, count: int = 1) -> set[object]:
    """Return the backends that answer so many transactions at once: none ends before all have begun."""

    def waiting() -> Steps[object]:
        yield Statement("test.wait", "SELECT pg_advisory_xact_lock_shared(1)")
        return (yield from asking("SELECT pg_backend_pid()"))

    gate = await asyncpg.connect(url)
    await gate.execute("SELECT pg_advisory_lock(1)")
    runs = asyncio.gather(*(database.run(waiting) for _ in range(count)))
    while await gate.fetchval(WAITING) < count:
        pass
    await gate.close()
    return set(await runs)


@on_postgresql
async def test_connections_are_kept_and_as_many_as_are_at_work_at_once(database: Database, database_url: str) -> None:
    [first] = await backends(database, database_url)
    three = await backends(database, database_url, 3)
    assert (len(three), first in three) == (3, True)
    assert await backends(database, database_url, 3) == three


@on_postgresql
async def test_idle_connections_that_ended_are_replaced_without_an_error(database: Database, database_url: str) -> None:
    gone = await backends(database, database_url, 3)
    await end(database_url, *gone)
    for _ in range(3):
        await database.run(lambda: adding(new_id().hex))
    assert len(await names(database)) == 3
    assert not await backends(database, database_url, 3) & gone


@on_sqlite
async def test_a_sqlite_file_keeps_its_one_connection_which_is_durable_and_checks_references(
    database: Database,
) -> None:
    await database.run(lambda: asking("CREATE TEMP TABLE mine AS SELECT 1"))
    expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}
    assert {name: await database.run(lambda n=name: asking(f"PRAGMA {n}")) for name in expected} == expected
    assert await database.run(lambda: asking("SELECT count(*) FROM temp.mine")) == 1


@pytest.mark.parametrize("ticks", [range(8), (12, 20, 40, 80)], ids=["early", "late"])
async def test_a_caller_who_leaves_leaves_nothing_half_written_and_nothing_open(
    database: Database, ticks: Sequence[int]
) -> None:
    for turns in ticks:
        task = asyncio.create_task(database.run(lambda: adding("first", "second")))
        await turn(turns)
        task.cancel()
        await asyncio.wait([task])
        await database.run(lambda: asking("SELECT 1"))  # after whatever SQLite's thread still does
        assert len(await names(database)) in {0, 2}
        await database.transaction(nothing_is_held, tenant_id=None)


@on_postgresql
async def test_a_caller_who_leaves_in_a_statement_leaves_no_backend_at_work(
    database: Database, database_url: str
) -> None:
    await database.run(lambda: adding("a"))
    holder = await asyncpg.connect(database_url)
    await holder.execute("BEGIN; LOCK TABLE tenants")
    task = asyncio.create_task(database.run(lambda: adding("b")))
    while not await holder.fetchval(WAITING):
        pass
    task.cancel()
    await asyncio.wait([task])
    assert await holder.fetchval(WAITING) == 0
    await holder.close()
    assert await names(database) == ["a"]
