"""Whether what is confirmed is kept: read from the database, as our own sessions find it."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from incident_manager.db import Database
from incident_manager.errors import Unavailable
from incident_manager.settings import load
from incident_manager.store import durability
from tests.postgres import execute


async def weaknesses(database: Database) -> list[str]:
    return await database.read(durability.weaknesses, tenant_id=None)


async def test_a_database_as_we_use_it_keeps_what_it_confirms(database: Database) -> None:
    assert await weaknesses(database) == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("level", ["DATABASE", "ROLE"])
async def test_postgresql_that_confirms_before_it_writes_is_seen(database_url: str, level: str) -> None:
    """However it was turned off: for the database or for the role that we come as."""
    url = sa.make_url(database_url)
    role = f"guest_{url.database}"
    await execute(database_url, f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    await execute(
        database_url, f"ALTER {level} {role if level == 'ROLE' else url.database} SET synchronous_commit = off"
    )
    database = Database(url.set(username=role, password="x").render_as_string(hide_password=False), load().database)
    assert await weaknesses(database) == ["PostgreSQL's synchronous_commit is off"]
    await database.close()
    await execute(database_url, f"DROP ROLE {role}")


@pytest.mark.parametrize("value", ["on", "local", "remote_write", "remote_apply"])
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_postgresql_that_writes_before_it_confirms_is_durable(
    database: Database, database_url: str, value: str
) -> None:
    await execute(database_url, f"ALTER DATABASE {sa.make_url(database_url).database} SET synchronous_commit = {value}")
    assert await weaknesses(database) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("level", "expected"), [("OFF", 0), ("NORMAL", 1), ("FULL", None), ("EXTRA", None)])
async def test_sqlite_below_full_is_seen(database: Database, level: str, expected: int | None) -> None:
    async def lowered(session: object) -> list[str]:
        await session.execute(sa.text("COMMIT"))  # the level can only change outside of a transaction
        await session.execute(sa.text(f"PRAGMA synchronous = {level}"))
        await session.execute(sa.text("BEGIN"))
        return await durability.weaknesses(session)

    found = await database.read(lowered, tenant_id=None)
    assert found == ([] if expected is None else [f"SQLite's synchronous is {expected}, not FULL"])


async def test_a_database_that_answers_answers(database: Database) -> None:
    await database.read(durability.answers, tenant_id=None)


async def test_a_database_that_does_not_answer_is_not_available(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'nowhere' / 'incidents.db'}", load().database)
    with pytest.raises(Unavailable):
        await database.read(durability.answers, tenant_id=None)
    await database.close()
