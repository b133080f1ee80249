"""Alerts that were stored before there were chains stand in one of their incident afterwards, and in the index again before."""

from typing import Any

import pytest
import sqlalchemy as sa

from incident_manager import migrate
from incident_manager.ids import new_id
from incident_manager.models import Base
from incident_manager.models.alerts import Alert
from incident_manager.models.incidents import Incident
from tests.migrations.test_versions import on
from tests.models.filled import rows

VERSION = "2026_11_25_1800"
ALERTS, INCIDENTS = Alert.__table__, Incident.__table__
CHAIN = {"previous_id", "last_alert_id"}


@pytest.fixture
async def older_url(database_url: str) -> str:
    """The address of a database of the version before, where two tenants have two incidents each, one with three alerts."""
    await migrate.downgrade(database_url, VERSION)
    await migrate.downgrade(database_url, "-1")
    await on(database_url, lambda connection: [fill_older(connection, tenant) for tenant in (1, 2)])
    return database_url


def fill_older(connection: sa.Connection, tenant: int) -> None:
    for table, made in rows(tenant):
        known = [{name: value for name, value in row.items() if name not in CHAIN} for row in made]
        connection.execute(table.insert(), known)
        if table is ALERTS:
            connection.execute(table.insert(), [{**known[0], "id": new_id()} for _ in range(2)])


def linked(connection: sa.Connection) -> dict[Any, list[Any]]:
    """Return the alerts that are walked from each incident."""
    before = {row.id: row.previous_id for row in connection.execute(sa.select(ALERTS))}
    found: dict[Any, list[Any]] = {}
    for incident, alert in connection.execute(sa.select(INCIDENTS.c["id", "last_alert_id"])):
        walked = found[incident] = []
        while alert is not None:
            walked.append(alert)
            alert = before[alert]  # noqa: PLW2901 - the walk
    return found


def owned(connection: sa.Connection) -> dict[Any, list[Any]]:
    """Return the alerts of each incident by what each says, newest first."""
    found: dict[Any, list[Any]] = {incident: [] for incident in connection.scalars(sa.select(INCIDENTS.c.id))}
    newest_first = sa.select(ALERTS.c["incident_id", "id"]).order_by(ALERTS.c.id.desc())
    for incident, alert in connection.execute(newest_first.where(ALERTS.c.incident_id.is_not(None))):
        found[incident].append(alert)
    return found


async def test_what_was_stored_before_is_chained(older_url: str) -> None:
    await migrate.upgrade(older_url)
    chains = await on(older_url, linked)
    assert chains == await on(older_url, owned)
    assert sorted(map(len, chains.values())) == [0, 0, 3, 3]


async def test_the_way_down_brings_the_index_back(older_url: str) -> None:
    await migrate.upgrade(older_url)
    await migrate.downgrade(older_url, VERSION)
    await migrate.downgrade(older_url, "-1")
    found = await on(older_url, lambda connection: sa.inspect(connection).get_indexes("alerts"))
    assert [index["column_names"] for index in found] == [["tenant_id", "incident_id", "id"]]


async def test_nothing_is_rebuilt_so_that_no_trigger_is_lost(older_url: str) -> None:
    for step in (migrate.upgrade(older_url), migrate.downgrade(older_url, "-1"), migrate.upgrade(older_url)):
        await step
    assert await migrate.differences(older_url, Base.metadata) == ""
