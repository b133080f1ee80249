"""The doctor: each thing it looks at, well and not well, on both databases, and always what to do."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from cli import doctor
from cli.doctor import Report, Status, examine
from cli.main import main
from incident_manager import migrate
from incident_manager.clock import ManualClock
from incident_manager.settings import Settings, load
from incident_manager.store import durability
from tests.api.stalling import stalled
from tests.cli.database import first_start, rows
from tests.cli.processes import KEY
from tests.postgres import execute

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
HOLDS_ALL = ["settings", "data directory", "disk", "key files", "key files", "database", "durability", "clock"]


class Doctor:
    """Runs the doctor on a set-up and reads what it found."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.data = settings, settings.data_dir
        self.url = settings.database_url

    def run(self, *arguments: str, **environment: str) -> Result:
        given = ["--data-dir", str(self.data), "--database-url", self.url, *arguments]
        named = {f"INCIDENT_MANAGER_{name}": value for name, value in environment.items()}
        result = CliRunner().invoke(main, ["doctor", *given], env=named)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def report(self, **environment: str) -> Report:
        result = self.run(**environment)
        report = msgspec.json.decode(result.stdout, type=Report)
        assert result.exit_code == (1 if report.status is Status.PROBLEM else 0)
        assert result.stderr == ""
        assert all(bool(found.advice) == (found.status is not Status.OK) for found in report.checks)
        return report

    def found(self, check: str, **environment: str) -> tuple[Status, str, str]:
        """Return what is the worst of one check."""
        named = [found for found in self.report(**environment).checks if found.check == check]
        worst = max(named, key=lambda found: list(Status).index(found.status))
        return worst.status, worst.detail, worst.advice


@pytest.fixture
def ill(settings: Settings) -> Doctor:
    """A set-up after its first start, for a test to spoil."""
    first_start(settings)
    return Doctor(settings)


def test_all_is_well_after_a_first_start(ill: Doctor) -> None:
    report = ill.report()
    assert [found.check for found in report.checks] == [*HOLDS_ALL, "migrations", "secret", "keys"]
    assert {found.status for found in report.checks} == {Status.OK}


def test_people_get_a_table(ill: Doctor) -> None:
    ill.data.joinpath("secret.key").chmod(0o644)
    shown = ill.run("--output", "table")
    assert shown.exit_code == 1
    assert [line.split()[0] for line in shown.stdout.splitlines()[:2]] == ["Check", "settings"]
    assert f"To do: chmod 600 {ill.data / 'secret.key'}" in shown.stdout


def test_what_is_looked_at_is_not_changed(ill: Doctor) -> None:
    before = sorted(path.name for path in ill.data.iterdir())
    ill.report()
    assert sorted(path.name for path in ill.data.iterdir()) == before


