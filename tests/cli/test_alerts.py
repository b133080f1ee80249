"""Alerts from the command line."""

import json
from pathlib import Path

from tests.cli.conftest import CommandLine

GIVEN = {
    "source": "prom",
    "title": "Disk is full",
    "description": "97 %",
    "severity": "p1",
    "alert-type": "infrastructure",
    "dedup-key": "disk-7",
    "external-id": "delivery-1",
}


def test_every_option_reaches_the_alert(run: CommandLine) -> None:
    options = [f"--{name}={value}" for name, value in GIVEN.items()]
    accepted = run.json("alert", *options, "--label", "host=a", "--label", "host=b", "--service", "x", "--service", "y")
    assert (accepted["status"], accepted["occurrences"]) == ("Accepted", 1)
    incident = run.json("get", str(accepted["incident_number"]))
    names = ("source", "title", "description", "severity", "incident_type", "labels", "affected_resources")
    assert [incident[name] for name in names] == [
        *("prom", "Disk is full", "97 %", "P1", "Infrastructure"),
        {"host": "b"},
        ["x", "y"],
    ]


def test_a_repeat_folds_and_a_delivery_counts_once(run: CommandLine) -> None:
    given = ["alert", "--source", "a", "--title", "b", "--dedup-key", "folds"]
    answers = [run.json(*given, *more) for more in ([], ["--external-id", "1"], ["--external-id", "1"], [])]
    assert [answer["occurrences"] for answer in answers] == [1, 2, 2, 3]


def test_a_resolved_alert_ends_its_incident(run: CommandLine) -> None:
    given = ["alert", "--source", "a", "--title", "ends", "--dedup-key", "ends"]
    number = run.json(*given)["incident_number"]
    assert run.json(*given, "--status", "resolved")["incident_number"] == number
    assert run.json("get", str(number))["state"] == "Resolved"


def test_a_table_says_what_became_of_it(run: CommandLine) -> None:
    shown = run.table("alert", "--source", "a", "--title", "as a table")
    assert "Accepted (first_seen)" in shown
    assert "Incident     #" in shown
    assert "none" in run.table("alert", "--source", "a", "--title", "never fired", "--status", "resolved")


def test_a_refused_alert_names_its_field(run: CommandLine) -> None:
    refused = run("alert", "--source", "a", "--title", "")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith("incident-manager: title: ")


def test_a_file_of_alerts_is_sent_at_once_and_what_is_rejected_is_told(run: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "alerts.json"
    file.write_text(json.dumps([{"source": "a", "title": "sent", "dedup_key": "sent"}] * 2))
    assert [one["occurrences"] for one in run.json("alerts", "send", str(file))["results"]] == [1, 2]
    file.write_text('[{"source": "a", "title": "sent"}, {"source": "a"}]')
    result = run("alerts", "send", "-", stdin=file.read_text())
    assert (result.exit_code, "1 of the alerts were rejected" in result.stderr) == (1, True)


def test_a_dry_run_says_what_would_be_and_does_nothing(run: CommandLine) -> None:
    given = ["alert", "--source", "a", "--title", "dry"]
    told = run.json(*given, "--dry-run")
    assert (told["status"], told["reason"], told["incident_id"]) == ("Accepted", "first_seen", None)
    assert run.json(*given)["reason"] == "first_seen"
    shown = run.table(*given, "--dry-run")
    for text in ("Duplicate (within_window)", "window, 900 s", told["fingerprint"]):
        assert text in shown
    assert "900 s" not in run.table(*given, "--dedup-key", "k", "--dry-run")


def test_alerts_are_listed_of_all_and_of_one_incident(run: CommandLine) -> None:
    accepted = [run.json("alert", "--source", "a", "--title", "listed", "--dedup-key", key) for key in ("l1", "l2")]
    number = str(accepted[0]["incident_number"])
    ids = [
        [alert["id"] for alert in run.json("alerts", "list", *which)["alerts"]]
        for which in ((), ("--incident", number))
    ]
    assert (ids[0][:2], ids[1]) == ([one["alert_id"] for one in accepted[::-1]], [accepted[0]["alert_id"]])
    first = run("--output", "table", "alerts", "list", "--page-size", "1")
    assert first.stdout.splitlines()[1].split()[2:7] == ["P3", "firing", "listed", "opened", "first_seen"]
    cursor = first.stderr.split()[-1]
    assert run.json("alerts", "list", "--cursor", cursor)["alerts"][0]["id"] == accepted[0]["alert_id"]


def test_an_alert_is_shown_with_what_was_decided(run: CommandLine) -> None:
    given = ["--source", "a", "--title", "shown", "--dedup-key", "shown", "--label", "host=a"]
    accepted = run.json("alert", *given)
    shown = run.table("alerts", "show", accepted["alert_id"])
    for text in ("opened (first_seen)", "host=a", accepted["incident_id"], "Deduplication key"):
        assert text in shown
