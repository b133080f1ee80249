"""What reaches a terminal, a pipe, and a reader that has gone away."""

import os
import pty
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli import output
from tests.cli.conftest import CommandLine
from tests.cli.processes import COMMAND, environment
from tests.untraced import untraced

HOSTILE = "\x1b]0;owned\x07\x1b[31mred\x9b2J\u202eback\x00\x7f [bold]loud[/bold] :smile:"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (HOSTILE, "]0;owned[31mred2Jback [bold]loud[/bold] :smile:"),
        ("two\nlines\tand a tab", "two lines and a tab"),
        ("carriage\rreturn", "carriagereturn"),
        ("zażółć 火 🚒", "zażółć 火 🚒"),
    ],
)
def test_nothing_that_steers_a_terminal_is_shown(text: str, shown: str) -> None:
    assert output.clean(text) == shown
    assert output.plain(text).plain == shown


@pytest.mark.parametrize(
    ("span", "shown"),
    [
        ({"seconds": -5}, "now"),
        ({"seconds": 0}, "now"),
        ({"seconds": 1}, "1s"),
        ({"seconds": 59}, "59s"),
        ({"seconds": 60}, "1m"),
        ({"minutes": 59}, "59m"),
        ({"hours": 1}, "1h"),
        ({"hours": 47}, "1d"),
        ({"days": 400}, "400d"),
    ],
)
def test_how_long_ago_is_said_in_the_largest_unit(span: dict[str, int], shown: str) -> None:
    assert output.ago(NOW - timedelta(**span), NOW) == shown


def on_terminal(run: CommandLine, *arguments: str) -> str:
    """Run a command whose standard output is a terminal, and return what it received."""
    master, slave = pty.openpty()
    env = environment(url=run.server.url, api_key=run.key) | {"TERM": "xterm-256color", "COLUMNS": "200"}
    with subprocess.Popen([*COMMAND, *arguments], stdout=slave, stderr=subprocess.PIPE, env=env) as process:
        os.close(slave)
        received = b""
        try:
            while block := os.read(master, 65536):
                received += block
        except OSError:  # Linux's way to say that the other end was closed
            pass
    os.close(master)
    assert process.returncode == 0
    return received.decode()


def test_a_terminal_gets_a_table_that_does_not_obey_strangers(run: CommandLine) -> None:
    run(
        "alert",
        "--source",
        "t\x1b[2J",
        "--title",
        HOSTILE.replace("\x00", ""),
        "--severity",
        "P0",
        "--label",
        "a=[red]",
    )
    shown = on_terminal(run, "list", "--severity", "P0")
    assert "[31mred2Jback [bold]loud[/bold] :smile:" in shown
    assert not set(shown) & set("\x07\x9b\u202e\x7f")
    assert "\x1b]" not in shown
    assert "\x1b[2J" not in shown
    assert "\x1b[31m" not in shown


def test_a_terminal_that_wants_json_gets_json_that_does_not_steer_it(run: CommandLine) -> None:
    run("alert", "--source", "json", "--title", HOSTILE.replace("\x00", ""))
    shown = on_terminal(run, "list", "--source", "json", "--output", "json")
    assert not set(shown) & set("\x1b\x07\x9b\u202e\x7f")
    assert "\\u009b2J\\u202eback\\u007f" in shown


def test_a_pipe_gets_the_apis_bytes(run: CommandLine) -> None:
    run("alert", "--source", "pipe", "--title", "zażółć \x9b")
    shown = run("list", "--source", "pipe").stdout_bytes
    assert shown.startswith(b'{"incidents":[{')
    assert "zażółć \x9b".encode() in shown


def test_a_table_in_a_pipe_is_plain_and_whole(run: CommandLine) -> None:
    title = "a very long title " * 20
    run("alert", "--source", "long", "--title", title, "--severity", "P0")
    shown = run.table("list", "--source", "long")
    assert title.strip() in shown
    assert "\x1b" not in shown


def test_a_reader_that_has_gone_away_is_no_defect(run: CommandLine) -> None:
    for arguments in (["monitors", "list"], ["monitors", "list", "--output", "table"]):
        reading, writing = os.pipe()
        os.close(reading)
        env = environment(url=run.server.url, api_key=run.key)
        ended = subprocess.run(
            [*COMMAND, *arguments], stdout=writing, stderr=subprocess.PIPE, env=env, text=True, check=False
        )
        os.close(writing)
        assert (ended.returncode, ended.stderr) == (1, "")


def test_an_interrupted_command_says_so_without_a_trace(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "file")
    # coverage's tracer, where the interrupt happens to be seen inside of it, swallows it
    env = untraced(environment())
    with subprocess.Popen(
        [*COMMAND, "integrations", "apply", "file"], stderr=subprocess.PIPE, env=env, cwd=tmp_path, text=True
    ) as process:
        with (tmp_path / "file").open("w"):  # opens when the command has opened it to read
            process.send_signal(signal.SIGINT)
        # closed: a signal that came between two looks of the interpreter and the call that waits is seen when that returns
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Aborted" in errors
    assert "Traceback" not in errors
