"""The schema from the command line, on both databases."""

import re
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from cli.main import main
from incident_manager import migrate
from tests.cli.database import rows


def db(url: str, *arguments: str) -> Result:
    result = CliRunner().invoke(main, ["db", *arguments, "--database-url", url])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_up_and_down_and_where_it_stands(empty_database_url: str) -> None:
    head = migrate.head()
    up = db(empty_database_url, "upgrade")
    assert (up.exit_code, up.stdout, up.stderr) == (0, "", f"none -> {head}\n")
    stands = db(empty_database_url, "current")
    assert msgspec.json.decode(stands.stdout) == {"current": head, "head": head}
    assert db(empty_database_url, "check").stderr == "the schema is what this program needs\n"
    down = db(empty_database_url, "downgrade", "base")
    assert (down.exit_code, down.stderr) == (0, f"{head} -> none\n")


def test_one_step_down_looks_like_an_option_and_is_none(database_url: str) -> None:
    assert db(database_url, "downgrade", "-1").exit_code == 0
    assert db(database_url, "check").exit_code == 1
    assert db(database_url, "downgrade", "--no-such").exit_code == 2


def test_where_it_stands_as_a_table(database_url: str) -> None:
    shown = db(database_url, "current", "--output", "table").stdout
    assert [line.split() for line in shown.splitlines()] == [["Current", migrate.head()], ["Needed", migrate.head()]]


def test_a_schema_that_differs_is_shown_with_what_would_mend_it(database_url: str) -> None:
    rows(database_url, "ALTER TABLE audit ADD COLUMN forgotten INTEGER")
    checked = db(database_url, "check")
    assert checked.exit_code == 1
    assert "forgotten" in checked.stdout
    assert checked.stderr.startswith("incident-manager: the schema is not what this program needs")


@pytest.mark.parametrize("way", ["upgrade", "downgrade"])
def test_a_revision_that_does_not_exist_is_refused(database_url: str, way: str) -> None:
    refused = db(database_url, way, "none-such")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert re.fullmatch(r"incident-manager: .*'none-such'.*\n", refused.stderr)


@pytest.mark.parametrize("command", [["downgrade", "base"], ["current"], ["check"]])
def test_a_file_that_is_not_there_is_not_made(tmp_path: Path, command: list[str]) -> None:
    refused = db(f"sqlite:///{tmp_path}/none.db", *command)
    assert (refused.exit_code, "there is no database at" in refused.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_an_upgrade_makes_the_folder_and_the_file(tmp_path: Path) -> None:
    made = CliRunner().invoke(main, ["db", "upgrade", "--data-dir", str(tmp_path / "new")])
    assert made.exit_code == 0
    assert (tmp_path / "new/incidents.db").exists()
