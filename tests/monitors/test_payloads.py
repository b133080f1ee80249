"""Every real payload, read by its monitor, compared with what an ideal reading finds."""

import hashlib
from datetime import datetime
from typing import Any

import pytest

from incident_manager.monitors import MONITORS
from incident_manager.monitors.base import Delivery, ReadAlert
from tests.monitors.payloads import Payload, payloads, value

PAYLOADS = payloads()


def read(given: Payload) -> tuple[ReadAlert, ...]:
    headers = {name.lower(): text for name, text in given.headers.items()}
    return MONITORS[given.monitor].parse(Delivery(headers=headers, body=given.body)).alerts


def pairs() -> list[Any]:
    """Return each event of each payload beside the alert in the same place."""
    found = []
    for given in PAYLOADS:
        for place, (event, alert) in enumerate(zip(given.events, read(given), strict=True)):
            found.append(pytest.param(event, alert, id=f"{given}-{place}"))
    return found


@pytest.mark.parametrize("given", PAYLOADS, ids=str)
def test_the_bytes_are_those_that_were_kept(given: Payload) -> None:
    assert hashlib.sha256(given.body).hexdigest() == given.meta["sha256"]


@pytest.mark.parametrize("given", PAYLOADS, ids=str)
def test_it_comes_in_a_content_type_that_its_monitor_takes(given: Payload) -> None:
    assert given.meta["content_type"] in MONITORS[given.monitor].content_types


@pytest.mark.parametrize(("event", "alert"), pairs())
def test_the_texts_are_what_the_monitor_says(event: dict[str, Any], alert: ReadAlert) -> None:
    assert (alert.title, alert.description) == (value(event, "title"), value(event, "description") or "")


@pytest.mark.parametrize(("event", "alert"), pairs())
def test_the_status_is_what_the_monitor_says(event: dict[str, Any], alert: ReadAlert) -> None:
    assert alert.status == event["status"]


@pytest.mark.parametrize(("event", "alert"), [pair for pair in pairs() if "severity_native" in pair.values[0]])
def test_the_severity_is_the_monitors_own_word(event: dict[str, Any], alert: ReadAlert) -> None:
    assert alert.severity_word == value(event, "severity_native")


@pytest.mark.parametrize(("event", "alert"), pairs())
def test_the_time_is_the_end_of_what_has_ended_and_the_start_of_what_fires(
    event: dict[str, Any], alert: ReadAlert
) -> None:
    name = "resolved_time" if alert.status == "resolved" else "event_time"
    assert alert.occurred_at == datetime.fromisoformat(value(event, name))  # of nanoseconds, the microseconds


@pytest.mark.parametrize(("event", "alert"), [pair for pair in pairs() if "link" in pair.values[0]])
def test_the_first_link_leads_back(event: dict[str, Any], alert: ReadAlert) -> None:
    assert alert.links[0].href == value(event, "link")


@pytest.mark.parametrize(("event", "alert"), [pair for pair in pairs() if "resource" in pair.values[0]])
def test_the_resource_is_among_the_affected(event: dict[str, Any], alert: ReadAlert) -> None:
    assert value(event, "resource") in alert.affected_services


@pytest.mark.parametrize(("event", "alert"), pairs())
def test_the_labels_are_kept_as_they_are(event: dict[str, Any], alert: ReadAlert) -> None:
    assert alert.labels == value(event, "labels")


def test_one_identity_is_one_key_and_two_are_two() -> None:
    keys: dict[str, set[str | None]] = {}
    for given in PAYLOADS:
        for event, alert in zip(given.events, read(given), strict=True):
            identity = str([part["value"] for part in event["identity"]])
            keys.setdefault(identity, set()).add(alert.dedup_key)
    assert [len(found) for found in keys.values()] == [1] * len(keys)
    assert len(set.union(*keys.values()) - {None}) == len(keys)
