"""Alertmanager's webhook, and what sends the same form without keeping to it."""

from typing import Any

import msgspec
import pytest

from incident_manager.errors import MalformedRequest, ValidationFailed
from incident_manager.monitors.alertmanager import MONITOR
from incident_manager.monitors.base import ALERTS_LIMIT, Delivery, ReadAlert, Reading


def read(group: Any) -> Reading:
    return MONITOR.parse(Delivery(headers={}, body=msgspec.json.encode(group)))


def one(alert: dict[str, Any], **group: Any) -> ReadAlert:
    [found] = read({"alerts": [alert], **group}).alerts
    return found


def refusal(body: bytes) -> list[str]:
    with pytest.raises(ValidationFailed) as refused:
        MONITOR.parse(Delivery(headers={}, body=body))
    return [error.field for error in refused.value.errors]


@pytest.mark.parametrize(
    ("alert", "group", "title"),
    [
        ({"annotations": {"summary": "s", "title": "t"}, "labels": {"alertname": "n"}}, {}, "s"),
        ({"annotations": {"title": "t"}, "labels": {"alertname": "n"}}, {}, "t"),
        ({"annotations": {"summary": "  "}, "labels": {"alertname": "n"}}, {}, "n"),
        ({"labels": {"alertname": "n"}}, {"commonAnnotations": {"summary": "of all"}}, "n"),
        ({}, {"commonAnnotations": {"summary": "of all"}}, "of all"),
        ({}, {}, "Alertmanager alert"),
    ],
)
def test_the_title_is_the_alerts_own_word_first(alert: dict[str, Any], group: dict[str, Any], title: str) -> None:
    assert one(alert, **group).title == title


@pytest.mark.parametrize(
    ("alert", "group", "word"),
    [
        ({"labels": {"severity": "info"}, "annotations": {"severity": "page"}}, {}, "info"),
        ({"annotations": {"severity": "page"}}, {"commonLabels": {"severity": "critical"}}, "critical"),
        ({"annotations": {"severity": "page"}}, {"commonAnnotations": {"severity": "info"}}, "page"),
        ({}, {"commonAnnotations": {"severity": "info"}}, "info"),
        ({"labels": {"severity": ""}}, {}, None),
    ],
)
def test_the_severity_is_a_label_before_it_is_anything_else(
    alert: dict[str, Any], group: dict[str, Any], word: str | None
) -> None:
    assert one(alert, **group).severity_word == word


@pytest.mark.parametrize(
    ("alert", "group", "status"),
    [
        ("resolved", "firing", "resolved"),
        ("firing", "resolved", "firing"),
        (None, "resolved", "resolved"),
        ("", "firing", "firing"),
        ("Resolved ", None, "resolved"),
        (None, None, "firing"),
    ],
)
def test_the_status_is_the_alerts_own_and_else_the_groups(alert: str | None, group: str | None, status: str) -> None:
    assert one({"status": alert}, status=group).status == status


def test_an_identity_is_the_fingerprint_and_else_the_label_set_in_any_order() -> None:
    labels = {"alertname": "a", "instance": "b"}
    assert one({"fingerprint": "f", "labels": labels}).dedup_key == "f"
    by_labels = one({"labels": labels}).dedup_key
    assert by_labels == one({"labels": dict(reversed(labels.items()))}).dedup_key
    assert by_labels != one({"labels": {"alertname": "a", "instance": "c"}}).dedup_key


@pytest.mark.parametrize("labels", [{}, None, {"gone": None}])
def test_without_fingerprint_and_labels_there_is_no_identity_that_all_would_share(labels: Any) -> None:
    assert one({"labels": labels}).dedup_key is None


