"""`db prune` as people run it: what it says, what it leaves, how it is stopped. On both engines."""

import asyncio
import signal
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from cli.main import main
from cli.pruning import prune as command
from incident_manager.clock import ManualClock
from incident_manager.db import Session
from incident_manager.flows.pruning import BATCH
from incident_manager.ids import first_id
from incident_manager.models.alerts import Alert
from incident_manager.settings import Settings
from tests.cli.database import rows
from tests.cli.processes import COMMAND, environment, until
from tests.world import World, running

OLD, YOUNG = 500, 0  # days
STOPPED = 60


@pytest.fixture
def filled(settings: Settings) -> Settings:
    """Three old alerts and a young one, each of an incident of its own, and an idempotency key that has expired."""
    asyncio.run(receive(settings, OLD, [{"title": "a", "external_id": "x"}, {"title": "b"}, {"title": "c"}]))
    asyncio.run(receive(settings, YOUNG, [{"title": "d"}]))
    return settings


async def receive(settings: Settings, days: int, bodies: Sequence[dict[str, Any]]) -> None:
    """Take in alerts so many days ago."""
    async with running(settings, ManualClock(datetime.now(UTC) - timedelta(days=days))) as world:
        for body in bodies:
            await world.alert(**body)
        await backdate(world)


async def backdate(world: World) -> None:
    """Give the alerts that came last ids of the clock's time; they have the machine's."""
    now = world.clock.now()

    async def work(session: Session) -> None:
        found = (await session.scalars(sa.select(Alert.id).where(Alert.received_at == now))).all()
        for number, alert_id in enumerate(found):
            changed = {"id": UUID(int=first_id(now).int + number)}
            await session.execute(sa.update(Alert).where(Alert.id == alert_id).values(changed))

    await world.parts.database.transaction(work, tenant_id=(await world.units()).actor.tenant_id)


def prune(settings: Settings, *arguments: str) -> Result:
    where = ["--database-url", settings.database_url, "--data-dir", settings.server.data_dir]
    result = CliRunner().invoke(main, ["db", "prune", *where, *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def told(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    return msgspec.json.decode(result.stdout)


def titles(settings: Settings) -> list[str]:
    return sorted(title for (title,) in rows(settings.database_url, "SELECT title FROM alerts"))


def audit(settings: Settings) -> list[tuple[Any, ...]]:
    found = rows(settings.database_url, "SELECT actor_kind, after FROM audit WHERE action = 'prune' ORDER BY id")
    return [(kind, msgspec.json.decode(after)) for kind, after in found]


def test_what_is_older_than_the_setting_goes_and_is_counted(filled: Settings) -> None:
    answer = told(prune(filled))
    before = datetime.fromisoformat(answer.pop("received_before"))
    assert timedelta(days=400) <= datetime.now(UTC) - before < timedelta(days=400, minutes=5)
    tenants = [{"tenant": "default", "alerts": 3}]
    assert answer == {"dry_run": False, "complete": True, "alerts": 3, "idempotency_keys": 1, "tenants": tenants}
    assert titles(filled) == ["d"]


def test_a_second_run_finds_nothing(filled: Settings) -> None:
    prune(filled)
    again = told(prune(filled))
    assert (again["alerts"], again["idempotency_keys"], again["complete"]) == (0, 0, True)


def test_the_audit_says_that_the_command_line_did_it(filled: Settings) -> None:
    before = told(prune(filled))["received_before"]
    assert audit(filled) == [("command_line", {"alerts_pruned": 3, "received_before": before})]


def test_a_dry_run_counts_the_same_and_deletes_nothing(filled: Settings) -> None:
    dry, wet = told(prune(filled, "--dry-run", "--batch", "1")), told(prune(filled, "--batch", "1"))
    counts = ("alerts", "idempotency_keys", "tenants")
    assert [dry[name] for name in counts] == [wet[name] for name in counts]
    assert (dry["dry_run"], dry["alerts"]) == (True, 3)


@pytest.mark.parametrize(("days", "left"), [("0", "abcd"), ("501", "abcd"), ("499", "d")])
def test_the_days_can_be_given_and_none_keeps_all(filled: Settings, days: str, left: str) -> None:
    answer = told(prune(filled, "--alerts-days", days))
    assert titles(filled) == list(left)
    assert (answer["received_before"] is None) is (days == "0")
    assert answer["idempotency_keys"] == 1


@pytest.mark.parametrize("arguments", [["--dry-run"], []])
def test_for_people_it_is_a_sheet(filled: Settings, arguments: list[str]) -> None:
    lines = [line.split("  ") for line in prune(filled, "--output", "table", *arguments).stdout.splitlines()]
    [alerts, keys] = [[part.strip() for part in line if part.strip()] for line in lines]
    assert alerts[0] == ("Alerts that would go" if arguments else "Alerts gone")
    assert alerts[1].startswith("3, received before 20")
    assert keys == ["Idempotency keys", "1"]


def test_a_time_too_short_for_repeated_deliveries_is_refused(filled: Settings) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INCIDENT_MANAGER_IDEMPOTENCY__TTL_SECONDS", "90000")
        refused = prune(filled, "--alerts-days", "1")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith("incident-manager: flags: retention.alerts_days: must be 0 (for ever) or at least")
    assert titles(filled) == list("abcd")


def test_a_batch_is_as_large_as_elsewhere_where_nothing_is_said() -> None:
    [batch] = [option for option in command.params if option.name == "batch"]
    assert batch.default == BATCH


@pytest.mark.parametrize("arguments", [["--batch", "0"], ["--batch", "10001"], ["--alerts-days", "many"]])
def test_wrong_usage_is_told_as_such(settings: Settings, arguments: list[str]) -> None:
    assert prune(settings, *arguments).exit_code == 2


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    refused = CliRunner().invoke(main, ["db", "prune", "--data-dir", str(tmp_path / "none")])
    assert (refused.exit_code, "there is no database at" in refused.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("database_url", "number"), [("sqlite", signal.SIGINT), ("postgresql", signal.SIGTERM)], indirect=["database_url"]
)
def test_whoever_is_told_to_stop_ends_between_two_batches(settings: Settings, tmp_path: Path, number: int) -> None:
    asyncio.run(receive(settings, OLD, [{"title": str(at)} for at in range(STOPPED)]))
    where = ["--database-url", settings.database_url, "--data-dir", settings.server.data_dir]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    running_it = [*COMMAND, "db", "prune", "--batch", "1", *where]
    with subprocess.Popen(running_it, cwd=tmp_path, env=environment(), text=True, **pipes) as process:
        until(lambda: len(titles(settings)) < STOPPED - 2, "three batches")
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=20)
    answer = msgspec.json.decode(stdout)
    assert (process.returncode, answer["complete"]) == (1, False)
    assert stderr == "incident-manager: stopped before it was done; run it again for the rest\n"
    assert (
        answer["alerts"]
        == STOPPED - len(titles(settings))
        == sum(after["alerts_pruned"] for _, after in audit(settings))
    )
