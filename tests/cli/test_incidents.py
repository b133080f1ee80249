"""Incidents from the command line: each command as table and as JSON, and what is refused."""

import itertools

import pytest

from cli import client
from tests.cli.conftest import CommandLine

_titles = (f"problem {number}" for number in itertools.count())


@pytest.fixture
def number(run: CommandLine) -> str:
    """The number of a fresh incident."""
    return str(run.json("alert", "--source", "test", "--title", next(_titles))["incident_number"])


def opened(run: CommandLine, **fields: str) -> dict:
    options = [f"--{name.replace('_', '-')}={value}" for name, value in fields.items()]
    given = ["--source", "desk", "--title", next(_titles), "--severity", "p2", "--incident-type", "performance"]
    return run.json("open", *given, *options)


def numbers(run: CommandLine, *arguments: str) -> list[int]:
    return [incident["number"] for incident in run.json("list", *arguments)["incidents"]]


def test_every_field_of_an_opened_incident_comes_back(run: CommandLine) -> None:
    options = ["--description", "d", "--resource", "a", "--resource", "b", "--label", "k=v=w", "--assignee", "ada"]
    given = ["--source", "desk", "--title", next(_titles), "--severity", "p0", "--incident-type", "DATA"]
    made = run.json("open", *given, *options)
    shown = run.json("get", str(made["number"]))
    assert made == shown
    names = ("severity", "incident_type", "description", "affected_resources", "labels", "assignees")
    assert [shown[name] for name in names] == ["P0", "Data", "d", ["a", "b"], {"k": "v=w"}, ["ada"]]


def test_the_same_incident_by_hand_twice_is_refused_with_the_first_ones_id(run: CommandLine) -> None:
    arguments = ["open", "--source", "a", "--title", "twice", "--severity", "P1", "--incident-type", "Unknown"]
    first = run.json(*arguments)
    refused = run(*arguments)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert f"incident: {first['id']}" in refused.stderr


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--state", "detected"], True),
        (["--state", "closed"], False),
        (["--state", "closed", "--state", "Detected"], True),
        (["--severity", "P1"], True),
        (["--severity", "P2"], False),
        (["--source", "filters"], True),
        (["--source", "other"], False),
        (["--label", "team=payments"], True),
        (["--label", "team=search"], False),
        (["-q", "needle"], True),
        (["-q", "haystack"], False),
        (["--active-only"], True),
        (["--page", "1", "--source", "filters"], False),
    ],
    ids=str,
)
def test_filters(run: CommandLine, options: list[str], found: bool) -> None:
    made = run.json(
        "alert", "--source", "filters", "--title", "the needle", "--severity", "P1", "--label", "team=payments"
    )
    assert (made["incident_number"] in numbers(run, *options)) is found


def test_a_list_is_sorted_and_cut_into_pages_as_asked(run: CommandLine) -> None:
    made = [opened(run, assignee="pages")["number"] for _ in range(3)]
    assert numbers(run, "--sort", "-number", "--page-size", "2") == made[:0:-1]
    assert numbers(run, "--sort", "-number", "--page-size", "2", "--page", "1")[0] == made[0]


def test_a_list_is_a_row_an_incident_and_says_how_many_there_are(run: CommandLine) -> None:
    number = [opened(run)["number"] for _ in range(2)][-1]
    shown = run("--output", "table", "list", "--page-size", "1", "--sort", "-number")
    heading, row = shown.stdout.splitlines()
    assert heading.split() == ["No.", "Sev", "State", "Title", "Alerts", "Age", "Seen", "Source"]
    assert row.split()[:3] == [f"#{number}", "P2", "Detected"]
    assert shown.stderr.startswith("1 of ")
    assert "--page 1" in shown.stderr


def test_an_empty_list_is_words_alone(run: CommandLine) -> None:
    shown = run("--output", "table", "list", "--source", "nobody")
    assert (shown.exit_code, shown.stdout, shown.stderr) == (0, "", "0 of 0 incidents\n")


def test_a_sheet_says_all_there_is_and_leaves_out_what_is_not(run: CommandLine) -> None:
    made = opened(run, description="line one\nline two", label="k=v", resource="db")
    sheet = run.table("get", made["id"])
    for text in (
        f"#{made['number']}",
        "P2",
        "Detected",
        made["title"],
        "line one",
        "line two",
        "k=v",
        "db",
        made["id"],
    ):
        assert text in sheet
    assert "Resolved" not in sheet
    assert "Assignees" not in sheet


def test_a_life_from_the_command_line(run: CommandLine, number: str) -> None:
    assert run.json("ack", number, "--by", "ada")["acknowledged_by"] == "ada"
    resolve = ["resolve", number, "--resolved-by", "ada", "--notes", "restarted", "--root-cause", "a leak"]
    ended = run.json(*resolve, "--method", "automated")["resolution"]
    assert (ended["resolved_by"], ended["notes"], ended["root_cause"]) == ("ada", "restarted", "a leak")
    assert ended["resolution_method"] == "Automated"
    assert run.json("close", number)["state"] == "Closed"
    assert run.json("reopen", number, "--reason", "it is back")["state"] == "Investigating"
    assert run.json("note", number, "called Bob")["number"] == int(number)
    told = run.table("timeline", number)
    for text in ("opened", "acknowledged", "restarted", "closed", "it is back", "called Bob", "first_seen"):
        assert text in told


def test_an_ended_incidents_sheet_says_how(run: CommandLine, number: str) -> None:
    run("ack", number, "--by", "ada")
    sheet = run.table("resolve", number, "--resolved-by", "bob", "--notes", "restarted", "--root-cause", "a leak")
    for text in ("by ada", "by bob (Manual)", "restarted", "a leak"):
        assert text in sheet
    assert "Closed" in run.table("close", number)


def test_a_long_timeline_is_read_on_with_its_cursor(run: CommandLine, number: str) -> None:
    run("note", number, "one")
    first = run("--output", "table", "timeline", number, "--page-size", "1")
    cursor = first.stderr.split()[-1]
    [event] = run.json("timeline", number, "--page-size", "1", "--cursor", cursor)["events"]
    assert (event["type"], event["description"]) == ("note", "one")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["get", "999999"], "no such incident"),
        (["get", "no-such"], "no such incident"),
        (["timeline", "999999"], "no such incident"),
        (["ack", "999999"], "no such incident"),
        (["resolve", "999999", "--resolved-by", "a", "--notes", "b"], "no such incident"),
        (["close", "999999"], "no such incident"),
        (["reopen", "999999", "--reason", "a"], "no such incident"),
        (["note", "999999", "a"], "no such incident"),
        (["list", "-q", "x " * 11], "q: holds more than 10 words"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_the_server_refuses_is_said_and_ends_with_1(run: CommandLine, arguments: list[str], words: str) -> None:
    refused = run(*arguments)
    assert (refused.exit_code, refused.stdout, refused.stderr) == (1, "", f"incident-manager: {words}\n")


def test_a_move_that_is_not_allowed_says_which_are(run: CommandLine, number: str) -> None:
    refused = run("close", number)
    assert refused.exit_code == 1
    assert "allowed now: Triaged, Investigating, Remediating, Resolved" in refused.stderr


def test_several_wrong_fields_stand_below_what_is_wrong() -> None:
    body = b'{"detail": "two things", "errors": [{"field": "a", "message": "is b"}, {"field": "", "message": "is c"}]}'
    assert client._explain(client.Answer(422, body), has_key=True) == "two things\n  a: is b\n  body: is c"
