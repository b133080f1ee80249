"""Anything that can post JSON: the fields of `POST /v1/alerts` but `source`, one object or an array of them.

What it does not know it passes over, so that a tool may send its whole event. With a signing secret, deliveries are signed as
Standard Webhooks has it: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
"""

import base64
import hmac
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import msgspec
from msgspec import Meta
from standardwebhooks.webhooks import Webhook

from incident_manager.errors import AuthenticationFailed
from incident_manager.monitors.base import ALERTS_LIMIT, Delivery, Monitor, ReadAlert, Reading
from incident_manager.rules.dedup import AlertStatus
from incident_manager.rules.incident_type import IncidentType
from incident_manager.schemas.base import Instant, Link, in_utc
from incident_manager.schemas.decoding import decode

MESSAGE_ID: Final = "webhook-id"
TOLERANCE: Final = timedelta(seconds=300)
_TIMESTAMP: Final = re.compile(r"[0-9]{1,11}")


class _Link(msgspec.Struct, kw_only=True):
    href: str
    text: str | None = None


class _Alert(msgspec.Struct, kw_only=True):
    title: Annotated[str, Meta(min_length=1)]
    description: str = ""
    severity: str | None = None
    alert_type: IncidentType = IncidentType.UNKNOWN
    status: AlertStatus = AlertStatus.FIRING
    external_id: str | None = None
    dedup_key: str | None = None
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    affected_services: list[str] = msgspec.field(default_factory=list)
    runbook_url: str | None = None
    links: list[_Link | str] = msgspec.field(default_factory=list)
    occurred_at: Instant | None = None

    def __post_init__(self) -> None:
        in_utc(self, "occurred_at")


_Alerts = Annotated[list[_Alert], Meta(max_length=ALERTS_LIMIT)]


def parse(delivery: Delivery) -> Reading:
    """Read one alert or an array of them."""
    many = delivery.body.lstrip().startswith(b"[")
    alerts = decode(delivery.body, _Alerts) if many else [decode(delivery.body, _Alert)]
    return Reading(
        tuple(_read(alert) for alert in alerts),
        "" if alerts else "the array is empty",
        delivery.headers.get(MESSAGE_ID, ""),
    )


def setup(url: str) -> str:
    """Return a command that sends a first alert."""
    return (
        f'curl -X POST {url} -H \'Content-Type: application/json\' -d \'{{"title": "Hello", "severity": "warning"}}\'\n'
    )


def verify(delivery: Delivery, secret: str, now: datetime) -> None:
    """Check a Standard Webhooks signature over the exact bytes, made at most five minutes before or after `now`.

    The library computes the signature; the time is compared here, because the library would ask the machine for it.
    Raises AuthenticationFailed.
    """
    sent_at, message_id = delivery.headers.get("webhook-timestamp", ""), delivery.headers.get(MESSAGE_ID, "")
    if not message_id or not _TIMESTAMP.fullmatch(sent_at):
        raise AuthenticationFailed("the delivery lacks webhook-id, webhook-timestamp or webhook-signature")
    moment = datetime.fromtimestamp(int(sent_at), UTC)
    if abs(now - moment) > TOLERANCE:
        raise AuthenticationFailed("the delivery's webhook-timestamp is more than 300 seconds from now")
    body = _text(delivery.body)
    given = [signature.encode() for signature in delivery.headers.get("webhook-signature", "").split(" ")]
    expected = [Webhook(key).sign(message_id, moment, body).encode() for key in _keys(secret)]
    if not any(hmac.compare_digest(one, other) for one in expected for other in given):
        raise AuthenticationFailed("the delivery's signature does not match")


def _keys(secret: str) -> Iterator[bytes]:
    """Yield the bytes that a secret may stand for: itself, or base64 with or without `whsec_`, as senders' libraries do."""
    yield secret.encode()
    try:
        decoded = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        return
    if decoded:
        yield decoded


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise AuthenticationFailed("the delivery is not UTF-8, so its signature cannot be checked") from error


def _read(alert: _Alert) -> ReadAlert:
    links = tuple(
        Link(href=link) if isinstance(link, str) else Link(href=link.href, text=link.text) for link in alert.links
    )
    return ReadAlert(
        title=alert.title,
        description=alert.description,
        severity_word=alert.severity,
        alert_type=alert.alert_type,
        status=alert.status,
        external_id=alert.external_id,
        dedup_key=alert.dedup_key,
        labels=alert.labels,
        annotations=alert.annotations,
        affected_services=tuple(alert.affected_services),
        runbook_url=alert.runbook_url,
        links=links,
        occurred_at=alert.occurred_at,
    )


MONITOR = Monitor(
    title="Generic JSON",
    content_types=("application/json",),
    parse=parse,
    verify=verify,
    setup=setup,
)
