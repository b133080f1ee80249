"""What goes into a column comes out of it, alike on both databases."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incident_manager.db import Database, Session
from incident_manager.models.access import Tenant
from incident_manager.models.audit import AuditEntry
from tests.models.filled import fill, rows

TENANT = next(made[0]["id"] for table, made in rows() if table.name == "tenants")
KATHMANDU = timezone(timedelta(hours=5, minutes=45))


@pytest.fixture
async def filled(database: Database) -> Database:
    async with database.engine.begin() as connection:
        await connection.run_sync(fill)
    return database


async def kept(database: Database, **values: Any) -> AuditEntry:
    """Write values into a row and read it back in another session."""

    async def write(session: Session) -> None:
        await session.execute(sa.update(AuditEntry).values(**values))

    async def look(session: Session) -> AuditEntry:
        return (await session.scalars(sa.select(AuditEntry))).first()

    await database.transaction(write, tenant_id=TENANT)
    return await database.read(look, tenant_id=TENANT)


@pytest.mark.parametrize(
    "at",
    [
        datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=UTC),
        datetime(2026, 3, 1, 12, 0, 0, 999_999, tzinfo=UTC),
        datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2026, 10, 25, 2, 30, tzinfo=KATHMANDU),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ],
)
async def test_an_instant_comes_back_in_utc_to_the_microsecond(filled: Database, at: datetime) -> None:
    found = (await kept(filled, at=at)).at
    assert (found, found.tzinfo) == (at, UTC)


async def test_a_time_without_a_zone_is_refused(filled: Database) -> None:
    with pytest.raises(sa.exc.StatementError, match="a time without a zone"):
        await kept(filled, at=datetime(2026, 3, 1, 12, 0))  # noqa: DTZ001 - what is refused


async def test_times_sort_as_instants_whatever_their_zone(filled: Database) -> None:
    early, late = datetime(2026, 3, 1, 12, 0, tzinfo=KATHMANDU), datetime(2026, 3, 1, 6, 15, 0, 1, tzinfo=UTC)
    await kept(filled, at=early)

    async def later(session: Session) -> int:
        query = sa.select(sa.func.count()).select_from(AuditEntry).where(AuditEntry.at < late)
        return await session.scalar(query) or 0

    assert await filled.read(later, tenant_id=TENANT) == 2


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    after=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text('aé\U0001f600"\\\n', max_size=3), inner, max_size=3)
        ),
        max_leaves=8,
    ).filter(lambda value: "\\u0000" not in repr(value) and "\\x00" not in repr(value))
)
async def test_json_comes_back_as_it_was(filled: Database, after: Any) -> None:
    assert (await kept(filled, after={"value": after})).after == {"value": after}


async def test_what_is_null_in_json_is_a_json_null_and_no_missing_value(filled: Database) -> None:
    assert (await kept(filled, before={"name": None})).before == {"name": None}


async def test_an_id_is_the_same_on_the_way_back(filled: Database) -> None:
    found = await filled.read(lambda session: session.get(Tenant, TENANT), tenant_id=None)
    assert found.id == TENANT
