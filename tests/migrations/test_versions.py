"""Every migration up, down and up again, on databases that hold something; and what a migration may meet."""

import asyncio
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory

from incident_manager import migrate
from incident_manager.engines import bare_engine
from incident_manager.errors import StartRefused
from incident_manager.models import Base
from incident_manager.settings import packaged_file
from tests.migrations.scripts import NEXT, add, config, with_one_more
from tests.models.filled import fill, snapshot

SCRIPTS = sorted((packaged_file("migrations") / "versions").glob("*.py"))
VERSIONS = [script.name[:15] for script in SCRIPTS]

# What a migration's way down loses on purpose, and so the way up cannot bring back: (version, table, column), with the reason.
LOST = {
    ("2026_11_25_1300", "incidents", "related_incidents"),  # what this version adds
    ("2026_11_25_1300", "incidents", "holds_several"),
    ("2026_11_25_1300", "alerts", "answered_incident_id"),
    ("2026_11_25_1300", "dedup_keys", "firing"),  # made anew from `open`
    ("2026_11_25_1800", "alerts", "previous_id"),  # both made anew from which alerts are of which incident
    ("2026_11_25_1800", "incidents", "last_alert_id"),
}


@pytest.fixture
async def filled_url(database_url: str) -> str:
    """The address of a database at head where two tenants have rows in every table."""
    await on(database_url, lambda connection: [fill(connection, tenant) for tenant in (1, 2)])
    return database_url


async def on(url: str, work: Any) -> Any:
    engine = bare_engine(url)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


async def columns(url: str, table: str) -> list[str]:
    return [column["name"] for column in await on(url, lambda it: sa.inspect(it).get_columns(table))]


async def rows(url: str) -> dict[str, Any]:
    found = await on(url, snapshot)
    return {table: content for table, content in found.items() if table != "alembic_version"}


def without_lost(content: dict[str, Any], tables: set[str], since: str) -> dict[str, Any]:
    """Leave out the columns that going down below a version loses, and the tables that it drops."""
    lost = {(table, column) for version, table, column in LOST if version >= since}
    return {
        table: sorted(({k: v for k, v in row.items() if (table, k) not in lost} for row in content[table]), key=str)
        for table in tables
    }


# --- the package's own ----------------------------------------------------------------------------------------------------


def test_there_is_one_head_and_every_version_is_reached_from_it() -> None:
    walked = [script.revision for script in ScriptDirectory(str(packaged_file("migrations"))).walk_revisions()]
    assert walked == sorted(VERSIONS, reverse=True)
    assert migrate.head() == VERSIONS[-1]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_file_is_named_by_its_date_which_is_its_version(script: Path) -> None:
    assert re.fullmatch(r"20\d\d_[01]\d_[0-3]\d_[0-2]\d[0-5]\d_[a-z0-9_]+\.py", script.name)
    assert f'\nrevision = "{script.name[:15]}"\n' in script.read_text()


async def test_the_way_down_leaves_nothing_behind(filled_url: str) -> None:
    await migrate.downgrade(filled_url, "base")
    assert await on(filled_url, lambda connection: sa.inspect(connection).get_table_names()) == ["alembic_version"]
    assert await migrate.current(filled_url) is None


@pytest.mark.parametrize("version", VERSIONS)
async def test_down_and_up_again_keeps_what_the_older_schema_can_hold(filled_url: str, version: str) -> None:
    before = await rows(filled_url)
    await migrate.downgrade(filled_url, version)
    await migrate.downgrade(filled_url, "-1")
    kept = set(await rows(filled_url))
    await migrate.upgrade(filled_url)
    after = await rows(filled_url)
    assert without_lost(after, kept, version) == without_lost(before, kept, version)
    assert set(after) == set(before)


async def test_after_down_and_up_the_tables_take_the_same_rows_again(filled_url: str) -> None:
    before = await rows(filled_url)
    await migrate.downgrade(filled_url, "base")
    await migrate.upgrade(filled_url)
    await on(filled_url, lambda connection: [fill(connection, tenant) for tenant in (1, 2)])
    assert await rows(filled_url) == before


