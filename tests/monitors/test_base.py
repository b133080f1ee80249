"""Foreign texts brought within limits, and a secret in the Authorization header."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from incident_manager.errors import AuthenticationFailed
from incident_manager.monitors.base import Delivery, Fitting, ReadAlert, verify_authorization
from incident_manager.rules.severity import Severity
from incident_manager.schemas.alerts import AlertFields
from incident_manager.schemas.base import Link

SECRET = "the-signing-sécret"


def fitted(title: str = "t", **fields: Any) -> tuple[AlertFields, int]:
    fitting = Fitting({}, {})
    return fitting.fit(ReadAlert(title=title, **fields)), fitting.cuts


@pytest.mark.parametrize(
    ("field", "given", "kept", "cuts"),
    [
        ("title", "x" * 500, "x" * 500, 0),
        ("title", "x" * 501, "x" * 500, 1),
        ("title", " \n ", "(no title)", 0),
        ("title", "a\x00b", "a\ufffdb", 1),
        ("description", "x" * 32768, "x" * 32768, 0),
        ("description", "x" * 32769, "x" * 32768, 1),
        ("description", "two\nlines", "two\nlines", 0),
        ("labels", {"k" * 128: "v" * 1024}, {"k" * 128: "v" * 1024}, 0),
        ("labels", {"k" * 129: "v" * 1025}, {"k" * 128: "v" * 1024}, 2),
        ("labels", {"a": "b\nc", "d\x1be": "f"}, {"a": "b c", "d e": "f"}, 2),
        ("labels", {"": "no name"}, {}, 1),
        ("labels", {"k" * 128 + "1": "a", "k" * 128 + "2": "b"}, {"k" * 128: "b"}, 3),
        ("annotations", {"a": "b\x00c"}, {"a": "b c"}, 1),
        ("affected_services", ("a", "", "a", "b" * 256), ["a", "b" * 255], 1),
        ("runbook_url", "https://r", "https://r", 0),
        ("runbook_url", "javascript:alert(1)", None, 1),
        ("runbook_url", "see the wiki", None, 1),
        ("runbook_url", "http://r/" + "x" * 2040, None, 1),
        ("runbook_url", "", None, 0),
        ("dedup_key", "", None, 0),
        ("external_id", "e", "e", 0),
    ],
)
def test_a_text_is_kept_or_cut_and_counted(field: str, given: Any, kept: Any, cuts: int) -> None:
    alert, counted = fitted(**{field: given})
    assert (getattr(alert, field), counted) == (kept, cuts)


@pytest.mark.parametrize(("field", "limit"), [("labels", 64), ("annotations", 64)])
def test_labels_beyond_64_are_left_out_and_counted(field: str, limit: int) -> None:
    alert, cuts = fitted(**{field: {f"l{number:03}": "v" for number in range(limit + 6)}})
    assert (list(getattr(alert, field)), cuts) == ([f"l{number:03}" for number in range(limit)], 6)


def test_services_and_links_beyond_64_are_left_out_and_counted() -> None:
    services = tuple(f"s{number}" for number in range(65))
    alert, cuts = fitted(affected_services=services, links=tuple(Link(href=f"http://{name}") for name in services))
    assert (len(alert.affected_services), len(alert.links), cuts) == (64, 64, 2)


def test_a_link_that_is_none_is_left_out_and_its_words_are_cut() -> None:
    links = (Link(href="/graph"), Link(href="http://l", text="x" * 256))
    alert, cuts = fitted(links=links)
    assert (alert.links, cuts) == ([Link(href="http://l", text="x" * 255)], 2)


@pytest.mark.parametrize(("field", "limit"), [("dedup_key", 512), ("external_id", 255)])
def test_names_that_differ_only_behind_the_limit_stay_different(field: str, limit: int) -> None:
    whole = "x" * limit
    kept = [getattr(fitted(**{field: text})[0], field) for text in (whole, f"{whole}a", f"{whole}b")]
    assert kept[0] == whole
    assert len(set(kept)) == 3
    assert {len(text) for text in kept} == {limit}


def test_the_integrations_labels_come_first_and_win() -> None:
    fitting = Fitting({}, {"team": "web"})
    labels = {f"l{number}": "v" for number in range(64)} | {"team": "other"}
    alert = fitting.fit(ReadAlert(title="t", labels=labels))
    assert (alert.labels["team"], len(alert.labels), fitting.cuts) == ("web", 64, 1)


def test_the_integrations_severities_win() -> None:
    fitting = Fitting({"Critical": Severity.P2}, {})
    words = ("critical", "warning", "page", None)
    severities = [fitting.fit(ReadAlert(title="t", severity_word=word)).severity for word in words]
    assert severities == ["P2", "P2", "P0", "P3"]


def header(value: str | bytes | None) -> Delivery:
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return Delivery(headers={} if text is None else {"authorization": text}, body=b"")


def basic(credentials: str) -> bytes:
    return b"Basic " + base64.b64encode(credentials.encode())


@pytest.mark.parametrize(
    "value", [f"Bearer {SECRET}".encode(), f"bearer  {SECRET}".encode(), basic(f"user:{SECRET}"), basic(f":{SECRET}")]
)
def test_the_secret_is_taken_as_bearer_token_or_as_basic_password(value: bytes) -> None:
    verify_authorization(header(value), SECRET, datetime.now(UTC))


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        SECRET.encode(),
        "Bearer",
        "Bearer another-secret",
        f"Bearer {SECRET}x".encode(),
        f"Digest {SECRET}".encode(),
        basic(f"{SECRET}:"),
        basic(SECRET),
        "Basic %%%",
        "Basic YQ",
    ],
)
def test_anything_else_is_refused(value: str | bytes | None) -> None:
    with pytest.raises(AuthenticationFailed):
        verify_authorization(header(value), SECRET, datetime.now(UTC))
