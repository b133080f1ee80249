"""Tenants and keys beside a server, on both databases: what is made works at once, and stands on the audit."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from cli import access, local
from cli.main import main
from incident_manager.settings import Settings, load
from tests.cli.database import first_start, rows


class Beside:
    """Runs commands on a database that a server has started on once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.url = settings.database_url

    def __call__(self, *arguments: str, **environment: str) -> Result:
        given = ["--data-dir", self.settings.server.data_dir, "--database-url", self.url]
        result = CliRunner().invoke(main, [*arguments, *given], env=environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def json(self, *arguments: str) -> dict:
        result = self(*arguments)
        assert result.exit_code == 0, result.stderr
        return msgspec.json.decode(result.stdout)


@pytest.fixture
def beside(settings: Settings) -> Beside:
    first_start(settings)
    return Beside(settings)


def test_a_key_is_made_listed_and_revoked(beside: Beside) -> None:
    made = beside.json("keys", "create", "ci", "--role", "INGEST", "--expires-at", "2999-01-31T00:00:00+01:00")
    assert made["key"].startswith(f"im_{made['id'].replace('-', '')}_")
    [_, listed] = beside.json("keys", "list")["keys"]
    assert made == listed | {"key": made["key"]}
    assert (listed["name"], listed["role"], listed["expires_at"]) == ("ci", "ingest", "2999-01-30T23:00:00Z")
    revoked = beside("keys", "revoke", "ci")
    assert (revoked.exit_code, revoked.stdout, revoked.stderr) == (0, "", "revoked ci\n")
    [_, ci] = beside.json("keys", "list")["keys"]
    assert ci["revoked_at"] is not None


def test_what_the_command_line_changes_is_on_the_audit(beside: Beside) -> None:
    beside("keys", "create", "ci", "--role", "ingest")
    beside("keys", "revoke", "ci")
    beside("tenants", "create", "other")
    found = rows(beside.url, "SELECT action, resource FROM audit WHERE actor_kind = 'command_line' ORDER BY id")
    assert found == [("create", "key"), ("revoke", "key"), ("create", "tenant")]


def test_a_tenant_is_made_with_keys_of_its_own(beside: Beside) -> None:
    made = beside.json("tenants", "create", "other")
    assert [each["name"] for each in beside.json("tenants", "list")["tenants"]] == ["default", "other"]
    key = beside.json("keys", "create", "admin", "--role", "admin", "--tenant", "other")
    assert beside.json("keys", "list", "--tenant", "other")["keys"][0]["id"] == key["id"]
    assert beside.json("keys", "list")["total"] == 1
    assert {
        str(id_).replace("-", "") for (id_,) in rows(beside.url, "SELECT id FROM tenants WHERE name = 'other'")
    } == {made["id"].replace("-", "")}


def test_a_list_longer_than_a_page_is_whole(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_PAGE", 2)
    for name in "abcd":
        beside("keys", "create", name, "--role", "viewer")
    assert [key["name"] for key in beside.json("keys", "list")["keys"]] == ["admin", *"abcd"]


def test_tables(beside: Beside) -> None:
    made = beside(
        "keys", "create", "ci", "--role", "ingest", "--expires-at", "2999-01-31T00:00:00Z", "--output", "table"
    )
    assert made.stdout.startswith("im_")
    assert made.stderr == "key ci (ingest) of tenant default, shown this once:\n"
    beside("keys", "create", "old", "--role", "viewer")
    beside("keys", "revoke", "old")
    _, admin, ci, old = beside("keys", "list", "--output", "table").stdout.splitlines()
    assert admin.split()[:3] == ["admin", "admin", "yes"]
    assert "until 2999-01-31 00:00:00Z" in ci
    assert "revoked 2" in old
    assert "never" in old
    made = beside("tenants", "create", "other", "--output", "table")
    assert "other" in made.stdout
    assert "keys create admin --role admin --tenant other" in made.stderr
    assert len(beside("tenants", "list", "--output", "table").stdout.splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["keys", "create", "admin", "--role", "admin"], "a key named admin exists"),
        (["keys", "create", "a", "--role", "admin", "--tenant", "none"], "no tenant named none"),
        (
            ["keys", "create", "a", "--role", "admin", "--expires-at", "2020-01-01T00:00:00Z"],
            "expires_at: must be in the",
        ),
        (["keys", "list", "--tenant", "none"], "no tenant named none"),
        (["keys", "revoke", "none"], "no such key"),
        (["tenants", "create", "default"], "a tenant named default exists"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_refused_is_one_line(beside: Beside, arguments: list[str], words: str) -> None:
    refused = beside(*arguments)
    assert (refused.exit_code, refused.stdout) == (1, "")
    [line] = refused.stderr.splitlines()
    assert line.startswith(f"incident-manager: {words}")


def test_another_secret_makes_no_keys(beside: Beside) -> None:
    secret = {"INCIDENT_MANAGER_AUTH__SECRET": "0123456789abcdef0123456789abcdef"}
    refused = beside("keys", "create", "a", "--role", "admin", **secret)
    assert (refused.exit_code, "auth.secret: is not the secret" in refused.stderr) == (1, True)


def test_a_database_that_no_server_has_started_on_is_refused(settings: Settings) -> None:
    refused = Beside(settings)("keys", "list")
    assert (refused.exit_code, "start the server once" in refused.stderr) == (1, True)


def test_a_database_without_a_schema_is_refused(empty_database_url: str, tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    refused = Beside(load({"database.url": empty_database_url, "server.data_dir": str(tmp_path)}))("tenants", "list")
    assert (refused.exit_code, "run `incident-manager db upgrade`" in refused.stderr) == (1, True)


def test_a_file_that_is_not_there_is_refused_and_not_made(tmp_path: Path) -> None:
    refused = Beside(load({"server.data_dir": str(tmp_path)}))("keys", "list")
    assert (refused.exit_code, "there is no database at" in refused.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_whoever_runs_the_command_is_named_also_where_the_machine_knows_no_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert local._user()
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)
    assert local._user() == "uid 4000000000"
