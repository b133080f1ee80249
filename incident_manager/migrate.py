"""The schema's version: bring it up or down, compare it with the models, and let only one process at a time do so."""

import asyncio
import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import create_async_engine

from incident_manager.db import async_url
from incident_manager.errors import StartRefused
from incident_manager.settings import packaged_file

_ADVISORY_LOCK: Final = 0x696E6369  # any fixed number; "inci" in ASCII
_LOCK_SECONDS: Final = 120


def head() -> str:
    """Return the version that this package's code expects.

    Raises StartRefused where the migrations have more than one head.
    """
    heads = ScriptDirectory.from_config(_config("")).get_heads()
    if len(heads) != 1:
        raise StartRefused(f"the migrations have {len(heads)} heads ({', '.join(heads)}); there must be one")
    return heads[0]


async def current(url: str) -> str | None:
    """Return the version a database is at; None for an empty one."""
    engine = create_async_engine(async_url(url), poolclass=sa.NullPool)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
    finally:
        await engine.dispose()


async def upgrade(url: str, to: str = "head") -> None:
    """Bring a database up to a version."""
    await asyncio.to_thread(command.upgrade, _config(url), to)  # its env.py runs a loop of its own


async def downgrade(url: str, to: str) -> None:
    """Bring a database down to a version, `base` for empty, `-1` for one step."""
    await asyncio.to_thread(command.downgrade, _config(url), to)


async def differences(url: str, metadata: sa.MetaData) -> str:
    """Return the Python that would bring the schema to the models; empty where they are equal."""
    engine = create_async_engine(async_url(url), poolclass=sa.NullPool)

    def compare(connection: sa.Connection) -> str:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = produce_migrations(context, metadata).upgrade_ops
        return "" if found is None or found.is_empty() else str(render_python_code(found))

    try:
        async with engine.connect() as connection:
            return await connection.run_sync(compare)
    finally:
        await engine.dispose()


@asynccontextmanager
async def one_at_a_time(url: str) -> AsyncIterator[None]:
    """Hold a lock that all processes of one database share, for as long as this runs; it dies with its holder.

    PostgreSQL: an advisory lock of the database's. SQLite: a lock (flock) on a file beside the database's.
    Raises StartRefused after two minutes.
    """
    parsed = async_url(url)
    hold = _file_lock(Path(str(parsed.database))) if parsed.get_backend_name() == "sqlite" else _advisory_lock(parsed)
    async with hold:
        yield


@asynccontextmanager
async def _file_lock(database: Path) -> AsyncIterator[None]:
    database.parent.mkdir(parents=True, exist_ok=True)
    path = database.with_name(f"{database.name}.lock")
    with path.open("w") as file:
        try:
            async with asyncio.timeout(_LOCK_SECONDS):
                while not _try_lock(file.fileno()):  # noqa: ASYNC110 - another process's lock sends no event
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise StartRefused(f"another process has held {path} for {_LOCK_SECONDS} s") from error
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@asynccontextmanager
async def _advisory_lock(url: sa.URL) -> AsyncIterator[None]:
    engine = create_async_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            await connection.exec_driver_sql(f"SET lock_timeout = '{_LOCK_SECONDS}s'")
            await connection.exec_driver_sql(f"SELECT pg_advisory_lock({_ADVISORY_LOCK})")
            yield
    finally:
        await engine.dispose()


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(packaged_file("migrations")).replace("%", "%%"))
    config.attributes["url"] = url
    return config