def change(ill: Doctor, statement: str) -> None:
    """Run a statement from outside of the program."""
    if not ill.url.startswith("sqlite"):
        asyncio.run(execute(ill.url, statement))
        return
    with closing(sqlite3.connect(ill.url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
        connection.execute(statement)


# --- settings -------------------------------------------------------------------------------------------------------------


def test_each_source_of_settings_is_named_and_no_value(ill: Doctor, tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text("[dedup]\nwindow_seconds = 7777\n")
    _, detail, _ = ill.found("settings", SETTINGS=str(file), LOG__LEVEL="error")
    assert f"dedup.window_seconds ({file}:2)" in detail
    assert "log.level (environment: INCIDENT_MANAGER_LOG__LEVEL)" in detail
    assert "database.url (flags)" in detail
    assert "7777" not in detail


def test_a_wrong_setting_is_the_only_finding(ill: Doctor) -> None:
    [only] = ill.report(LOG__LEVEL="loud").checks
    expected = "environment: INCIDENT_MANAGER_LOG__LEVEL: log.level: must be one of debug, info, warning, error"
    assert (only.check, only.status, only.detail) == ("settings", Status.PROBLEM, expected)


def test_serving_without_keys_is_warned_of(ill: Doctor) -> None:
    assert ill.found("settings", AUTH__ENABLED="false")[0] is Status.WARNING


# --- data directory -------------------------------------------------------------------------------------------------------


def test_a_data_directory_that_cannot_be_written_is_a_problem(ill: Doctor) -> None:
    ill.data = Path("/proc")
    status, detail, advice = ill.found("data directory")
    assert (status, detail.partition(":")[0]) == (Status.PROBLEM, "/proc cannot be written")
    assert "server.data_dir" in advice


def test_a_file_in_the_data_directorys_place_is_a_problem(ill: Doctor, tmp_path: Path) -> None:
    ill.data = tmp_path / "file"
    ill.data.touch()
    assert ill.found("data directory")[0] is Status.PROBLEM


def test_no_data_directory_is_no_problem_before_the_first_start(ill: Doctor) -> None:
    ill.data = ill.data / "none"
    assert ill.found("data directory")[0] is Status.WARNING


@POSTGRESQL
def test_no_data_directory_is_well_where_secret_and_database_are_elsewhere(ill: Doctor) -> None:
    secret = ill.data.joinpath("secret.key").read_text().strip()
    ill.data = ill.data / "none"
    assert ill.found("data directory", AUTH__SECRET=secret)[0] is Status.OK


class Usage(NamedTuple):
    free: int


@pytest.mark.parametrize(
    ("mebibytes", "status"),
    [(63, Status.PROBLEM), (64, Status.WARNING), (511, Status.WARNING), (512, Status.OK)],
)
def test_a_disk_that_runs_full_is_seen(
    ill: Doctor, monkeypatch: pytest.MonkeyPatch, mebibytes: int, status: Status
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(mebibytes * 1024**2))
    found = ill.found("disk")
    assert found[:2] == (status, f"{mebibytes} MiB are free below {ill.data}")


@pytest.mark.parametrize("name", ["secret.key", "admin.key"])
@pytest.mark.parametrize(("mode", "status"), [(0o600, Status.OK), (0o400, Status.OK), (0o640, Status.PROBLEM)])
def test_key_files_that_others_can_read_are_a_problem(ill: Doctor, name: str, mode: int, status: Status) -> None:
    (ill.data / name).chmod(mode)
    assert ill.found("key files")[0] is status


# --- database -------------------------------------------------------------------------------------------------------------


@SQLITE
def test_no_file_yet_is_no_problem(ill: Doctor, tmp_path: Path) -> None:
    ill.url = f"sqlite:///{tmp_path}/none.db"
    assert ill.found("database")[0] is Status.WARNING
    assert not (tmp_path / "none.db").exists()


@SQLITE
def test_a_file_that_is_no_database_is_a_problem(ill: Doctor, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear all," * 1_000)
    ill.url = f"sqlite:///{tmp_path}/letter.txt"
    assert ill.found("database")[0] is Status.PROBLEM


@pytest.mark.parametrize("url", ["postgresql://im:canary@127.0.0.1:1/n", "postgresql://im:canary@nowhere.invalid/n"])
def test_a_server_that_is_not_there_is_a_problem_and_its_password_stays_hidden(ill: Doctor, url: str) -> None:
    ill.url = url
    status, detail, advice = ill.found("database")
    assert (status, "im:***@" in detail, "database.url" in advice) == (Status.PROBLEM, True, True)
    assert "canary" not in detail


@POSTGRESQL
def test_a_database_that_does_not_exist_is_a_problem(ill: Doctor) -> None:
    ill.url = ill.url.replace("/test_", "/none_")
    status, detail, _ = ill.found("database")
    assert (status, "does not exist" in detail) == (Status.PROBLEM, True)


async def test_a_database_that_hangs_is_a_problem_in_time(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ANSWER_SECONDS", 0.5)
    async with stalled(settings) as (world, resume):
        flags = {"server.data_dir": str(settings.data_dir), "database.url": world.parts.settings.database_url}
        looking = asyncio.create_task(examine(flags, world.clock))
        async with asyncio.timeout(8):
            report = await looking
        resume()
    last = report.checks[-1]
    assert (last.check, last.status, last.detail) == ("database", Status.PROBLEM, "no answer within 0.5 s")


@pytest.mark.parametrize("above", [True, False])
def test_a_database_of_an_old_version_is_a_problem(ill: Doctor, monkeypatch: pytest.MonkeyPatch, above: bool) -> None:
    [has] = [found.detail for found in ill.report().checks if found.check == "database"]
    major, minor = map(int, has.split()[1].split("."))
    oldest = (major, minor + above)
    monkeypatch.setattr(doctor, "OLDEST", {"SQLite": oldest, "PostgreSQL": oldest})
    status, _, advice = ill.found("database")
    assert (status, advice) == (
        (Status.PROBLEM, f"upgrade it to {major}.{minor + 1} or newer") if above else (Status.OK, "")
    )


@POSTGRESQL
def test_a_database_that_takes_no_writes_is_a_problem(ill: Doctor) -> None:
    name = sa.make_url(ill.url).database
    asyncio.run(execute(ill.url, f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    assert "takes no writes" in ill.found("database")[1]


# --- migrations, durability, clock ----------------------------------------------------------------------------------------


def test_an_empty_database_is_no_problem(empty_database_url: str, tmp_path: Path) -> None:
    ill = Doctor(load({"server.data_dir": str(tmp_path / "data"), "database.url": empty_database_url}))
    if empty_database_url.startswith("sqlite"):
        Path(empty_database_url.removeprefix("sqlite:///")).touch()
    assert ill.found("migrations")[:2] == (Status.WARNING, "the database is empty")


def test_a_migrated_database_without_a_tenant_is_no_problem(settings: Settings) -> None:
    assert Doctor(settings).found("secret")[0] is Status.WARNING


@pytest.mark.parametrize(("migrates", "status"), [("true", Status.WARNING), ("false", Status.PROBLEM)])
def test_an_older_schema_is_upgraded_by_the_next_start_or_by_hand(
    ill: Doctor, monkeypatch: pytest.MonkeyPatch, migrates: str, status: Status
) -> None:
    present = migrate.head()
    monkeypatch.setattr(migrate, "head", lambda: "later")  # of a program that is not written yet
    found = ill.found("migrations", DATABASE__MIGRATE=migrates)
    assert found[:2] == (status, f"the schema is at version {present}, this program needs later")
    assert "back it up before" in found[2]


def test_a_newer_schema_is_a_problem(ill: Doctor) -> None:
    change(ill, "UPDATE alembic_version SET version_num = 'newer'")
    status, detail, advice = ill.found("migrations")
    assert (status, "at version newer" in detail) == (Status.PROBLEM, True)
    assert advice == "install the version that made it"


def test_a_schema_that_was_tampered_with_is_a_problem(ill: Doctor) -> None:
    rows(ill.url, "ALTER TABLE audit ADD COLUMN forgotten INTEGER")
    status, _, advice = ill.found("migrations")
    assert (status, "incident-manager db check" in advice) == (Status.PROBLEM, True)


@POSTGRESQL
@pytest.mark.parametrize(("required", "status"), [("true", Status.PROBLEM), ("false", Status.WARNING)])
def test_a_database_that_may_lose_what_it_confirms_is_seen(ill: Doctor, required: str, status: Status) -> None:
    name = sa.make_url(ill.url).database
    asyncio.run(execute(ill.url, f"ALTER DATABASE {name} SET synchronous_commit = off"))
    found = ill.found("durability", DATABASE__REQUIRE_DURABLE=required)
    assert (found[0], "synchronous_commit is off" in found[1]) == (status, True)


@SQLITE
def test_a_weakness_of_sqlite_is_seen(ill: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    async def weak(_session: object) -> list[str]:
        return ["SQLite's synchronous is 1, not FULL"]

    monkeypatch.setattr(durability, "weaknesses", weak)  # no setting of ours opens SQLite so weakly
    assert ill.found("durability")[0] is Status.PROBLEM


@POSTGRESQL
@pytest.mark.parametrize(("seconds", "status"), [(0, Status.OK), (60, Status.WARNING), (-60, Status.WARNING)])
async def test_a_clock_that_differs_from_the_databases_is_warned_of(
    settings: Settings, seconds: int, status: Status
) -> None:
    clock = ManualClock(datetime.now(UTC) + timedelta(seconds=seconds))
    flags = {"server.data_dir": str(settings.data_dir), "database.url": settings.database_url}
    report = await examine(flags, clock)
    [found] = [found for found in report.checks if found.check == "clock"]
    assert (found.status, ("behind" if seconds > 0 else "ahead") in found.detail) == (status, True)


# --- secret and keys ------------------------------------------------------------------------------------------------------


def test_a_secret_that_is_lost_is_a_problem(ill: Doctor) -> None:
    ill.data.joinpath("secret.key").unlink()
    status, detail, advice = ill.found("secret")
    assert (status, "there is none" in detail, "backup" in advice) == (Status.PROBLEM, True, True)


def test_another_secret_is_a_problem(ill: Doctor) -> None:
    other = "canary-0123456789-abcdefghijklmnop"
    status, detail, _ = ill.found("secret", AUTH__SECRET=other)
    assert (status, detail) == (Status.PROBLEM, "auth.secret: is not the secret that this database was made under")


@pytest.mark.parametrize("column", ["revoked_at", "expires_at"])
def test_no_valid_admin_key_is_a_problem(ill: Doctor, column: str) -> None:
    change(ill, f"UPDATE api_keys SET {column} = '2020-01-01 00:00:00'")
    status, detail, advice = ill.found("keys")
    assert (status, detail) == (Status.PROBLEM, "tenant default has no valid key of role admin")
    assert advice == "run `incident-manager keys create NAME --role admin --tenant default`"


def made(ill: Doctor, *arguments: str) -> None:
    given = ["--data-dir", str(ill.data), "--database-url", ill.url]
    result = CliRunner().invoke(main, [*arguments, *given])
    assert result.exit_code == 0, result.stderr


def in_days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(("days", "status"), [(13.9, Status.WARNING), (14.1, Status.OK)])
def test_a_key_that_expires_soon_is_named(ill: Doctor, days: float, status: Status) -> None:
    made(ill, "keys", "create", "ci", "--role", "ingest", "--expires-at", in_days(days))
    found = ill.found("keys")
    assert (found[0], "ci (" in found[1]) == (status, status is Status.WARNING)


def test_every_tenants_keys_are_looked_at(ill: Doctor) -> None:
    made(ill, "tenants", "create", "second")
    status, detail, _ = ill.found("keys")
    assert (status, detail) == (Status.PROBLEM, "tenant second has no valid key of role admin")


# --- and no secret is ever shown ------------------------------------------------------------------------------------------


def spoil_nothing(_: Doctor) -> None: ...


def spoil_the_secret(ill: Doctor) -> None:
    (ill.data / "secret.key").write_text("canary" * 2)


def spoil_the_modes(ill: Doctor) -> None:
    for name in ("secret.key", "admin.key"):
        (ill.data / name).chmod(0o666)


def spoil_the_database(ill: Doctor) -> None:
    ill.url = "postgresql://im:canary@127.0.0.1:1/n?password=canary"


@pytest.mark.parametrize("spoil", [spoil_nothing, spoil_the_secret, spoil_the_modes, spoil_the_database])
@pytest.mark.parametrize("layout", ["table", "json"])
def test_no_secret_is_shown(ill: Doctor, spoil: Callable[[Doctor], None], layout: str) -> None:
    known = [(ill.data / name).read_text().strip() for name in ("secret.key", "admin.key")]
    spoil(ill)
    shown = ill.run("--output", layout)
    said = shown.stdout + shown.stderr
    assert [secret for secret in [*known, "canary"] if secret in said] == []
    assert KEY.search(said) is None
    assert "Traceback" not in said
