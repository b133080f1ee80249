"""The first start, every later one, and what a start refuses: always in one sentence, never with a driver's error."""

import asyncio
import os
import re
import stat
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from loguru import logger

from incident_manager import migrate
from incident_manager.clock import SystemClock
from incident_manager.db import Database
from incident_manager.errors import StartRefused, Unavailable
from incident_manager.flows.access import make_token, read_token
from incident_manager.ids import new_id
from incident_manager.rules.access import Role
from incident_manager.settings import Settings, load
from incident_manager.start import open_vault, prepare, write_private
from incident_manager.store import access as store
from incident_manager.vault import Vault
from tests.postgres import execute
from tests.world import running

SECRET = "the secret of these tests, which is long enough"
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def fresh(empty_database_url: str, tmp_path: Path) -> Settings:
    return load({"database.url": empty_database_url, "server.data_dir": str(tmp_path / "data")})


def changed(settings: Settings, section: str, **values: object) -> Settings:
    part = msgspec.structs.replace(getattr(settings, section), **values)
    return msgspec.structs.replace(settings, **{section: part})


async def start(settings: Settings) -> tuple[Vault, list[str]]:
    """Start as a server does, and return its vault and what it announced."""
    announced: list[str] = []
    database = Database(settings.database_url, settings.database)
    try:
        return await prepare(settings, database, SystemClock(), announced.append), announced
    finally:
        await database.close()


async def refusal(settings: Settings, begin: Any = start) -> str:
    with pytest.raises(StartRefused) as refused:
        await begin(settings)
    text = str(refused.value)
    assert "\n" not in text
    return text


async def vault_of(settings: Settings) -> Vault:
    """Open the vault as a command beside the server does."""
    database = Database(settings.database_url, settings.database)
    try:
        return await open_vault(settings, database)
    finally:
        await database.close()


async def key_of(settings: Settings, token: str) -> Any:
    database = Database(settings.database_url, settings.database)
    try:
        return await database.read(lambda session: store.find_key(session, read_token(token).id), tenant_id=None)
    finally:
        await database.close()


# --- the first and the second start ---------------------------------------------------------------------------------------


async def test_the_first_start_makes_schema_tenant_secret_and_admin_key_and_says_so_once(fresh: Settings) -> None:
    vault, [announced] = await start(fresh)
    token = (fresh.data_dir / "admin.key").read_text().strip()
    key = await key_of(fresh, token)
    assert token in announced
    assert "admin.key" in announced
    assert (key.role, key.digest, key.name) == (Role.ADMIN, vault.digest(token), "admin")
    assert await migrate.current(fresh.database_url) == migrate.head()


async def test_the_second_start_finds_all_done_and_says_nothing(fresh: Settings) -> None:
    first, _ = await start(fresh)
    before = {path.name: path.read_bytes() for path in fresh.data_dir.glob("*.key")}
    second, announced = await start(fresh)
    assert (second.fingerprint, announced) == (first.fingerprint, [])
    assert {path.name: path.read_bytes() for path in fresh.data_dir.glob("*.key")} == before


async def test_nobody_else_can_read_the_keys_whatever_the_umask(fresh: Settings) -> None:
    before = os.umask(0)
    try:
        await start(fresh)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in fresh.data_dir.glob("*.key*")}
    assert modes == {"secret.key": 0o600, "admin.key": 0o600}


async def test_a_secret_of_the_settings_is_not_written_down(fresh: Settings) -> None:
    settings = changed(fresh, "auth", secret=SECRET)
    vault, _ = await start(settings)
    assert vault.fingerprint == Vault(SECRET).fingerprint
    assert [path.name for path in settings.data_dir.glob("*.key")] == ["admin.key"]


async def test_a_start_that_ended_before_its_commit_is_taken_up_with_the_secret_it_made(fresh: Settings) -> None:
    fresh.data_dir.mkdir()
    write_private(fresh.data_dir / "secret.key", SECRET)
    write_private(fresh.data_dir / "admin.key", "of a start that was killed")
    vault, [announced] = await start(fresh)
    assert vault.fingerprint == Vault(SECRET).fingerprint
    assert (fresh.data_dir / "admin.key").read_text().strip() in announced


async def test_the_first_key_can_be_given(fresh: Settings, tmp_path: Path) -> None:
    token = make_token(new_id())
    (tmp_path / "given").write_text(f"{token}\n")
    settings = changed(fresh, "auth", bootstrap_key_file=str(tmp_path / "given"))
    vault, announced = await start(settings)
    assert (await key_of(settings, token)).digest == vault.digest(token)
    assert (announced, (settings.data_dir / "admin.key").exists()) == ([], False)


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, "is empty"), ("", "is empty"), ("hunter2", "no key of the form"), (b"\xff", "UTF-8")],
)
async def test_a_first_key_that_is_none_is_refused_and_nothing_is_made(
    fresh: Settings, tmp_path: Path, content: str | bytes | None, expected: str
) -> None:
    path = tmp_path / "given"
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    text = await refusal(changed(fresh, "auth", bootstrap_key_file=str(path)))
    assert str(path) in text
    assert expected in text
    assert "hunter2" not in text
    assert len((await start(fresh))[1]) == 1


