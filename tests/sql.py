"""Looking over the database's shoulder: which statements ran, and how it would run one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from incident_manager.db import Database
from incident_manager.direct import Steps


class Recorded(list[tuple[str, Any]]):
    """Statements with their parameters, in the order they ran."""

    @property
    def texts(self) -> list[str]:
        return [statement for statement, _ in self]


@contextmanager
def recording(database: Database) -> Iterator[Recorded]:
    """Record what runs on either engine, but for the BEGIN that SQLite is sent."""
    found = Recorded()

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if not statement.startswith("BEGIN"):
            found.append((statement, parameters))

    def noted(steps: Steps[Any]) -> Steps[Any]:
        answer = None
        while True:
            try:
                statement = steps.send(answer)
            except StopIteration as end:
                return end.value
            found.append((statement.text, statement.parameters))
            answer = yield statement

    def run_noted(steps: Callable[[], Steps[Any]]) -> Any:
        return run(lambda: noted(steps()))

    run, database._direct.run = database._direct.run, run_noted
    engines = {database.engine.sync_engine, database._readers.sync_engine}
    for engine in engines:
        sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        del database._direct.run
        for engine in engines:
            sa.event.remove(engine, "before_cursor_execute", note)


async def plan(database: Database, statement: str, parameters: Any) -> str:
    """Return how the database would run a statement; PostgreSQL is told to avoid scans and sorts, which are
    right for few rows: where they stay, there is no index."""
    async with database.engine.connect() as connection:
        if database.is_sqlite:
            found = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            return "\n".join(row[-1] for row in found)
        for chosen in ("enable_seqscan", "enable_sort"):
            await connection.exec_driver_sql(f"SET LOCAL {chosen} = off")
        found = await connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
        return "\n".join(row[0] for row in found)
