"""A store of a given size in seconds: the service opens one incident, and one statement copies it as often as it takes.

So every column holds what the service writes there, whatever columns there are; only what tells incidents apart differs.
"""

import asyncio
from typing import Any

import sqlalchemy as sa

from incident_manager.engines import bare_engine
from incident_manager.models.incidents import Incident
from incident_manager.rules.lifecycle import IncidentState

INCIDENTS = Incident.__table__
ACTIVE_EVERY = 10
COUNTED_DIGITS = 12  # of an id's 32: the rest is the first incident's

TIDY = {  # what each does by itself once it has been at rest for a while
    "sqlite": "PRAGMA wal_checkpoint(TRUNCATE)",
    "postgresql": "VACUUM ANALYZE incidents",
}


def fill(url: str, incidents: int) -> None:
    """Copy the one incident of a database until there are so many, a second apart, the first the newest.

    One in ten is active. Were it all of them, the count that stops at ten thousand would read as many rows of a small store as
    of a large one, and neither a row that is not wanted.
    """
    asyncio.run(_fill(url, incidents))


async def _fill(url: str, incidents: int) -> None:
    engine = bare_engine(url)
    try:
        async with engine.begin() as connection:
            await connection.execute(copies(incidents, on_sqlite=engine.dialect.name == "sqlite"))
        async with engine.connect() as connection:
            tidy = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await tidy.exec_driver_sql(TIDY[engine.dialect.name])
    finally:
        await engine.dispose()


def copies(incidents: int, *, on_sqlite: bool) -> sa.Insert:
    """Return the statement that makes one incident so many."""
    counted = sa.select(sa.literal(1).label("n")).cte("counted", recursive=True)
    counted = counted.union_all(sa.select(counted.c.n + 1).where(counted.c.n < incidents - 1))
    others = _others(counted.c.n, on_sqlite=on_sqlite)
    columns = [column.name for column in INCIDENTS.c]
    chosen = [others.get(name, INCIDENTS.c[name]) for name in columns]
    return INCIDENTS.insert().from_select(columns, sa.select(*chosen).select_from(INCIDENTS).join(counted, sa.true()))


def _others(number: sa.ColumnElement[int], *, on_sqlite: bool) -> dict[str, sa.ColumnElement[Any]]:
    """Return what tells the n-th copy from the first incident."""
    old, ended = INCIDENTS.c, IncidentState.RESOLVED
    if on_sqlite:
        start = sa.func.substr(sa.type_coerce(old.id, sa.String), 1, 20)
        id_ = start.concat(sa.func.printf(f"%0{COUNTED_DIGITS}x", number))
        at = sa.func.strftime("%Y-%m-%d %H:%M:%f", old.created_at, sa.func.printf("-%d seconds", number))
        at = at.concat("000")  # to microseconds, as the service writes them
        text: Any = sa.func.printf("%d", number)
    else:
        text = sa.cast(number, sa.Text)
        digits = sa.func.lpad(sa.func.to_hex(number), COUNTED_DIGITS, "0")
        start = sa.func.substr(sa.cast(old.id, sa.Text), 1, 24)
        id_ = sa.cast(start.concat(digits), sa.Uuid)
        at = old.created_at - number * sa.text("interval '1 second'")
    return {
        "id": id_,
        "number": old.number + number,
        "state": sa.case((number % ACTIVE_EVERY == 0, old.state), else_=sa.literal(ended, old.state.type)),
        "fingerprint": old.fingerprint.concat(text),
        "title": old.title.concat(" ").concat(text),
        "created_at": at,
        "updated_at": at,
        "last_alert_id": sa.null(),
    }
