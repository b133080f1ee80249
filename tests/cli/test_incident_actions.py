"""What is done to incidents, from the command line. A life from ack to close is in test_incidents.py."""

import itertools
from datetime import datetime, timedelta

import pytest

from incident_manager.clock import SystemClock
from tests.cli.conftest import CommandLine

_keys = (f"acted on {number}" for number in itertools.count())


def fresh(run: CommandLine) -> str:
    """Open an incident and return its number."""
    return str(run.json("alert", "--source", "test", "--title", "t", "--dedup-key", next(_keys))["incident_number"])


@pytest.fixture
def number(run: CommandLine) -> str:
    return fresh(run)


def test_a_snooze_until_a_time_and_its_end(run: CommandLine, number: str) -> None:
    until = (SystemClock().now() + timedelta(hours=1)).isoformat()
    assert datetime.fromisoformat(run.json("snooze", number, "--until", until)["snoozed_until"]).isoformat() == until
    assert "Snoozed until" in run.table("get", number)
    assert run.json("snooze", number, "--end")["snoozed_until"] is None


def test_a_snooze_for_some_minutes_is_measured_from_now(run: CommandLine, number: str) -> None:
    before = SystemClock().now()
    until = datetime.fromisoformat(run.json("snooze", number, "--minutes", "30")["snoozed_until"])
    assert before <= until - timedelta(minutes=30) <= SystemClock().now()


@pytest.mark.parametrize("options", [[], ["--end", "--minutes", "1"], ["--until", "x", "--end"]], ids=str)
def test_a_snooze_is_given_in_one_way(run: CommandLine, number: str, options: list[str]) -> None:
    assert run("snooze", number, *options).exit_code == 2


def test_links_are_made_and_undone(run: CommandLine, number: str) -> None:
    others = [fresh(run), fresh(run)]
    assert len(run.json("link", number, *others)["related_incidents"]) == 2
    assert "Related" in run.table("get", number)
    assert run.json("unlink", number, *others)["related_incidents"] == []


def test_a_merge_and_the_split_that_undoes_it(run: CommandLine, number: str) -> None:
    into = fresh(run)
    [alert] = run.json("alerts", "list", "--incident", number)["alerts"]
    gone = run.json("merge", number, "--into", into)
    assert (gone["state"], gone["merged_into_id"]) == ("Closed", run.json("get", into)["id"])
    assert "Merged into" in run.table("get", number)
    new = run.json("split", into, alert["id"])
    assert [one["id"] for one in run.json("alerts", "list", "--incident", str(new["number"]))["alerts"]] == [
        alert["id"]
    ]


def test_people_are_put_on_an_incident_and_taken_off(run: CommandLine, number: str) -> None:
    run.json("assign", number, "ada", "grace")
    assert run.json("assign", number, "grace", "bob")["assignees"] == ["ada", "grace", "bob"]
    assert run.json("assign", number, "grace", "nobody", "--remove")["assignees"] == ["ada", "bob"]


def test_labels_are_set_and_taken_off(run: CommandLine, number: str) -> None:
    run.json("label", number, "team=db", "env=prod")
    assert run.json("label", number, "team=web", "--remove", "env")["labels"] == {"team": "web"}
    assert run("label", number).exit_code == 2


def test_what_is_given_is_changed_and_nothing_else(run: CommandLine, number: str) -> None:
    given = ["--title", "new", "--description", "d", "--severity", "p0", "--service", "shop", "--team", "db"]
    changed = run.json("update", number, *given, "--state", "investigating", "--actor", "ada")
    names = ("title", "description", "severity", "service", "team", "state")
    assert [changed[name] for name in names] == ["new", "d", "P0", "shop", "db", "Investigating"]
    assert run.json("timeline", number)["events"][-1]["actor"] == "ada"


@pytest.mark.parametrize("options", [[], ["--actor", "ada"]], ids=str)
def test_an_update_of_nothing_is_wrong_usage(run: CommandLine, number: str, options: list[str]) -> None:
    assert run("update", number, *options).exit_code == 2


@pytest.mark.parametrize(
    "arguments", [["snooze", "--end"], ["link", "1"], ["unlink", "1"], ["assign", "a"], ["label", "a=b"]], ids=" ".join
)
def test_what_is_not_there_is_said_and_ends_with_1(run: CommandLine, arguments: list[str]) -> None:
    refused = run(arguments[0], "999999", *arguments[1:])
    assert (refused.exit_code, refused.stdout, refused.stderr) == (1, "", "incident-manager: no such incident\n")
