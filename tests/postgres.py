"""Databases of a PostgreSQL server for tests: each fresh and migrated, and used again where a test left nothing but rows.

A copy of the template costs a test 80 to 300 ms, mostly waiting for the disk; deleting the rows of one that is there costs 10.
"""

import asyncio
import contextlib
import uuid

import asyncpg

from incident_manager import migrate
from incident_manager.models import Base

_REUSED_BYTES = 40_000_000  # a bigger one is dropped: what was deleted still has to be read over

_END_OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()"
_DELETE = "; ".join(f"DELETE FROM {table.name}" for table in reversed(Base.metadata.sorted_tables))
# Everything but rows that a test may have changed: columns, indexes, constraints, triggers, functions, rights, settings.
_SHAPE = """
WITH mine AS (
    SELECT oid, relname, relkind, reloptions, relacl FROM pg_class WHERE relnamespace = 'public'::regnamespace
)
SELECT md5(string_agg(line, E'\\n' ORDER BY line)), pg_database_size(current_database()) FROM (
    SELECT concat_ws(' ', relname, relkind, reloptions, relacl) AS line FROM mine
    UNION ALL SELECT concat_ws(' ', relname, attnum, attname, atttypid, attnotnull, attisdropped)
        FROM pg_attribute JOIN mine ON mine.oid = attrelid
    UNION ALL SELECT concat_ws(' ', conname, pg_get_constraintdef(oid))
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', tgname, tgenabled) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', datconnlimit, datallowconn, datacl) FROM pg_database WHERE datname = current_database()
    UNION ALL SELECT concat_ws(' ', setrole, setconfig)
        FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase WHERE datname = current_database()
    UNION ALL SELECT version_num FROM alembic_version
) AS lines
"""


class Databases:
    """The databases of one test process."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._template = f"template_{uuid.uuid4().hex[:12]}"
        self._idle: list[str] = []
        self._shape = asyncio.run(self._make_template())

    def take(self) -> str:
        """Return the name of a database that is empty but for its schema."""
        return self._idle.pop() if self._idle else asyncio.run(self._make())

    def give_back(self, name: str) -> None:
        """Take a database back, for the next test or, where more than rows was changed, to drop it."""
        if asyncio.run(self._clean(name)):
            self._idle.append(name)
        else:
            asyncio.run(execute(self._server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))

    async def _make_template(self) -> str:
        await execute(self._server, f"CREATE DATABASE {self._template}")
        await migrate.upgrade(address(self._server, self._template))
        connection = await asyncpg.connect(address(self._server, self._template))
        try:
            return str((await connection.fetchrow(_SHAPE))[0])
        finally:
            await connection.close()

    async def _make(self) -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        await execute(self._server, f"CREATE DATABASE {name} TEMPLATE {self._template}")
        return name

    async def _clean(self, name: str) -> bool:
        """Delete all rows, and say whether that leaves the database as it was made."""
        with contextlib.suppress(asyncpg.PostgresError):  # renamed, read-only, locked: it is dropped
            connection = await asyncpg.connect(address(self._server, name))
            try:
                await connection.execute(_END_OTHERS, name)
                shape, size = await connection.fetchrow(_SHAPE)
                if shape == self._shape and size < _REUSED_BYTES:
                    await connection.execute(_DELETE)
                    return True
            finally:
                await connection.close()
        return False


async def execute(server: str, statement: str) -> None:
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def address(server: str, name: str) -> str:
    """Return a server's address with another database: the last part of its path."""
    before, question, query = server.partition("?")
    return f"{before.rpartition('/')[0]}/{name}{question}{query}"
