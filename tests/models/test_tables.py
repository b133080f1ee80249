"""What all tables keep to, read from the models and from the databases that the migrations build."""

import re
from typing import Any

import pytest
import sqlalchemy as sa

from incident_manager.models import Base, search
from incident_manager.models.types import UtcDateTime
from tests.migrations.test_versions import on
from tests.models.filled import fill, rows

TABLES = Base.metadata.sorted_tables
OWNED = [table for table in TABLES if table.name != "tenants"]

# Indexes and keys that do not begin with the tenant, and why.
NOT_BY_TENANT = {
    "ix_api_keys_id",  # a key is looked up before its tenant is known
    "ix_integrations_key_digest",  # so is the key in an integration's address
    "ix_idempotency_keys_expires",  # the scan that deletes what has expired, of all tenants
    "uq_tenants_name",  # the table of tenants itself
}
NAMES = {
    sa.PrimaryKeyConstraint: r"pk_{table}",
    sa.ForeignKeyConstraint: r"fk_{table}_[a-z_]+",
    sa.UniqueConstraint: r"uq_{table}_[a-z_]+",
    sa.CheckConstraint: r"ck_{table}_[a-z_]+",
}


@pytest.mark.parametrize("table", OWNED, ids=str)
def test_a_tables_key_begins_with_its_tenant(table: sa.Table) -> None:
    assert table.primary_key.columns.keys()[0] == "tenant_id"
    assert len(table.primary_key.columns) > 1


@pytest.mark.parametrize("table", OWNED, ids=str)
def test_a_reference_cannot_cross_tenants(table: sa.Table) -> None:
    for key in table.foreign_key_constraints:
        pairs = [(element.parent.name, element.target_fullname) for element in key.elements]
        target = "tenants.id" if key.referred_table.name == "tenants" else f"{key.referred_table.name}.tenant_id"
        assert pairs[0] == ("tenant_id", target)


def test_what_people_read_by_begins_with_the_tenant_but_for_a_short_list() -> None:
    keys = {index.name: index.columns.keys()[0] for table in TABLES for index in table.indexes}
    for table in TABLES:
        uniques = [key for key in table.constraints if isinstance(key, sa.UniqueConstraint)]
        keys |= {str(key.name): key.columns.keys()[0] for key in uniques}
    assert {name for name, first in keys.items() if first != "tenant_id"} == NOT_BY_TENANT


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_every_constraint_and_index_has_a_name_by_the_rule(table: sa.Table) -> None:
    for constraint in table.constraints:
        pattern = NAMES[type(constraint)].format(table=table.name)
        assert re.fullmatch(pattern, name_of(constraint)), constraint
    for index in table.indexes:
        assert re.fullmatch(rf"{'uq' if index.unique else 'ix'}_{table.name}_[a-z_]+|ix_.*", str(index.name))


async def test_the_databases_have_these_names(database_url: str) -> None:
    found = await on(database_url, names_in)
    found = {
        name: kept - {search.POSTGRESQL_INDEX, search.POSTGRESQL_TAGS_INDEX}
        for name, kept in found.items()
        if not name.startswith(search.PREFIX)
    }
    expected = {table.name: {name_of(key) for key in table.constraints} for table in TABLES}
    expected = {
        name: keys | {str(index.name) for index in Base.metadata.tables[name].indexes}
        for name, keys in expected.items()
    }
    assert found == expected


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_every_time_is_an_instant_in_utc(table: sa.Table) -> None:
    times = [column for column in table.c if isinstance(column.type, sa.DateTime | UtcDateTime)]
    assert [column.name for column in times if not isinstance(column.type, UtcDateTime)] == []
    assert [column.name for column in times if not re.fullmatch(r"at|[a-z_]+_(at|until)", column.name)] == []


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_a_closed_set_is_a_text_with_a_check(table: sa.Table) -> None:
    for column in table.c:
        if isinstance(column.type, sa.Enum):
            assert (column.type.native_enum, column.type.create_constraint) == (False, True)
            assert max(map(len, column.type.enums)) <= 32


async def test_a_value_outside_a_closed_set_is_refused_by_the_database(database_url: str) -> None:
    def write(connection: sa.Connection) -> None:
        connection.execute(sa.text("UPDATE incidents SET state = 'Forgotten'"))

    await on(database_url, fill)
    with pytest.raises(sa.exc.IntegrityError, match="ck_incidents_state"):
        await on(database_url, write)


async def test_a_row_cannot_refer_to_another_tenants(database_url: str) -> None:
    """The alert of tenant 1 is told to belong to an incident of tenant 2, which exists."""

    def write(connection: sa.Connection) -> None:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        theirs, ours = (next(made[0] for table, made in rows(tenant) if table.name == "incidents") for tenant in (2, 1))
        statement = sa.text("UPDATE alerts SET incident_id = :theirs WHERE incident_id = :ours")
        kinds = [sa.bindparam(name, type_=sa.Uuid()) for name in ("theirs", "ours")]
        connection.execute(statement.bindparams(*kinds), {"theirs": theirs["id"], "ours": ours["id"]})

    await on(database_url, lambda connection: [fill(connection, tenant) for tenant in (1, 2)])
    with pytest.raises(sa.exc.IntegrityError):
        await on(database_url, write)


def name_of(constraint: sa.Constraint) -> str:
    """Return a constraint's name as the convention makes it."""
    name = sa.sql.naming._constraint_name_for_table(constraint, constraint.table)
    return str(name)


def names_in(connection: sa.Connection) -> dict[str, set[str]]:
    look = sa.inspect(connection)
    found: dict[str, set[str]] = {}
    for table in (name for name in look.get_table_names() if name != "alembic_version"):
        listed: list[Any] = [
            look.get_pk_constraint(table),
            *look.get_foreign_keys(table),
            *look.get_check_constraints(table),
        ]
        listed += [*look.get_unique_constraints(table), *look.get_indexes(table)]
        found[table] = {str(each["name"]) for each in listed}
    return found
