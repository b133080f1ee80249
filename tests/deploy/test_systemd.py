"""The systemd unit: systemd reads it without a word, and what it promises fits the server."""

import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from tests.deploy.files import DEPLOY, stop_seconds

UNIT = DEPLOY / "incident-manager.service"
EXPOSURE = "15"  # in tenths; a service without any of it has 96
needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")


def directives() -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for line in UNIT.read_text().splitlines():
        if line and not line.startswith(("#", "[")):
            name, _, value = line.partition("=")
            found[name].append(value)
    return found


SAID = directives()


def analyze(*arguments: str, unit: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments, unit], capture_output=True, text=True, check=False)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is there."""
    text = UNIT.read_text().replace("/opt/incident-manager/bin/incident-manager", "/bin/true")
    (tmp_path / UNIT.name).write_text(text)
    return tmp_path / UNIT.name


@needs_systemd
def test_systemd_finds_nothing_wrong_with_it(unit: Path) -> None:
    found = analyze("verify", "--man=no", "--recursive-errors=no", unit=unit)
    assert (found.returncode, found.stderr) == (0, "")


@needs_systemd
def test_it_exposes_little(unit: Path) -> None:
    found = analyze("security", "--offline=yes", f"--threshold={EXPOSURE}", "--no-pager", unit=unit)
    assert found.returncode == 0, found.stdout[-500:] + found.stderr


def test_its_user_is_made_for_it_and_only_its_data_is_writable() -> None:
    assert (SAID["DynamicUser"], SAID["ProtectSystem"]) == (["yes"], ["strict"])
    assert (SAID["StateDirectory"], SAID["StateDirectoryMode"]) == (["incident-manager"], ["0700"])
    assert "INCIDENT_MANAGER_SERVER__DATA_DIR=%S/incident-manager" in SAID["Environment"]
    assert "ReadWritePaths" not in SAID


def test_the_secret_comes_as_a_credential() -> None:
    [credential] = SAID["LoadCredential"]
    name, _, source = credential.partition(":")
    assert f"INCIDENT_MANAGER_AUTH__SECRET_FILE=%d/{name}" in SAID["Environment"]
    assert f">{source})" in (DEPLOY / "README.md").read_text()


def test_it_is_stopped_as_the_server_expects_and_given_time() -> None:
    assert (SAID["KillSignal"], SAID["KillMode"], SAID["Restart"]) == (["SIGTERM"], ["mixed"], ["on-failure"])
    assert float(SAID["TimeoutStopSec"][0]) > stop_seconds()
