"""Health from the command line."""

import pytest

from tests.cli.conftest import CommandLine
from tests.cli.other_servers import Other

CHECKS = b'{"database":{"status":"unhealthy","detail":"gone"}}'
UNHEALTHY = b'{"status":"unhealthy","version":"1","uptime_seconds":1,"checks":%s}' % CHECKS


def test_a_healthy_server_is_0(run: CommandLine) -> None:
    assert run.json("health")["status"] == "healthy"
    assert "database  healthy" in run.table("health")


def test_health_needs_no_key(run: CommandLine) -> None:
    assert run("health", "--data-dir", "nowhere", API_KEY=None).exit_code == 0


@pytest.mark.parametrize(("output", "shown"), [("json", UNHEALTHY.decode() + "\n"), ("table", "gone")])
def test_an_unhealthy_server_is_shown_and_is_1(run: CommandLine, other: Other, output: str, shown: str) -> None:
    other.answers(503, "application/json", UNHEALTHY)
    result = run("health", "--output", output, URL=other.url)
    assert (result.exit_code, result.stderr) == (1, "incident-manager: the service is unhealthy\n")
    assert shown in result.stdout


def test_no_server_is_1(run: CommandLine, other: Other) -> None:
    other.stop()
    result = run("health", URL=other.url)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"incident-manager: {other.url} cannot be reached: ")
