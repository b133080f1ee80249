"""Integrations from the command line: a file of them can be applied again and again."""

import itertools
from pathlib import Path

import msgspec
import pytest

from tests.cli.conftest import CommandLine

_names = (f"integration-{number}" for number in itertools.count())


@pytest.fixture
def name() -> str:
    return next(_names)


def test_every_option_comes_back(run: CommandLine, name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("0123456789abcdef\n")
    options = ["--severity-map", "page=p0", "--dedup-mode", "window", "--window-seconds", "60", "--label", "a=b"]
    secret = ["--signing-secret-file", str(tmp_path / "secret")]
    made = run.json("integrations", "create", name, "--monitor", "alertmanager", *options, *secret)
    assert made["url"].endswith(made["key"])
    shown = run.json("integrations", "show", name)
    names = ("monitor", "severity_map", "dedup_mode", "window_seconds", "labels", "signed")
    assert [shown[each] for each in names] == ["alertmanager", {"page": "P0"}, "window", 60, {"a": "b"}, True]


def test_a_new_ones_sheet_shows_the_key_and_a_later_one_does_not(run: CommandLine, name: str) -> None:
    made = run.table("integrations", "create", name, "--monitor", "generic")
    assert f"{run.server.url}/v1/integrations/generic/" in made
    assert "Address" not in run.table("integrations", "show", name)


def test_a_list_is_a_row_an_integration(run: CommandLine, name: str) -> None:
    run("integrations", "create", name, "--monitor", "generic")
    shown = run("--output", "table", "integrations", "list")
    assert [name, "generic", "0", "never", "no"] in [row.split() for row in shown.stdout.splitlines()]
    assert name in [each["name"] for each in run.json("integrations", "list")["integrations"]]


def test_a_long_list_is_read_on_with_its_cursor(run: CommandLine, name: str) -> None:
    run("integrations", "create", name, "--monitor", "generic")
    run("integrations", "create", f"{name}-b", "--monitor", "generic")
    cursor = run("--output", "table", "integrations", "list", "--page-size", "1").stderr.split()[-1]
    assert len(run.json("integrations", "list", "--page-size", "1", "--cursor", cursor)["integrations"]) == 1


def applied(run: CommandLine, wanted: object, *arguments: str) -> list[dict] | dict:
    return run.json("integrations", "apply", "-", *arguments, stdin=msgspec.json.encode(wanted))


def test_an_object_is_made_and_then_replaced(run: CommandLine, name: str) -> None:
    wanted = {"name": name, "monitor": "generic", "labels": {"a": "b"}}
    made = applied(run, wanted)
    again = applied(run, wanted | {"labels": {"a": "c"}})
    assert len(made["key"]) == 32
    assert "key" not in again
    assert (again["id"], again["labels"]) == (made["id"], {"a": "c"})


def test_an_array_answers_with_an_array(run: CommandLine, name: str) -> None:
    wanted = [{"name": f"{name}-{letter}", "monitor": "generic"} for letter in "ab"]
    assert [each["name"] for each in applied(run, wanted)] == [f"{name}-a", f"{name}-b"]


def test_one_that_is_refused_does_not_hide_the_keys_of_the_others(run: CommandLine, name: str) -> None:
    wanted = [{"name": f"{name}-a", "monitor": "none"}, {"name": f"{name}-b", "monitor": "generic"}]
    result = run("integrations", "apply", "-", stdin=msgspec.json.encode(wanted))
    assert result.exit_code == 1
    assert f"{name}-a: monitor: " in result.stderr
    assert [each["name"] for each in msgspec.json.decode(result.stdout)] == [f"{name}-b"]


def test_a_table_of_what_was_applied_shows_new_addresses(run: CommandLine, name: str, tmp_path: Path) -> None:
    file = tmp_path / "file.json"
    file.write_bytes(msgspec.json.encode({"name": name, "monitor": "generic"}))
    assert run.server.url in run.table("integrations", "apply", str(file))
    again = run.table("integrations", "apply", str(file))
    assert [name, "generic", "replaced"] in [row.split() for row in again.splitlines()]


def test_what_was_shown_can_be_applied(run: CommandLine, name: str) -> None:
    made = run.json("integrations", "create", name, "--monitor", "generic", "--label", "a=b")
    again = applied(run, run.json("integrations", "show", name))
    assert (again["id"], again["labels"]) == (made["id"], {"a": "b"})


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b"1", "must hold an object with a name"),
        (b'[{"name": "a"}, {}]', "must hold an object with a name"),
        (b'{"name": ""}', "must hold an object with a name"),
        (b'{"name": "a", "monitor": "none"}', "monitor"),
        (b'{"name": "a", "monitor": "generic", "typo": 1}', "typo"),
        (b'{"name": "a/b", "monitor": "generic"}', "must hold an object with a name"),
    ],
)
def test_a_file_that_cannot_be_applied_is_refused(run: CommandLine, file: bytes, words: str) -> None:
    refused = run("integrations", "apply", "-", stdin=file)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert words in refused.stderr


def test_an_empty_array_is_nothing_to_do(run: CommandLine) -> None:
    assert applied(run, []) == []


def test_a_deleted_one_is_gone(run: CommandLine, name: str) -> None:
    run("integrations", "create", name, "--monitor", "generic")
    deleted = run("integrations", "delete", name)
    assert (deleted.exit_code, deleted.stdout, deleted.stderr) == (0, "", f"deleted {name}\n")
    refused = run("integrations", "show", name)
    assert (refused.exit_code, refused.stderr) == (1, "incident-manager: no such integration\n")
    assert run("integrations", "delete", name).exit_code == 1


def test_a_name_that_is_taken_is_refused(run: CommandLine, name: str) -> None:
    run("integrations", "create", name, "--monitor", "generic")
    assert "exists" in run("integrations", "create", name, "--monitor", "generic").stderr


def test_monitors_come_with_what_to_paste(run: CommandLine) -> None:
    assert "send_resolved: true" in run.table("monitors", "list")
    assert "alertmanager" in [monitor["name"] for monitor in run.json("monitors", "list")["monitors"]]