@pytest.mark.parametrize("same_folder", [True, False])
async def test_of_several_that_start_at_once_one_does_it(fresh: Settings, tmp_path: Path, same_folder: bool) -> None:
    if not same_folder:  # as on several hosts, which share a secret and no disk
        fresh = changed(fresh, "auth", secret=SECRET)
    folders = [str(tmp_path / ("data" if same_folder else f"host {number}")) for number in range(4)]
    started = await asyncio.gather(*(start(changed(fresh, "server", data_dir=folder)) for folder in folders))
    assert len([announced for _, announced in started if announced]) == 1
    assert len({vault.fingerprint for vault, _ in started}) == 1


async def test_of_several_processes_that_start_at_once_one_does_it(fresh: Settings) -> None:
    command = [sys.executable, "-m", "tests.starter", fresh.database_url, str(fresh.data_dir)]
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    processes = [await asyncio.create_subprocess_exec(*command, **pipes) for _ in range(4)]
    for process in processes:
        assert await process.stdout.readline() == b"ready\n"
    outputs = [output for output, _ in await asyncio.gather(*(process.communicate(b"go\n") for process in processes))]
    assert sorted(output.count(b"First start") for output in outputs) == [0, 0, 0, 1]
    assert [output.splitlines()[-1] for output in outputs] == [b"started"] * 4


# --- the secret -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begin", [start, vault_of])
async def test_a_database_whose_secret_is_gone_is_refused(fresh: Settings, begin: Any) -> None:
    await start(fresh)
    (fresh.data_dir / "secret.key").unlink()
    text = await refusal(fresh, begin)
    assert text.startswith(
        "auth.secret: the database was made under a secret, and there is none in the settings or in "
    )


@pytest.mark.parametrize("begin", [start, vault_of])
@pytest.mark.parametrize("where", ["settings", "file"])
async def test_another_secret_than_the_databases_is_refused(fresh: Settings, begin: Any, where: str) -> None:
    await start(fresh)
    if where == "file":
        write_private(fresh.data_dir / "secret.key", SECRET)
    settings = changed(fresh, "auth", secret=SECRET) if where == "settings" else fresh
    text = await refusal(settings, begin)
    assert re.match(
        r"auth\.secret( \(from .*secret\.key\))?: is not the secret that this database was made under", text
    )
    assert SECRET not in text


@pytest.mark.parametrize("content", [b"short", b"a" * 64, b"\xff" * 32])
async def test_a_secret_in_the_file_that_is_none_is_refused(fresh: Settings, content: bytes) -> None:
    fresh.data_dir.mkdir()
    (fresh.data_dir / "secret.key").write_bytes(content)
    assert "secret.key" in await refusal(fresh)


async def test_the_vault_opens_beside_a_server(fresh: Settings) -> None:
    vault, _ = await start(fresh)
    assert (await vault_of(fresh)).fingerprint == vault.fingerprint


# --- the schema -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begin", [start, vault_of])
async def test_a_database_of_a_newer_version_is_refused(settings: Settings, begin: Any) -> None:
    await set_version(settings, "2099_01_01_0000")
    text = await refusal(settings, begin)
    assert "at version 2099_01_01_0000, which is not known here: a newer incident-manager made it" in text
    assert migrate.head() in text


async def test_where_start_may_not_migrate_it_says_what_to_run(fresh: Settings) -> None:
    text = await refusal(changed(fresh, "database", migrate=False))
    assert "has no tables yet" in text
    assert "run `incident-manager db upgrade`" in text
    assert await migrate.current(fresh.database_url) is None


async def test_where_all_is_migrated_start_needs_no_leave_to_do_so(settings: Settings) -> None:
    assert len((await start(changed(settings, "database", migrate=False)))[1]) == 1


async def test_the_vault_of_a_database_without_tables_is_refused(fresh: Settings) -> None:
    assert "run `incident-manager db upgrade`" in await refusal(fresh, vault_of)


async def test_the_vault_of_a_database_without_tenants_is_refused(settings: Settings) -> None:
    assert "start the server once" in await refusal(settings, vault_of)


async def set_version(settings: Settings, version: str) -> None:
    database = Database(settings.database_url, settings.database)
    async with database.engine.begin() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = :version"), {"version": version})
    await database.close()


# --- durability -----------------------------------------------------------------------------------------------------------


