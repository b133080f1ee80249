"""Backup: the whole database of one instant in one file, while servers go on writing.

SQLite is copied by its own online backup, PostgreSQL by its own pg_dump, which must be installed. The secret is not in the
database, so it is not in the file either.
"""

import asyncio
import os
import shlex
import signal
import sqlite3
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from incident_manager import migrate
from incident_manager.engines import async_url
from incident_manager.errors import BackupFailed
from incident_manager.settings import environment_of_child

_STEP_PAGES: Final = 1_000  # 4 MB with SQLite's usual pages: between two steps a signal is heard
_WAIT_SECONDS: Final = 10
_OWN_FILES: Final = ("", "-wal", "-shm", "-journal", ".lock")
# What asyncpg reads in an address as being about the server, by libpq's names. It takes anything else for a setting of the
# session, which a dump does not need and pg_dump would refuse. sslpassword is missing on purpose: see _libpq_address.
_ABOUT_THE_SERVER: Final[Mapping[str, str]] = {
    name: name
    for name in (
        *("host", "port", "user", "dbname", "passfile", "service", "target_session_attrs", "krbsrvname", "gsslib"),
        *("sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslnegotiation"),
        *("ssl_min_protocol_version", "ssl_max_protocol_version"),
    )
} | {"database": "dbname"}


def write(url: str, to: Path, *, replace: bool) -> str:
    """Write a database into a file that only its owner can read, and return the version of its schema.

    1. It is made in a folder beside `to`, which goes away whatever happens, and which nobody else may enter.
    2. Its schema must be the one that this program needs: the backup is for a server of this version to start from.
    3. Whole, checked and on the disk it takes its name; there is never half a file, and what `to` held before is only
       replaced (where `replace` allows that) by a file that is good.

    Raises BackupFailed, and StartRefused where the database cannot be used.
    """
    parsed = async_url(url)
    database = Path(str(parsed.database)) if parsed.get_backend_name() == "sqlite" else None
    _check_place(to, database, replace=replace)
    version = _checked(asyncio.run(migrate.current(url)))
    try:
        with tempfile.TemporaryDirectory(prefix=".backup-", dir=to.parent) as folder:
            made = Path(folder, "made")
            made.touch(mode=0o600)
            if database is None:
                _dump(url, made, to)
                _checked(asyncio.run(migrate.current(url)))  # a migration meanwhile came before the dump or after it
            else:
                _checked(_copy(database, made))
            _check_place(to, database, replace=replace)
            _keep(made, to)
    except OSError as error:
        raise BackupFailed(f"{to}: cannot be written: {error.strerror}") from error
    return version


def _check_place(to: Path, database: Path | None, *, replace: bool) -> None:
    """Refuse a name under which something stands that a backup must not replace."""
    if database and to.absolute() in {Path(f"{database.resolve()}{ending}") for ending in _OWN_FILES}:
        raise BackupFailed(f"{to}: is the database's own file; write the backup somewhere else")
    if to.exists() and not to.is_file():
        raise BackupFailed(f"{to}: is no file that a backup could replace")
    if to.exists() and not replace:
        raise BackupFailed(f"{to}: is there already; --force replaces it")


def _checked(version: str | None) -> str:
    """Return a version of the schema if it is the one that this program needs."""
    if version != migrate.head():
        raise BackupFailed(
            f"the database is at version {version or 'none'} and this program needs {migrate.head()}: "
            "back it up with the program that it belongs to"
        )
    return version


def _copy(database: Path, to: Path) -> str:
    """Copy a SQLite database that is in use, and return the version of the copy's schema.

    1. One read transaction is held over all steps. Without it each commit of another process would make the copy begin
       again (sqlite.org/backup.html), and under a steady stream of alerts it would never end. In WAL nobody waits for it.
    2. The copy leaves WAL, so that it is one file and can be read where nothing may be written. A server turns WAL on again.

    The database is opened for writing and never written: opened read-only, a WAL that no server has open is left behind.
    """
    source_address = f"{database.absolute().as_uri()}?mode=rw"
    try:
        with (
            closing(sqlite3.connect(source_address, uri=True, timeout=_WAIT_SECONDS, isolation_level=None)) as source,
            closing(sqlite3.connect(to, isolation_level=None)) as copy,
        ):
            copy.execute("PRAGMA journal_mode = OFF")  # until it is whole it is worth nothing: no journal, one sync
            copy.execute("PRAGMA synchronous = OFF")
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            source.backup(copy, pages=_STEP_PAGES, progress=_hear_signals)
            copy.execute("PRAGMA journal_mode = DELETE")
            verdict = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
            version: str = copy.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    except sqlite3.Error as error:
        raise BackupFailed(f"the backup of {database} was not made: {error}") from error
    if verdict != "ok":
        what = " ".join(verdict.split())
        raise BackupFailed(f"the backup of {database} was not made, the database is damaged: {what}")
    return version


def _hear_signals(_status: int, _remaining: int, _total: int) -> None:
    """Do nothing: Python raises KeyboardInterrupt in Python only, and the steps are in C."""


def _dump(url: str, made: Path, to: Path) -> None:
    """Let pg_dump write a PostgreSQL database; its snapshot is one instant's, too.

    The password goes through the child's environment: a command line can be read by everybody on the machine.
    """
    address, password = _libpq_address(url)
    command = ["pg_dump", "--format=custom", "--no-owner", f"--dbname={address}"]
    by_hand = shlex.join([*command, f"--file={to}"])
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and a program named by us
            [*command, f"--file={made}", "--no-password"],
            env=environment_of_child({"PGPASSWORD": password} if password else {}),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise BackupFailed(
            "pg_dump is not installed here: install PostgreSQL's client programs, of the server's version or newer, "
            f"or run this where they are: {by_hand}"
        ) from error
    if done.returncode < 0:
        raise BackupFailed(f"pg_dump ended by a signal: {signal.strsignal(-done.returncode)}")
    if done.returncode > 0:
        said = " ".join(done.stderr.replace(str(made), str(to)).split())
        raise BackupFailed(f"the backup was not made: {said}")


def _libpq_address(url: str) -> tuple[str, str | None]:
    """Return an address as libpq takes it, without its password, and the password.

    Raises BackupFailed where the address holds the one secret that libpq takes from its command line only.
    """
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query))
    if "sslpassword" in given:
        raise BackupFailed(
            "database.url: pg_dump takes sslpassword from its command line only, where others can read it: "
            "use a key file without a passphrase for backups"
        )
    who, at, where = parts.netloc.rpartition("@")
    user, _, password = who.partition(":")
    query = {_ABOUT_THE_SERVER[name]: value for name, value in given.items() if name in _ABOUT_THE_SERVER}
    address = parts._replace(netloc=f"{user}{at}{where}", query=urlencode(query, quote_via=quote), fragment="")
    return urlunsplit(address), unquote(password) or given.get("password")


def _keep(made: Path, to: Path) -> None:
    """Give a file its name, both on the disk when this returns."""
    _sync(made, os.O_RDONLY)
    made.replace(to)
    _sync(to.parent, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
