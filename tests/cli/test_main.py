"""The command line as a whole: its names, its help, what a wrong word does, and what help loads."""

import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cli import access, client
from cli.main import COMMANDS, main
from incident_manager import start
from incident_manager.flows import access as flows
from tests.cli.conftest import CommandLine
from tests.cli.processes import COMMAND, environment, finished
from tests.house.sources import ROOT

HEAVY = {"litestar", "sqlalchemy", "dynaconf", "httpx2", "uvicorn", "alembic", "loguru", "cryptography", "asyncpg"}
LOADED = (
    "import sys\nfrom cli.main import run\ntry:\n    run()\nfinally:\n"
    "    print(*{name.partition('.')[0] for name in sys.modules}, *sys.modules.keys() & {'rich.table'}, file=sys.stderr)\n"
)


def commands() -> list[list[str]]:
    """Return every command's words, groups included."""
    found = []
    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        found.append([name])
        if isinstance(command, click.Group):
            found.extend([name, each] for each in command.commands)
    return found


def loaded(*arguments: str) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments], env=environment(), capture_output=True, text=True, check=True
    )
    return set(run.stderr.split())


@pytest.mark.parametrize(
    "words", [[], ["serve"], ["list"], ["integrations", "apply"], ["keys", "create"], ["db", "check"]]
)
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    assert loaded(*words, "--help") & HEAVY == set()


def test_a_word_alone_loads_no_table() -> None:
    assert loaded("--version") & {*HEAVY, "rich.table"} == set()


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_has_help_in_words(words: list[str]) -> None:
    shown = CliRunner().invoke(main, [*words, "--help"])
    assert shown.exit_code == 0
    assert f"Usage: main {' '.join(words)}" in " ".join(shown.stdout.split())
    assert "--output" in shown.stdout


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_an_unknown_option_is_wrong_usage(words: list[str]) -> None:
    refused = CliRunner().invoke(main, [*words, "--no-such-option"])
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "Error" in refused.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["get"],
        ["get", ""],
        ["get", ".."],
        ["get", "1/timeline"],
        ["get", "\udcff"],
        ["list", "--output", "yaml"],
        ["list", "--state", "Sleeping"],
        ["list", "--page", "-1"],
        ["list", "--page-size", "101"],
        ["list", "--label", "no equals sign"],
        ["list", "--label", "instance=host:9100"],
        ["alert", "--title", "no source"],
        ["alert", "--source", "a", "--title", "b", "--label", "=no key"],
        ["resolve", "1", "--notes", "by nobody"],
        ["serve", "--port", "65536"],
        ["serve", "--workers", "0"],
        ["keys", "create", "name"],
        ["keys", "create", "no/slash", "--role", "admin"],
        ["keys", "create", "name", "--role", "king"],
        ["keys", "create", "name", "--role", "admin", "--expires-at", "2027-01-31T00:00:00"],
        ["keys", "create", "name", "--role", "admin", "--expires-at", "9999-12-31T23:59:59-01:00"],
        ["tenants", "create", ""],
        ["integrations", "create", "name", "--monitor", "generic", "--severity-map", "bad=P9"],
        ["integrations", "apply", "/no/such/file"],
        ["db", "downgrade"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2_and_says_why(arguments: list[str]) -> None:
    refused = CliRunner().invoke(main, arguments)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "Error" in refused.stderr


def test_the_version_is_the_packages() -> None:
    assert CliRunner().invoke(main, ["--version"]).stdout.split()[-1] == version("incident-manager")


def test_both_names_lead_to_the_same_command_line() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"incident-manager": "cli.main:run", "llm-im-cli": "cli.main:run"}


def test_names_that_are_written_twice_to_save_time_are_the_same() -> None:
    assert client._KEY_FILE == start.ADMIN_KEY_FILE
    assert access._DEFAULT_TENANT == flows.DEFAULT_TENANT


@pytest.mark.parametrize("arguments", [["--output", "table", "list"], ["list", "--output", "table"]])
def test_output_may_be_said_before_or_after_the_command(run: CommandLine, arguments: list[str]) -> None:
    assert run("alert", "--source", "a", "--title", "anything").exit_code == 0
    assert run(*arguments).stdout.startswith("No.")


def test_of_two_outputs_the_last_counts(run: CommandLine) -> None:
    assert run("--output", "table", "monitors", "--output", "table", "list", "--output", "json").stdout[0] == "{"


def test_a_defect_is_one_line_without_what_it_was_about() -> None:
    text = (
        "import sys\nimport cli.main\n\n\ndef fail(*_):\n    raise KeyError('a secret')\n\n\n"
        "cli.main.Commands.list_commands = fail\nsys.argv = ['x', '--help']\ncli.main.run()\n"
    )
    ended = subprocess.run([sys.executable, "-c", text], env=environment(), capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert line.startswith("incident-manager: a defect of this program: KeyError at ")
    assert "secret" not in line


def test_a_file_that_the_system_refuses_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a folder should be")
    refused = finished(tmp_path, "db", "upgrade")
    assert refused.returncode == 1
    [line] = refused.stderr.splitlines()
    assert line.startswith("incident-manager: ")
    assert "data" in line


def test_what_the_system_refuses_is_said_without_a_trace(run: CommandLine) -> None:
    """Linux's /proc/self/mem can be opened, and not read from its beginning."""
    refused = run("integrations", "create", "a", "--monitor", "generic", "--signing-secret-file", "/proc/self/mem")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == "incident-manager: the system: Input/output error\n"


def test_the_module_is_the_command_line() -> None:
    shown = subprocess.run([*COMMAND, "--version"], env=environment(), capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("incident-manager, version ")
