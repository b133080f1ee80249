"""The README's examples, word for word: each block under an `example` marker runs in a shell against a served instance."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.backups import RESTORE
from tests.cli.processes import environment, started
from tests.house.sources import ROOT

README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"^<!-- example: ([a-z]+) -->\n```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = dict(BLOCK.findall(README))

# What each prints, in the README's order: one after the other on an empty database, `restore` with the server stopped.
PRINTED = {
    "alert": r'\{"alert_id":"[0-9a-f-]{36}",.*"incident_number":1,"status":"Accepted","reason":"first_seen",.*\}',
    "list": r"1 P2 Detected Logs are not rotated x 1\n",
    "resolve": r'\{.*"number":1,.*"state":"Resolved",.*"notes":"the maintenance is over".*\}\n',
    "watch": r'\{.*"incident_number":2,.*"first_seen",.*\}\{.*"incident_number":2,.*"source_resolved",.*\}',
    "backup": r"wrote \S+/backups/incidents\.db: [\d,]+ bytes, schema \S+\nkeep auth\.secret \(data/secret\.key\) as well.*\n",
    "restore": r"the schema is what this program needs\n",
}

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def run(name: str, folder: Path, url: str) -> str:
    """Run an example in the folder of a server and return all that it prints."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", EXAMPLES[name]],
        cwd=folder,
        env=environment(url=url) | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{name}: {done.stdout}"
    return done.stdout


def test_every_marked_block_is_run_and_nothing_else_is_marked() -> None:
    assert list(EXAMPLES) == list(PRINTED)
    assert README.count("<!-- example:") == len(PRINTED)


def test_the_examples_print_what_they_promise(tmp_path: Path) -> None:
    with started(tmp_path, "--port", "0") as server:
        url = server.wait_until_serving().url
        for name in (name for name in PRINTED if name != "restore"):
            printed = run(name, tmp_path, url)
            assert re.fullmatch(PRINTED[name], printed), f"{name}: {printed}"


def test_a_restore_brings_back_what_was_there_when_the_backup_was_made(tmp_path: Path) -> None:
    with started(tmp_path, "--port", "0") as server:
        url = server.wait_until_serving().url
        for name in ("alert", "backup", "resolve"):
            run(name, tmp_path, url)
        assert run("list", tmp_path, url) == ""
        server.stop(signal.SIGKILL)  # so that its -wal stays, with the resolve in it
    assert (tmp_path / "data/incidents.db-wal").stat().st_size > 0
    assert re.fullmatch(PRINTED["restore"], run("restore", tmp_path, url))
    with started(tmp_path, "--port", "0") as server:
        assert re.fullmatch(PRINTED["list"], run("list", tmp_path, server.wait_until_serving().url))


def test_a_postgresql_database_is_restored_as_the_tests_of_backups_do_it() -> None:
    assert " ".join(RESTORE) in README
