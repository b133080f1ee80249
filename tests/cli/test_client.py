"""Which server, which key, and what a client must come through without a trace."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import client
from tests.cli.conftest import CommandLine
from tests.cli.other_servers import Other

LIST = b'{"incidents":[],"total":0,"page":0,"page_size":20,"next_cursor":null}'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the key of a local server in `data`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/admin.key").write_text("im_local\n")
    return tmp_path


@pytest.fixture
def other(other: Other) -> Iterator[Other]:
    other.answers(200, "application/json", LIST)
    return other


def key_shown(run: CommandLine, other: Other, *arguments: str, **environment: str | None) -> str | None:
    """Return what a server was shown as the caller's key."""
    result = run("list", *arguments, **({"URL": other.url, "API_KEY": None} | environment))
    assert result.exit_code == 0, result.stderr
    return other.received[-1].get("Authorization")


def test_a_flag_wins_over_the_environment_and_that_over_the_key_file(
    run: CommandLine, other: Other, folder: Path
) -> None:
    assert key_shown(run, other, "--api-key", "im_flag", API_KEY="im_environment") == "Bearer im_flag"
    assert key_shown(run, other, API_KEY="im_environment") == "Bearer im_environment"
    assert key_shown(run, other, API_KEY="") == "Bearer im_local"


def test_the_key_file_is_in_the_data_directory_that_is_named(run: CommandLine, other: Other, folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere/admin.key").write_text("im_elsewhere")
    assert key_shown(run, other, "--data-dir", "elsewhere") == "Bearer im_elsewhere"
    assert key_shown(run, other, SERVER__DATA_DIR="elsewhere") == "Bearer im_elsewhere"
    assert key_shown(run, other, "--data-dir", "nowhere") is None


def test_the_key_of_a_local_server_is_sent_to_no_other_machine(run: CommandLine, other: Other, folder: Path) -> None:
    assert key_shown(run, other, URL=other.url.replace("127.0.0.1", "0.0.0.0")) is None


def test_a_url_flag_wins_and_may_have_a_path(run: CommandLine, other: Other, folder: Path) -> None:
    assert run("list", "--url", f"{other.url}/behind/a/proxy/", URL="http://127.0.0.1:1").exit_code == 0
    assert run("--url", other.url, "list", URL="http://127.0.0.1:1").exit_code == 0


def test_without_a_key_the_refusal_says_where_one_could_come_from(run: CommandLine, tmp_path: Path) -> None:
    refused = run("list", "--data-dir", str(tmp_path), API_KEY=None)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith("incident-manager: no key: give --api-key, set INCIDENT_MANAGER_API_KEY")


def test_a_key_that_is_not_valid_is_said_in_the_servers_words(run: CommandLine) -> None:
    refused = run("list", "--api-key", "im_wrong")
    assert (refused.exit_code, refused.stderr) == (1, "incident-manager: the key is not valid\n")


def test_a_key_of_too_small_a_role_is_said_in_the_servers_words(run: CommandLine, tmp_path: Path) -> None:
    beside = ["--data-dir", str(run.folder / "data")]
    ingest = run.json("keys", "create", "ingest-only", "--role", "ingest", *beside)["key"]
    refused = run("list", "--api-key", ingest)
    assert (refused.exit_code, refused.stderr) == (1, "incident-manager: a key of role ingest may not do this\n")


def test_a_key_file_that_cannot_be_read_is_named(run: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "admin.key").mkdir()
    refused = run("list", "--data-dir", str(tmp_path), API_KEY=None)
    assert refused.exit_code == 1
    assert f"{tmp_path / 'admin.key'}: cannot be read: " in refused.stderr


@pytest.mark.parametrize("key", ["im_ä", "im_a b", "im_a\nHost: x", "im_\x7f"])
def test_what_cannot_be_a_key_is_not_sent(run: CommandLine, other: Other, key: str) -> None:
    refused = run("list", "--api-key", key, URL=other.url)
    assert (refused.exit_code, other.received) == (1, [])
    assert "holds characters that no key has" in refused.stderr
    assert key not in refused.stderr


@pytest.mark.parametrize(
    "url",
    [
        *(
            "localhost:8080",
            "ftp://127.0.0.1",
            "http://",
            "http://[::1",
            "http://127.0.0.1:99999",
            "http://127.0.0.1:0",
        ),
        *("http://user:canary@127.0.0.1", "http://127.0.0.1?canary", "http://127.0.0.1#canary"),
    ],
)
def test_what_is_no_servers_address_is_refused(run: CommandLine, url: str) -> None:
    refused = run("list", "--url", url)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == "incident-manager: --url (or INCIDENT_MANAGER_URL) must be http(s)://host[:port][/path]\n"


@pytest.mark.parametrize(
    ("status", "content_type", "body", "words"),
    [
        (200, "text/html", b"<html>", "answered 200 with something else than JSON"),
        (502, "text/html", b"Bad Gateway", "answered 502 with something else than JSON"),
        (200, "application/json", b"{", "is not understood"),
        (200, "application/json", b"\xff", "is not understood"),
        (200, "application/json", b"[]", "is not understood"),
        (200, "application/json", b"", "is not understood"),
        (302, "application/json", b"{}", "answered 302"),
        (500, "application/json", b"", "answered 500"),
        (500, "application/problem+json", b'{"errors": 1}', "answered 500"),
        (500, "application/problem+json", b'{"detail": "error \\u001b[31m1"}', "incident-manager: error [31m1\n"),
        (503, "application/problem+json", b'{"title": "Unavailable"}', "Unavailable"),
    ],
)
def test_whatever_answers_there_is_no_trace(
    run: CommandLine, other: Other, status: int, content_type: str, body: bytes, words: str
) -> None:
    other.answers(status, content_type, body)
    refused = run("list", "--output", "table", URL=other.url)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert words in refused.stderr


def test_a_server_that_is_not_there_is_said(run: CommandLine) -> None:
    refused = run("list", "--url", "http://127.0.0.1:1")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "cannot be reached: " in refused.stderr


def test_a_server_that_says_nothing_is_not_waited_for_for_ever(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        refused = run("list", "--url", f"http://127.0.0.1:{listener.getsockname()[1]}")
    assert refused.exit_code == 1
    assert "does not answer within" in refused.stderr


def test_settings_that_are_wrong_are_said_where_they_are_needed(run: CommandLine) -> None:
    refused = run("list", API_KEY=None, SERVER__PROT="1")
    assert (refused.exit_code, "unknown key server.prot" in refused.stderr) == (1, True)
    assert run("list", SERVER__PROT="1").exit_code == 0
