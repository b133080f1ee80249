"""Alerts of anybody's own making, and their signatures."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from standardwebhooks.webhooks import Webhook

from incident_manager.errors import AuthenticationFailed, ValidationFailed
from incident_manager.monitors.base import Delivery, Reading
from incident_manager.monitors.generic import MONITOR

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RAW = b"example-secret-that-is-no-secret"
ENCODED = base64.b64encode(RAW).decode()
BODY = '{"title": "Hällo"}'


def read(body: Any, **headers: str) -> Reading:
    return MONITOR.parse(Delivery(headers=headers, body=msgspec.json.encode(body)))


def signed(key: bytes = RAW, at: datetime = NOW, body: str = BODY) -> dict[str, str]:
    """Sign as a sender's library would."""
    signature = Webhook(key).sign("msg_1", at, body)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
    }


def verify(headers: dict[str, str], body: bytes = BODY.encode(), secret: str = RAW.decode()) -> None:
    MONITOR.verify(Delivery(headers=headers, body=body), secret, NOW)


def test_every_field_but_source_is_read() -> None:
    given = {
        "title": "t",
        "description": "d",
        "severity": "Warning",
        "alert_type": "Security",
        "status": "acknowledged",
        "external_id": "e",
        "dedup_key": "k",
        "labels": {"a": "b"},
        "annotations": {"c": "d"},
        "affected_services": ["s"],
        "runbook_url": "http://r",
        "links": ["http://l", {"href": "http://m", "text": "m"}],
        "occurred_at": "2026-03-01T12:00:00Z",
    }
    [alert] = read(given).alerts
    assert (alert.links[0].href, alert.links[1].text) == ("http://l", "m")
    assert (alert.severity_word, alert.alert_type, alert.status) == ("Warning", "Security", "acknowledged")
    same = ("title", "description", "external_id", "dedup_key", "labels", "annotations", "runbook_url")
    assert {name: getattr(alert, name) for name in same} == {name: given[name] for name in same}
    assert (alert.affected_services, alert.occurred_at) == (("s",), NOW)


def test_an_array_is_as_many_alerts_in_its_order() -> None:
    assert [alert.title for alert in read([{"title": "a"}, {"title": "b"}]).alerts] == ["a", "b"]
    assert read([]) == Reading((), "the array is empty")


def test_what_it_does_not_know_it_passes_over() -> None:
    assert read({"title": "t", "source": "mine", "more": {"and": "more"}}).alerts[0].title == "t"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "title"),
        ({"title": ""}, "title"),
        ({"title": 5}, "title"),
        ([{"title": "t"}, {}], "[1].title"),
        ({"title": "t", "status": "ok"}, "status"),
        ({"title": "t", "alert_type": "Other"}, "alert_type"),
        ({"title": "t", "occurred_at": "2026-03-01T12:00:00"}, "occurred_at"),
        ([{"title": "t"}, {"title": "t", "occurred_at": "9999-12-31T23:59:59-01:00"}], "[1].occurred_at"),
        ({"title": "t", "labels": []}, "labels"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_field(body: Any, field: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        read(body)
    assert [error.field for error in refused.value.errors] == [field]


@pytest.mark.parametrize("secret", [f"whsec_{ENCODED}", ENCODED, RAW.decode()])
def test_a_signature_holds_however_the_secret_is_written(secret: str) -> None:
    verify(signed(), secret=secret)


def test_a_secret_that_only_begins_like_an_encoded_one_is_taken_as_it_is() -> None:
    secret = "whsec_this is no base64"
    verify(signed(secret.encode()), secret=secret)


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_a_signature_of_the_last_or_next_five_minutes_holds(seconds: int) -> None:
    verify(signed(at=NOW + timedelta(seconds=seconds)))


@pytest.mark.parametrize("seconds", [-301, 301, -86400])
def test_an_older_or_later_one_does_not(seconds: int) -> None:
    with pytest.raises(AuthenticationFailed, match="300 seconds"):
        verify(signed(at=NOW + timedelta(seconds=seconds)))


def test_while_the_secret_is_changed_one_of_two_signatures_is_enough() -> None:
    old, new = signed(b"the secret before"), signed()
    verify({**new, "webhook-signature": f"{old['webhook-signature']} v1a,AAAA {new['webhook-signature']}"})


def test_another_body_secret_id_or_time_breaks_the_signature() -> None:
    later = str(int(NOW.timestamp()) + 1)
    cases = [
        (signed(), BODY.encode() + b" "),
        (signed(), BODY.replace("llo", "llp").encode()),
        (signed(b"another secret"), BODY.encode()),
        (signed() | {"webhook-id": "msg_2"}, BODY.encode()),
        (signed() | {"webhook-timestamp": later}, BODY.encode()),
        (signed() | {"webhook-signature": ""}, BODY.encode()),
        (signed() | {"webhook-signature": "v1,\xff"}, BODY.encode()),
    ]
    for headers, body in cases:
        with pytest.raises(AuthenticationFailed, match="does not match"):
            verify(headers, body)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_no_signature(name: str) -> None:
    headers = signed()
    del headers[name]
    with pytest.raises(AuthenticationFailed):
        verify(headers)


@pytest.mark.parametrize("sent_at", ["now", "-5", "1e9", "", "9" * 12, "1.5", "\uff11\uff17"])
def test_a_time_that_is_no_number_of_seconds_is_none(sent_at: str) -> None:
    with pytest.raises(AuthenticationFailed, match="lacks"):
        verify(signed() | {"webhook-timestamp": sent_at})


def test_a_body_that_is_no_text_has_no_signature() -> None:
    with pytest.raises(AuthenticationFailed, match="UTF-8"):
        verify(signed(), b"\xff")


def test_the_message_id_is_what_a_delivery_is_known_by() -> None:
    assert read({"title": "t"}, **{"webhook-id": "msg_1"}).delivery_id == "msg_1"
    assert read({"title": "t"}).delivery_id == ""
