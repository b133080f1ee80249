"""How Alembic reaches the database: async engine, one transaction a migration, tables rebuilt in batches on SQLite.

SQLite rebuilds a table by copying it and dropping the old one. With foreign keys on, that drop would delete every row that
refers to it; and the pragma does nothing inside a transaction. So keys are off from before BEGIN, and checked before COMMIT.
"""

import asyncio

import sqlalchemy as sa
from alembic import context

from incident_manager.engines import bare_engine
from incident_manager.errors import StartRefused
from incident_manager.models import Base
from incident_manager.settings import load


async def connect_and_migrate() -> None:
    engine = bare_engine(context.config.attributes.get("url") or load().database_url)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine.sync_engine, "connect", prepare_sqlite)
        sa.event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        async with engine.connect() as connection:
            await connection.run_sync(migrate)
    finally:
        await engine.dispose()


def prepare_sqlite(connection, _record) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = OFF", "busy_timeout = 30000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def migrate(connection: sa.Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        transaction_per_migration=True,
        compare_type=True,
        on_version_apply=check_references,
    )
    with context.begin_transaction():
        context.run_migrations()


def check_references(ctx, **_) -> None:
    """Refuse to commit a migration that left a row pointing at nothing."""
    connection = ctx.connection
    if connection is not None and connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            tables = ", ".join(sorted({row[0] for row in broken}))
            raise StartRefused(
                f"the migration would leave rows without what they refer to, in {tables}; nothing was changed"
            )


asyncio.run(connect_and_migrate())
