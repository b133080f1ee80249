"""A session sees, changes and writes one tenant's rows, however the statement is put."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import aliased

from incident_manager.db import SEES_ALL_TENANTS, Database, Session
from incident_manager.models.access import ApiKey, Tenant
from incident_manager.models.alerts import Alert
from incident_manager.models.audit import AuditEntry
from incident_manager.models.incidents import Incident
from tests.models.filled import fill, rows

OURS, THEIRS = (next(made[0]["id"] for table, made in rows(number) if table.name == "tenants") for number in (1, 2))
OTHER = aliased(Incident)

# A statement, and the conditions on a tenant that it must come to hold: one for each mention of a tenant's table.
READS: dict[str, tuple[Any, int]] = {
    "rows": (select(Incident), 1),
    "one column": (select(Incident.id), 1),
    "one by its id": (select(Incident).where(Incident.id == UUID(int=1)), 1),
    "a join": (select(Incident, Alert).join(Alert, Alert.incident_id == Incident.id), 2),
    "an outer join": (select(Alert.id, Incident.number).outerjoin(Incident, Incident.id == Alert.incident_id), 2),
    "a join with itself": (select(Incident.id).join(OTHER, OTHER.recurrence_of_id == Incident.id), 2),
    "a sub-select": (select(Alert.id).where(Alert.incident_id.in_(select(Incident.id))), 2),
    "an exists": (select(Incident.id).where(sa.exists().where(Alert.incident_id == Incident.id)), 2),
    "a count": (select(func.count()).select_from(Incident), 1),
    "a count of a sub-select": (select(func.count()).select_from(select(Incident.id).limit(5).subquery()), 1),
    "a maximum": (select(func.max(Incident.number)), 1),
    "a scalar beside another table": (select(Tenant.id, select(func.count(ApiKey.id)).scalar_subquery()), 1),
    "a condition on another table": (select(Tenant.id).where(Tenant.id.in_(select(Incident.tenant_id))), 1),
    "a union": (sa.union_all(select(Incident.id), select(Alert.id)), 2),
    "a common table expression": (select(select(Incident.id).cte()), 1),
    "a locking read": (select(Incident).with_for_update(), 1),
}
WRITES: dict[str, Any] = {
    "an update": update(AuditEntry).values(action="changed"),
    "an update that returns": update(AuditEntry).values(action="changed").returning(AuditEntry.id),
    "a delete": delete(AuditEntry),
}
PAST_THE_MODELS: dict[str, Any] = {
    "a table": select(Incident.__table__),
    "a table's column": select(Incident.__table__.c.title),
    "a bare exists": select(sa.exists().where(Incident.number == 1)),
    "an update of a table": update(Incident.__table__).values(title="changed"),
    "an insert into a table": insert(Incident.__table__),
}


@pytest.fixture
async def two_tenants(database: Database) -> Database:
    """A database where two tenants have two rows in every table."""
    async with database.engine.begin() as connection:
        for tenant in (1, 2):
            await connection.run_sync(fill, tenant)
    return database


async def statements(database: Database, statement: Any) -> list[str]:
    """Return what reaches the database, as its driver is given it."""
    sent: list[str] = []

    def note(*arguments: Any) -> None:
        sent.append(arguments[2])

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        await database.transaction(lambda session: session.execute(statement), tenant_id=OURS)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    return [text for text in sent if not text.startswith("BEGIN")]


@pytest.mark.parametrize("name", READS)
async def test_each_mention_of_a_tenants_table_is_bound_to_the_tenant(database: Database, name: str) -> None:
    statement, mentions = READS[name]
    [sent] = await statements(database, statement)
    assert sent.count("tenant_id = ") == mentions, sent


@pytest.mark.parametrize("name", [*READS, *WRITES])
async def test_without_a_tenant_a_statement_on_a_tenants_table_is_refused(database: Database, name: str) -> None:
    statement = WRITES[name] if name in WRITES else READS[name][0]
    with pytest.raises(RuntimeError, match="session without a tenant"):
        await database.transaction(lambda session: session.execute(statement), tenant_id=None)


@pytest.mark.parametrize("name", PAST_THE_MODELS)
async def test_a_statement_past_the_models_is_refused_where_no_tenant_can_be_added(
    database: Database, name: str
) -> None:
    with pytest.raises(RuntimeError, match="does not go through its model"):
        await database.transaction(lambda session: session.execute(PAST_THE_MODELS[name]), tenant_id=OURS)


async def test_a_tenant_reads_its_own_rows_only(two_tenants: Database) -> None:
    async def look(session: Session) -> tuple[set[UUID], int | None]:
        found = {incident.tenant_id for incident in await session.scalars(select(Incident))}
        return found, await session.scalar(select(func.count()).select_from(select(Alert.id).subquery()))

    assert await two_tenants.read(look, tenant_id=THEIRS) == ({THEIRS}, 2)


async def test_an_id_of_another_tenant_finds_nothing(two_tenants: Database) -> None:
    theirs = next(made[0] for table, made in rows(2) if table.name == "incidents")
    key = {"tenant_id": THEIRS, "id": theirs["id"]}
    assert await two_tenants.read(lambda session: session.get(Incident, key), tenant_id=OURS) is None


@pytest.mark.parametrize("name", WRITES)
async def test_a_tenant_changes_its_own_rows_only(two_tenants: Database, name: str) -> None:
    await two_tenants.transaction(lambda session: session.execute(WRITES[name]), tenant_id=OURS)
    query = select(func.count()).select_from(AuditEntry).where(AuditEntry.action != "changed")
    assert await two_tenants.read(lambda session: session.scalar(query), tenant_id=THEIRS) == 2
    assert await two_tenants.read(lambda session: session.scalar(query), tenant_id=OURS) == 0


async def test_whoever_says_so_sees_all_tenants(two_tenants: Database) -> None:
    async def look(session: Session) -> set[UUID]:
        return set(await session.scalars(select(ApiKey.tenant_id), execution_options=SEES_ALL_TENANTS))

    assert await two_tenants.read(look, tenant_id=None) == {OURS, THEIRS}


async def test_what_belongs_to_no_tenant_is_read_without_one(two_tenants: Database) -> None:
    assert len(await two_tenants.read(all_tenants, tenant_id=None)) == 4


@pytest.mark.parametrize("session_tenant", [OURS, None])
async def test_a_row_of_another_tenant_is_not_written(two_tenants: Database, session_tenant: UUID | None) -> None:
    row = audit_row(THEIRS)

    async def write(session: Session) -> None:
        session.add(AuditEntry(**row))

    with pytest.raises(RuntimeError, match="another tenant"):
        await two_tenants.transaction(write, tenant_id=session_tenant)


@pytest.mark.parametrize(
    "put",
    [
        lambda row: (insert(AuditEntry), [audit_row(OURS), row]),
        lambda row: (insert(AuditEntry), row),
        lambda row: (insert(AuditEntry).values(**row), None),
    ],
    ids=["many", "one", "as values"],
)
async def test_rows_of_another_tenant_are_not_inserted(
    two_tenants: Database, put: Callable[[dict[str, Any]], Any]
) -> None:
    statement, parameters = put(audit_row(THEIRS))
    with pytest.raises(RuntimeError, match="the session's tenant"):
        await two_tenants.transaction(lambda session: session.execute(statement, parameters), tenant_id=OURS)


async def test_many_rows_of_the_own_tenant_are_inserted_as_they_are(two_tenants: Database) -> None:
    made = [{**audit_row(OURS), "id": UUID(int=number)} for number in (1, 2)]
    await two_tenants.transaction(lambda session: session.execute(insert(AuditEntry), made), tenant_id=OURS)
    query = select(func.count()).select_from(AuditEntry)
    assert await two_tenants.read(lambda session: session.scalar(query), tenant_id=OURS) == 4


async def all_tenants(session: Session) -> Any:
    return (await session.scalars(select(Tenant))).all()


def audit_row(tenant_id: UUID) -> dict[str, Any]:
    row = next(made[1] for table, made in rows(3) if table.name == "audit")
    return {**row, "tenant_id": tenant_id}