@on_postgresql
async def test_a_database_that_may_lose_commits_is_refused(settings: Settings) -> None:
    await turn_off(settings, "synchronous_commit")
    text = await refusal(settings)
    assert "PostgreSQL's synchronous_commit is off" in text
    assert "database.require_durable=false" in text
    assert not (settings.data_dir / "admin.key").exists()


@on_postgresql
async def test_whoever_accepts_that_is_warned_and_sees_it_in_health(settings: Settings) -> None:
    await turn_off(settings, "synchronous_commit")
    warned: list[Any] = []
    sink = logger.add(lambda message: warned.append(message.record), level="WARNING")
    async with running(changed(settings, "database", require_durable=False)) as world:
        health = await world.get("/health")
    logger.remove(sink)
    assert {record["extra"].get("weakness") for record in warned} == {"PostgreSQL's synchronous_commit is off"}
    assert health["status"] == "degraded"
    assert health["checks"]["database"]["detail"] == "PostgreSQL's synchronous_commit is off"


async def turn_off(settings: Settings, name: str) -> None:
    database = sa.make_url(settings.database_url).database
    await execute(settings.database_url, f"ALTER DATABASE {database} SET {name} = off")


# --- a database that cannot be used ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://ada:hunter2@127.0.0.1:1/incidents",
            "postgresql://ada:[*]{3}@127.0.0.1:1/incidents: .*127.0.0.1",
        ),
        ("postgresql://ada:hunter2@nowhere.invalid/incidents", "postgresql://ada:[*]{3}@nowhere.invalid/incidents: "),
        ("postgresql://ada:hunter2@/incidents?host=/nowhere&sslmode=disable", "postgresql://ada:[*]{3}@/incidents: "),
        (
            "postgresql://ada@127.0.0.1:1/n?password=hunter2&sslmode=nonsense",
            "postgresql://ada@127.0.0.1:1/n: .*sslmode",
        ),
        ("sqlite:////proc/nowhere/incidents.db", "/proc/nowhere/incidents.db.lock cannot be made: No such file"),
        ("sqlite:////proc/version", "cannot be made"),
    ],
)
async def test_a_database_that_is_not_there_is_refused(tmp_path: Path, url: str, expected: str) -> None:
    settings = load({"database.url": url, "server.data_dir": str(tmp_path / "data")})
    text = await refusal(settings)
    assert re.match(rf"database\.url: .*({expected})", text)
    assert "hunter2" not in text


@on_postgresql
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"username": "nobody", "password": "hunter2"}, "nobody"),
        ({"database": "nowhere"}, 'database "nowhere" does not exist'),
        ({"query": {"nonsense": "1"}}, 'unrecognized configuration parameter "nonsense"'),
    ],
)
async def test_a_server_that_refuses_is_quoted(database_url: str, tmp_path: Path, change: Any, expected: str) -> None:
    url = sa.make_url(database_url)
    query = {**url.query, **change.pop("query", {})}
    wrong = url.set(**change, query=query).render_as_string(hide_password=False)
    text = await refusal(load({"database.url": wrong, "server.data_dir": str(tmp_path)}))
    assert text.startswith("database.url: postgresql://")
    assert expected in text
    assert "hunter2" not in text


@pytest.mark.parametrize("begin", [start, vault_of])
async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, begin: Any) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear database, " * 100)
    text = await refusal(load({"database.url": f"sqlite:///{path}", "server.data_dir": str(tmp_path)}), begin)
    assert text == f"database.url: sqlite:///{path}: file is not a database"
    assert path.read_text() == "Dear database, " * 100


async def test_a_folder_where_the_database_should_be_is_refused(tmp_path: Path) -> None:
    text = await refusal(load({"database.url": f"sqlite:///{tmp_path}", "server.data_dir": str(tmp_path)}))
    assert text == f"database.url: sqlite:///{tmp_path}: unable to open database file"


async def test_a_data_folder_that_cannot_be_made_is_refused(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    text = await refusal(load({"database.url": database_url, "server.data_dir": str(tmp_path / "data")}))
    assert text == f"server.data_dir: {tmp_path / 'data'} cannot be made: File exists"


def test_a_private_file_that_cannot_be_written_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match=r"secret\.key: cannot be written: No such file or directory"):
        write_private(tmp_path / "nowhere" / "secret.key", SECRET)


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    path.write_text("an older and longer secret, readable by all")
    write_private(path, "new")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new\n", 0o600)
    assert list(tmp_path.iterdir()) == [path]


async def test_a_database_that_goes_away_later_is_not_available(settings: Settings) -> None:
    await start(settings)
    database = Database("postgresql://127.0.0.1:1/n", settings.database)
    with pytest.raises(Unavailable):
        await database.read(store.list_tenants, tenant_id=None)
    await database.close()