async def test_an_upgrade_of_what_is_at_head_changes_nothing(filled_url: str) -> None:
    before = await on(filled_url, snapshot)
    await migrate.upgrade(filled_url)
    assert await on(filled_url, snapshot) == before


# --- one more, to try what a migration may meet ---------------------------------------------------------------------------


ADDS_AND_REBUILDS = """
with op.batch_alter_table("incidents") as incidents:
    incidents.add_column(sa.Column("mood", sa.Text(), nullable=True))
with op.batch_alter_table("tenants", recreate="auto") as tenants:
    tenants.alter_column("name", existing_type=sa.Text(), type_=sa.String(500), existing_nullable=False)
"""
TAKES_AWAY = """
with op.batch_alter_table("tenants") as tenants:
    tenants.alter_column("name", existing_type=sa.String(500), type_=sa.Text(), existing_nullable=False)
with op.batch_alter_table("incidents") as incidents:
    incidents.drop_column("mood")
"""


async def test_a_table_that_is_rebuilt_keeps_the_rows_that_refer_to_it(filled_url: str, tmp_path: Path) -> None:
    """SQLite drops the old table; with foreign keys on, that would delete every alert, timeline and key of its rows."""
    scripts, before = with_one_more(tmp_path, ADDS_AND_REBUILDS, TAKES_AWAY), await rows(filled_url)
    await asyncio.to_thread(command.upgrade, config(scripts, filled_url), "head")
    assert "mood" in await columns(filled_url, "incidents")
    await asyncio.to_thread(command.downgrade, config(scripts, filled_url), "-1")
    assert await rows(filled_url) == before


async def test_a_migration_that_orphans_rows_is_refused_and_undone(filled_url: str, tmp_path: Path) -> None:
    scripts, before = with_one_more(tmp_path, 'op.execute("DELETE FROM incidents")'), await rows(filled_url)
    refused = StartRefused if filled_url.startswith("sqlite") else sa.exc.IntegrityError
    with pytest.raises(refused, match="alerts"):
        await asyncio.to_thread(command.upgrade, config(scripts, filled_url), "head")
    assert await rows(filled_url) == before
    assert await migrate.current(filled_url) == migrate.head()


async def test_a_migration_that_fails_does_not_undo_the_one_before_it(filled_url: str, tmp_path: Path) -> None:
    scripts = with_one_more(tmp_path, "op.add_column('tenants', sa.Column('motto', sa.Text()))")
    fails = "op.add_column('tenants', sa.Column('mood', sa.Text()))\nop.execute('SELECT nonsense')"
    add(scripts, "2099_01_02_0000", fails, after=NEXT)
    with pytest.raises(sa.exc.DBAPIError, match="nonsense"):
        await asyncio.to_thread(command.upgrade, config(scripts, filled_url), "head")
    assert await migrate.current(filled_url) == NEXT
    assert (await columns(filled_url, "tenants"))[-2:] == ["next_incident_number", "motto"]


@pytest.mark.parametrize("half", ["op.add_column('tenants', sa.Column('motto', sa.Text()))", ADDS_AND_REBUILDS])
async def test_a_migration_that_is_killed_halfway_left_nothing_and_the_next_start_finishes_it(
    filled_url: str, tmp_path: Path, half: str
) -> None:
    marker, before = tmp_path / "halfway", await rows(filled_url)
    waits = (
        f"if not pathlib.Path({str(marker)!r}).exists():\n    pathlib.Path({str(marker)!r}).touch(); time.sleep(600)"
    )
    scripts = with_one_more(tmp_path, f"{half}\n{waits}")
    command_line = [sys.executable, "-m", "tests.migrations.scripts", str(scripts), filled_url]
    first = await asyncio.create_subprocess_exec(*command_line)
    while not marker.exists():
        assert first.returncode is None
        await asyncio.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    await first.wait()

    assert (await migrate.current(filled_url), await rows(filled_url)) == (migrate.head(), before)
    assert await migrate.differences(filled_url, Base.metadata) == ""
    second = await asyncio.create_subprocess_exec(*command_line)
    assert await second.wait() == 0
    assert await migrate.current(filled_url) == NEXT
    assert {table: len(content) for table, content in (await rows(filled_url)).items()} == dict.fromkeys(before, 4)
