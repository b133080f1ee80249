"""The schema's version: bring it up or down, compare it with the models, and let only one process at a time do so.

Everything here runs before the service does, so what a driver or Alembic raises becomes StartRefused, one sentence that names
the database without its password.
"""

import asyncio
import fcntl
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, TypeVar

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from incident_manager.engines import async_url, bare_engine
from incident_manager.errors import StartRefused
from incident_manager.settings import packaged_file

_ADVISORY_LOCK: Final = 0x696E6369  # any fixed number; "inci" in ASCII
_LOCK_SECONDS: Final = 120
_LOCK_NOT_AVAILABLE: Final = "55P03"
_QUOTED: Final = re.compile(r"'((?:[^']|'')*)'")

T = TypeVar("T")


def head() -> str:
    """Return the version that this package's code expects.

    Raises StartRefused where the migrations have more than one head.
    """
    return only_head(_config(""))


def only_head(config: Config) -> str:
    """Return the head of a folder of migrations.

    Raises StartRefused where there is more than one.
    """
    heads = ScriptDirectory.from_config(config).get_heads()
    if len(heads) != 1:
        raise StartRefused(f"the migrations have {len(heads)} heads ({', '.join(heads)}); there must be one")
    return heads[0]


def knows(version: str) -> bool:
    """Say whether this package has a migration of that version; a newer package's it has not."""
    return version in {script.revision for script in ScriptDirectory.from_config(_config("")).walk_revisions()}


async def current(url: str) -> str | None:
    """Return the version a database is at; None for an empty one.

    Raises StartRefused where the database cannot be used, as all functions here do.
    """
    return await _look(url, lambda connection: MigrationContext.configure(connection).get_current_revision())


async def upgrade(url: str, to: str = "head") -> None:
    """Bring a database up to a version."""
    with _explained(url):
        await asyncio.to_thread(command.upgrade, _config(url), to)  # its env.py runs a loop of its own


async def downgrade(url: str, to: str) -> None:
    """Bring a database down to a version, `base` for empty, `-1` for one step."""
    with _explained(url):
        await asyncio.to_thread(command.downgrade, _config(url), to)


async def differences(url: str, metadata: sa.MetaData) -> str:
    """Return the Python that would bring the schema to the models; empty where they are equal.

    What migrations make and no model can say is named in `metadata.info["unmapped"]`, for each database: it must be there.
    """

    def compare(connection: sa.Connection) -> str:
        unmapped = tuple(metadata.info.get("unmapped", {}).get(connection.dialect.name, ()))
        options = {"compare_type": True, "include_name": lambda name, *_: not (name or "").startswith(unmapped)}
        context = MigrationContext.configure(connection, opts=options)
        found = produce_migrations(context, metadata).upgrade_ops
        code = [] if found is None or found.is_empty() else [str(render_python_code(found))]
        return "\n".join([*code, *_closed_set_differences(connection, metadata), *_missing(connection, unmapped)])

    return await _look(url, compare)


def _closed_set_differences(connection: sa.Connection, metadata: sa.MetaData) -> Iterator[str]:
    """Alembic compares no check constraints; a value that only the models know would be refused when it is first written."""
    tables = set(sa.inspect(connection).get_table_names())
    for table in (table for table in metadata.sorted_tables if table.name in tables):
        checks = {check["name"]: check["sqltext"] for check in sa.inspect(connection).get_check_constraints(table.name)}
        for column in table.c:
            if isinstance(column.type, sa.Enum):
                name = f"ck_{table.name}_{column.type.name}"
                allowed, wanted = sorted(_QUOTED.findall(checks.get(name, ""))), sorted(column.type.enums)
                if allowed != wanted:
                    yield f"# {name}: the schema allows {allowed}, the models {wanted}"


def _missing(connection: sa.Connection, names: Iterable[str]) -> Iterator[str]:
    """Return a line for each of these that is not there: a table that was rebuilt loses its triggers."""
    if names:
        known = {"sqlite": "SELECT name FROM sqlite_master", "postgresql": "SELECT relname FROM pg_class"}
        present = set(connection.exec_driver_sql(known[connection.dialect.name]).scalars())
        yield from (f"# {name} is missing" for name in names if name not in present)


@asynccontextmanager
async def one_at_a_time(url: str) -> AsyncIterator[None]:
    """Hold a lock that all processes of one database share, for as long as this runs; it dies with its holder.

    PostgreSQL: an advisory lock of the database's. SQLite: a lock (flock) on a file beside the database's.
    Raises StartRefused after two minutes.
    """
    parsed = async_url(url)
    hold = _file_lock(Path(str(parsed.database))) if parsed.get_backend_name() == "sqlite" else _advisory_lock(url)
    async with hold:
        yield


@asynccontextmanager
async def _file_lock(database: Path) -> AsyncIterator[None]:
    path = database.with_name(f"{database.name}.lock")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = path.open("w")
    except OSError as error:
        raise StartRefused(f"database.url: {path} cannot be made: {error.strerror}") from error
    with file:
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
async def _advisory_lock(url: str) -> AsyncIterator[None]:
    engine = bare_engine(url, isolation_level="AUTOCOMMIT")
    try:
        async with AsyncExitStack() as held:
            with _explained(url):
                await _take_lock(await held.enter_async_context(engine.connect()))
            yield
    finally:
        await engine.dispose()


async def _take_lock(connection: AsyncConnection) -> None:
    await connection.exec_driver_sql(f"SET lock_timeout = '{_LOCK_SECONDS}s'")
    try:
        await connection.exec_driver_sql(f"SELECT pg_advisory_lock({_ADVISORY_LOCK})")
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            raise StartRefused(f"another process has been starting for {_LOCK_SECONDS} s") from error
        raise


async def _look(url: str, look: Callable[[sa.Connection], T]) -> T:
    engine = bare_engine(url)
    try:
        with _explained(url):
            async with engine.connect() as connection:
                return await connection.run_sync(look)
    finally:
        await engine.dispose()


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Make one sentence of what a driver or Alembic says, without the password and without the statement."""
    shown = async_url(url).set(drivername=async_url(url).get_backend_name(), query={}).render_as_string()
    try:
        yield
    except DBAPIError as error:
        raise StartRefused(f"database.url: {shown}: {_sentence(error.orig)}") from error
    except TimeoutError as error:
        raise StartRefused(f"database.url: {shown}: does not answer") from error
    except (CommandError, OSError) as error:
        raise StartRefused(f"database.url: {shown}: {_sentence(error)}") from error


def _sentence(error: BaseException | None) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(packaged_file("migrations")).replace("%", "%%"))
    config.attributes["url"] = url
    return config