@pytest.mark.parametrize(
    "start", [None, "", "soon", 5, {}, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-01:00", "2026-03-01T12:00:00"]
)
def test_a_time_that_is_none_leaves_the_alert_without_one(start: Any) -> None:
    assert one({"startsAt": start}).occurred_at is None


def test_a_resolve_without_an_end_counts_from_its_receipt_not_from_the_start() -> None:
    start, zero = "2026-03-01T12:00:00Z", "0001-01-01T00:00:00Z"
    assert one({"status": "resolved", "startsAt": start, "endsAt": zero}).occurred_at is None


def test_values_that_are_no_texts_are_written_as_in_json_and_nulls_are_left_out() -> None:
    labels = {"a": 1, "b": 1.5, "c": True, "d": None, "e": ["x", {"y": 2}], "f": "text"}
    wanted = {"a": "1", "b": "1.5", "c": "true", "e": '["x",{"y":2}]', "f": "text"}
    alert = one({"labels": labels, "annotations": labels, "fingerprint": 7})
    assert (alert.labels, alert.annotations, alert.dedup_key) == (wanted, wanted, "7")


def test_what_go_writes_for_nothing_is_nothing() -> None:
    group = {"commonLabels": None, "commonAnnotations": None, "groupLabels": None, "externalURL": None}
    alert = one({"labels": None, "annotations": None, "generatorURL": None, "fingerprint": None}, **group)
    assert (alert.labels, alert.annotations, alert.links) == ({}, {}, ())


def test_fields_of_other_versions_and_senders_are_passed_over() -> None:
    alert = one({"silenceURL": "x", "values": {"B": 1}}, version=3, groupKey=2**64 - 1, orgId=1, vars={}, receiver=None)
    assert alert.status == "firing"


def test_the_links_are_the_rule_and_then_alertmanager() -> None:
    alert = one({"generatorURL": "http://prometheus/graph"}, externalURL="http://alertmanager")
    assert [link.href for link in alert.links] == ["http://prometheus/graph", "http://alertmanager"]


def test_service_and_place_are_affected_and_the_runbook_is_found() -> None:
    alert = one({"labels": {"app": "shop", "pod": "shop-1", "node": "n-7"}, "annotations": {"runbook": "http://r"}})
    assert (alert.affected_services, alert.runbook_url) == (("shop", "n-7"), "http://r")


@pytest.mark.parametrize("alerts", [[], None])
def test_a_group_without_alerts_says_so(alerts: Any) -> None:
    assert read({"alerts": alerts}) == Reading((), "the group holds no alert")


@pytest.mark.parametrize(("left_out", "told"), [(3, True), (0, False), (None, False), ("many", False)])
def test_alerts_that_the_sender_left_out_are_told(left_out: Any, told: bool) -> None:
    assert ("left out" in read({"alerts": [{}], "truncatedAlerts": left_out}).message) is told


def test_a_group_may_hold_more_alerts_than_fit_into_a_delivery() -> None:
    assert len(read({"alerts": [{}] * ALERTS_LIMIT}).alerts) == ALERTS_LIMIT
    assert refusal(msgspec.json.encode({"alerts": [{}] * (ALERTS_LIMIT + 1)})) == ["alerts"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{}", "alerts"),
        (b"[]", ""),
        (b'"alerts"', ""),
        (b"null", ""),
        (b'{"alerts": {}}', "alerts"),
        (b'{"alerts": [1]}', "alerts[0]"),
        (b'{"alerts": [null]}', "alerts[0]"),
        (b'{"alerts": [{"labels": []}]}', "alerts[0].labels"),
        (b'{"alerts": [{}, {"status": "pending"}]}', "alerts[1].status"),
        (b'{"alerts": [{}], "status": "ok"}', "status"),
    ],
)
def test_json_of_another_shape_is_refused_by_its_field(body: bytes, field: str) -> None:
    assert refusal(body) == [field]


@pytest.mark.parametrize("body", [b"", b"alerts", b'{"alerts": [', b'{"alerts": []} x', b'{"alerts": [NaN]}', b"\xff"])
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        MONITOR.parse(Delivery(headers={}, body=body))
