"""Versions, the comparison of schema and models, and the lock that lets one process at a time work on a schema."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from incident_manager import migrate
from incident_manager.errors import StartRefused
from incident_manager.models import Base
from incident_manager.models.types import UtcDateTime
from tests.migrations.scripts import NEXT, add, config, with_one_more
from tests.migrations.test_versions import on


def models() -> sa.MetaData:
    """Return a copy of the models' tables that a test may change."""
    copy = sa.MetaData(naming_convention=Base.metadata.naming_convention, info=Base.metadata.info)
    for table in Base.metadata.sorted_tables:
        table.to_metadata(copy)
    return copy


def gains_a_column(changed: sa.MetaData) -> None:
    changed.tables["incidents"].append_column(sa.Column("mood", UtcDateTime(), nullable=True))


def gains_a_table(changed: sa.MetaData) -> None:
    sa.Table("moods", changed, sa.Column("id", sa.Uuid(), primary_key=True))


def gains_an_index(changed: sa.MetaData) -> None:
    sa.Index("ix_mood", changed.tables["incidents"].c.source)


def gains_a_unique_key(changed: sa.MetaData) -> None:
    changed.tables["alerts"].append_constraint(sa.UniqueConstraint("tenant_id", "source"))


def loses_a_column(changed: sa.MetaData) -> None:
    table = changed.tables["incidents"]
    table._columns.remove(table.c.team)


def changes_a_type(changed: sa.MetaData) -> None:
    changed.tables["incidents"].c.number.type = sa.Text()


def allows_an_empty_value(changed: sa.MetaData) -> None:
    changed.tables["incidents"].c.source.nullable = True


def gains_a_value_in_a_closed_set(changed: sa.MetaData) -> None:
    kind = changed.tables["incidents"].c.state.type
    changed.tables["incidents"].c.state.type = sa.Enum(*kind.enums, "Forgotten", name=kind.name, native_enum=False)


async def test_the_migrations_lead_to_what_the_models_say(database_url: str) -> None:
    assert await migrate.differences(database_url, Base.metadata) == ""
    assert await migrate.differences(database_url, models()) == ""


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (gains_a_column, "mood"),
        (gains_a_table, "create_table('moods'"),
        (gains_an_index, "ix_mood"),
        (gains_a_unique_key, "uq_alerts_tenant_id_source"),
        (loses_a_column, "drop_column('incidents', 'team')"),
        (changes_a_type, "'number'"),
        (allows_an_empty_value, "'source'"),
        (gains_a_value_in_a_closed_set, "ck_incidents_state: the schema allows ['Closed', "),
    ],
)
async def test_a_model_that_the_migrations_do_not_know_is_shown(
    database_url: str, change: Callable[[sa.MetaData], None], shown: str
) -> None:
    changed = models()
    change(changed)
    assert shown in await migrate.differences(database_url, changed)


async def test_a_trigger_that_a_rebuilt_table_lost_is_missed(database_url: str) -> None:
    sqlite = database_url.startswith("sqlite")
    lost = "incident_search_update" if sqlite else "ix_incidents_search"
    await on(database_url, lambda it: it.exec_driver_sql(f"DROP {'TRIGGER' if sqlite else 'INDEX'} {lost}"))
    assert await migrate.differences(database_url, Base.metadata) == f"# {lost} is missing"


async def test_an_empty_database_has_no_version_and_all_is_missing(empty_database_url: str) -> None:
    assert await migrate.current(empty_database_url) is None
    assert "create_table('incidents'" in await migrate.differences(empty_database_url, Base.metadata)


async def test_a_database_can_be_brought_up_and_down_by_steps(empty_database_url: str) -> None:
    await migrate.upgrade(empty_database_url, "+1")
    assert await migrate.current(empty_database_url) is not None
    await migrate.upgrade(empty_database_url)
    assert await migrate.current(empty_database_url) == migrate.head()
    await migrate.downgrade(empty_database_url, "base")
    assert await migrate.current(empty_database_url) is None


def test_the_versions_of_this_package_are_known_and_no_others() -> None:
    assert migrate.knows(migrate.head())
    assert not migrate.knows(NEXT)


@pytest.mark.parametrize("way", [migrate.upgrade, migrate.downgrade])
async def test_a_version_that_nobody_knows_is_refused_in_a_sentence(
    database_url: str, way: Callable[..., object]
) -> None:
    with pytest.raises(StartRefused, match="Can't locate revision identified by 'nonsense'"):
        await way(database_url, "nonsense")


async def test_what_the_database_says_of_a_failing_migration_is_told_in_a_sentence(database_url: str) -> None:
    await on(database_url, lambda connection: connection.execute(sa.text("DELETE FROM alembic_version")))
    with pytest.raises(StartRefused) as refused:
        await migrate.upgrade(database_url)
    assert "tenants" in str(refused.value)
    assert "already exists" in str(refused.value)
    assert "CREATE" not in str(refused.value)


def test_migrations_with_two_heads_are_seen(tmp_path: Path) -> None:
    scripts = with_one_more(tmp_path, "pass")
    add(scripts, "2099_01_02_0000", "pass", after=migrate.head())
    with pytest.raises(StartRefused, match="have 2 heads"):
        migrate.only_head(config(scripts, ""))


async def test_the_lock_is_one_processs_and_free_after_it(database_url: str) -> None:
    inside, order = asyncio.Event(), []

    async def second() -> None:
        await inside.wait()
        async with migrate.one_at_a_time(database_url):
            order.append("second")

    waiting = asyncio.create_task(second())
    async with migrate.one_at_a_time(database_url):
        inside.set()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 0.3)
        order.append("first")
    await waiting
    assert order == ["first", "second"]


async def test_the_lock_is_free_after_a_failure(database_url: str) -> None:
    with pytest.raises(LookupError):
        async with migrate.one_at_a_time(database_url):
            raise LookupError
    async with asyncio.timeout(5), migrate.one_at_a_time(database_url):
        pass
