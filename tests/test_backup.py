"""The whole database in one file: what is in it, what it refuses, and that nothing half made is ever left. On both engines."""

import asyncio
import os
import resource
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from incident_manager import backup, migrate
from incident_manager.errors import BackupFailed
from tests.backups import Recorder, empty_place_beside, restore, use_postgres_programs
from tests.cli.database import rows
from tests.migrations.test_versions import on
from tests.models.filled import fill, snapshot

LIMIT_BYTES = {"sqlite": 64 * 1024, "postgresql": 16 * 1024}  # under a backup's size, over that of a WAL's index
PASSWORD = "s3cret/of the database"

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def filled_url(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a database with rows in every table; its engine's programs are there."""
    use_postgres_programs(monkeypatch, database_url)
    asyncio.run(on(database_url, fill))
    return database_url


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """The folder that backups go to."""
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder


def refused(url: str, to: Path, *, replace: bool = False) -> str:
    with pytest.raises(BackupFailed) as failed:
        backup.write(url, to, replace=replace)
    assert "\n" not in str(failed.value)
    return str(failed.value)


# --- what is in it --------------------------------------------------------------------------------------------------------


def test_a_backup_holds_every_row(filled_url: str, there: Path) -> None:
    assert backup.write(filled_url, there / "file", replace=False) == migrate.head()
    with empty_place_beside(filled_url) as restored:
        restore(there / "file", restored)
        assert asyncio.run(on(restored, snapshot)) == asyncio.run(on(filled_url, snapshot))


def test_a_backup_is_one_file_for_its_owner_alone(filled_url: str, there: Path) -> None:
    backup.write(filled_url, there / "file", replace=False)
    assert [path.name for path in there.iterdir()] == ["file"]
    assert stat.S_IMODE((there / "file").stat().st_mode) == 0o600


@on_sqlite
def test_a_copy_can_be_read_where_nothing_may_be_written(database_url: str, there: Path) -> None:
    with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as served:
        served.execute("PRAGMA journal_mode = WAL")
    backup.write(database_url, there / "file", replace=False)
    journal_versions = (there / "file").read_bytes()[18:20]  # sqlite.org/fileformat.html, 1.3.3: 1 is no WAL
    assert journal_versions == b"\x01\x01"


@on_sqlite
def test_a_database_that_no_server_has_open_is_left_as_it_was(database_url: str, tmp_path: Path, there: Path) -> None:
    with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as served:
        served.execute("PRAGMA journal_mode = WAL")
    before = (tmp_path / "incidents.db").read_bytes()
    backup.write(database_url, there / "file", replace=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backups", "incidents.db"]
    assert (tmp_path / "incidents.db").read_bytes() == before


@on_sqlite
def test_a_copy_ends_while_another_process_never_stops_to_commit(database_url: str, there: Path) -> None:
    path = database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE filler AS SELECT randomblob(60000000) AS bytes")
        connection.execute("CREATE TABLE written (id INTEGER PRIMARY KEY)")
        connection.commit()
    with committing(path) as writer:
        backup.write(database_url, there / "file", replace=False)
        assert writer.is_alive()
    assert len(rows(f"sqlite:///{there}/file", "SELECT * FROM written")) % 2 == 0


# --- what is refused ------------------------------------------------------------------------------------------------------


def test_a_file_that_is_there_is_only_replaced_when_that_is_asked_for(filled_url: str, there: Path) -> None:
    (there / "file").write_text("precious")
    assert refused(filled_url, there / "file") == f"{there}/file: is there already; --force replaces it"
    assert (there / "file").read_text() == "precious"
    backup.write(filled_url, there / "file", replace=True)
    assert (there / "file").stat().st_size > len("precious")


@on_sqlite
@pytest.mark.parametrize("ending", ["", "-wal", "-shm", "-journal", ".lock"])
def test_the_databases_own_files_are_never_replaced(database_url: str, tmp_path: Path, ending: str) -> None:
    database, link = tmp_path / "incidents.db", tmp_path / "link"
    link.symlink_to(database)
    before = database.read_bytes()
    for url in (database_url, f"sqlite:///{link}"):
        assert "is the database's own file" in refused(url, tmp_path / f"incidents.db{ending}", replace=True)
    assert database.read_bytes() == before


def test_what_is_no_file_is_not_replaced(filled_url: str, there: Path) -> None:
    pipe = there / "pipe"  # in the place of /dev/stdout, which root could lose by this
    os.mkfifo(pipe)
    assert refused(filled_url, pipe, replace=True) == f"{pipe}: is no file that a backup could replace"
    assert pipe.is_fifo()


def test_a_folder_that_is_not_there_is_said(filled_url: str, there: Path) -> None:
    wrong = refused(filled_url, there / "none/file")
    assert wrong == f"{there}/none/file: cannot be written: No such file or directory"


def test_a_folder_that_may_not_be_written_is_said(filled_url: str, there: Path) -> None:
    there.chmod(0o500)
    closed = Path("/sys/kernel") if os.geteuid() == 0 else there  # whoever is root may write to all but that
    if not closed.exists():
        pytest.skip("no /sys")
    assert refused(filled_url, closed / "file").startswith(f"{closed}/file: cannot be written: ")


@pytest.mark.parametrize(("version", "shown"), [("2020_01_01_0000", "2020_01_01_0000"), (None, "none")])
def test_a_database_of_another_version_is_refused(filled_url: str, there: Path, version: str, shown: str) -> None:
    other = f"UPDATE alembic_version SET version_num = '{version}'" if version else "DELETE FROM alembic_version"
    asyncio.run(on(filled_url, lambda connection: connection.execute(sa.text(other))))
    wrong = refused(filled_url, there / "file")
    assert wrong.startswith(f"the database is at version {shown} and this program needs {migrate.head()}: ")
    assert list(there.iterdir()) == []


def test_a_full_disk_leaves_nothing_and_what_was_there(filled_url: str, there: Path) -> None:
    (there / "file").write_text("precious")
    engine = filled_url.partition(":")[0]
    with files_of_at_most(LIMIT_BYTES[engine]):
        wrong = refused(filled_url, there / "file", replace=True)
    assert wrong.endswith({"sqlite": ": disk I/O error", "postgresql": "by a signal: File size limit exceeded"}[engine])
    assert [path.name for path in there.iterdir()] == ["file"]
    assert (there / "file").read_text() == "precious"


@on_sqlite
def test_a_damaged_database_gives_no_backup(database_url: str, tmp_path: Path, there: Path) -> None:
    asyncio.run(on(database_url, fill))
    [(page,)] = rows(database_url, "SELECT rootpage FROM sqlite_master WHERE name = 'incidents'")
    with (tmp_path / "incidents.db").open("r+b") as file:
        file.seek((page - 1) * 4096 + 100)
        file.write(b"\xff" * 3_000)
    assert "damaged" in refused(database_url, there / "file")
    assert list(there.iterdir()) == []


# --- pg_dump --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def pg_dump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(tmp_path / "bin", monkeypatch)


def with_more(url: str, **query: str) -> str:
    """Add to an address's query what the server that it leads to lets pass."""
    parsed = sa.make_url(url).update_query_dict(query)
    return parsed.render_as_string(hide_password=False)


@on_postgresql
@pytest.mark.parametrize("in_query", [True, False])
def test_the_password_goes_where_only_the_owner_can_read_it(
    database_url: str, there: Path, pg_dump: Recorder, *, in_query: bool
) -> None:
    parsed = sa.make_url(database_url)
    url = with_more(database_url, password=PASSWORD)
    if not in_query:
        url = parsed.set(password=PASSWORD).render_as_string(hide_password=False)
    backup.write(url, there / "file", replace=False)
    assert f"PGPASSWORD={PASSWORD}" in pg_dump.environment
    assert [argument for argument in pg_dump.arguments if "s3cret" in argument or "password=" in argument] == []


@on_postgresql
def test_pg_dump_never_sees_our_secret(
    database_url: str, there: Path, pg_dump: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INCIDENT_MANAGER_AUTH__SECRET", "0123456789abcdef0123456789abcdef")
    backup.write(database_url, there / "file", replace=False)
    assert [one for one in pg_dump.environment if "INCIDENT_MANAGER_AUTH" in one.upper()] == []


@on_postgresql
def test_pg_dump_is_told_of_the_server_and_not_of_the_session(
    database_url: str, there: Path, pg_dump: Recorder
) -> None:
    url = with_more(database_url, sslmode="prefer", search_path="public")
    backup.write(url, there / "file", replace=False)
    [address] = [one for one in pg_dump.arguments if one.startswith("--dbname=")]
    assert "sslmode=prefer" in address
    assert "search_path" not in address
    assert {"--format=custom", "--no-owner", "--no-password"} < set(pg_dump.arguments)


@on_postgresql
def test_a_key_files_passphrase_is_not_shown_to_the_machine(database_url: str, there: Path, pg_dump: Recorder) -> None:
    assert "sslpassword" in refused(with_more(database_url, sslpassword="s3cret"), there / "file")
    assert not (pg_dump.folder / "arguments").exists()


@on_postgresql
def test_without_pg_dump_the_command_to_run_is_said(database_url: str, there: Path, pg_dump: Recorder) -> None:
    (pg_dump.folder / "pg_dump").unlink()
    wrong = refused(
        sa.make_url(database_url).set(password=PASSWORD).render_as_string(hide_password=False), there / "a b"
    )
    assert "pg_dump is not installed here" in wrong
    assert "pg_dump --format=custom --no-owner" in wrong
    assert wrong.endswith(f"'--file={there}/a b'")
    assert "s3cret" not in wrong
    assert list(there.iterdir()) == []


@on_postgresql
@pytest.mark.parametrize(
    ("end", "said"),
    [
        (
            "sys.exit('pg_dump: error: aborting because\\n of a mismatch')",
            "pg_dump: error: aborting because of a mismatch",
        ),
        ("sys.exit(f'pg_dump: error: no space for {made}')", "pg_dump: error: no space for {to}"),
        ("os.kill(os.getpid(), 9)", "pg_dump ended by a signal: Killed"),
    ],
)
def test_what_pg_dump_complains_of_is_said(
    database_url: str, there: Path, pg_dump: Recorder, end: str, said: str
) -> None:
    pg_dump.does(end)
    assert refused(database_url, there / "file").endswith(said.format(to=there / "file"))
    assert list(there.iterdir()) == []


@on_postgresql
def test_a_migration_while_pg_dump_works_spoils_the_backup(database_url: str, there: Path, pg_dump: Recorder) -> None:
    pg_dump.does(
        "import asyncio, asyncpg",
        "async def move():",
        f"    connection = await asyncpg.connect({database_url!r})",
        "    await connection.execute(\"UPDATE alembic_version SET version_num = '2099'\")",
        "    await connection.close()",
        "asyncio.run(move())",
    )
    assert refused(database_url, there / "file").startswith("the database is at version 2099 and ")
    assert list(there.iterdir()) == []


@on_postgresql
def test_a_file_that_came_meanwhile_is_not_replaced_either(database_url: str, there: Path, pg_dump: Recorder) -> None:
    pg_dump.does(f"open({str(there / 'file')!r}, 'w').write('precious')")
    assert "is there already" in refused(database_url, there / "file")
    assert (there / "file").read_text() == "precious"


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let no file of this process and its children grow over a size, as if the disk were full then."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def committing(path: str) -> Iterator[threading.Thread]:
    """Commit two rows at a time without a pause, for 20 s at most: a copy that would never end ends then, and is found out."""
    stop, begun = threading.Event(), threading.Event()

    def write() -> None:
        end = time.monotonic() + 20
        with closing(sqlite3.connect(path, timeout=20)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            while not stop.is_set() and time.monotonic() < end:
                connection.execute("INSERT INTO written VALUES (NULL), (NULL)")
                connection.commit()
                begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    begun.wait()
    try:
        yield writer
    finally:
        stop.set()
        writer.join()
