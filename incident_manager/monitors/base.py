"""What a monitor is, and what all of them share: reading foreign values, and bringing them within this service's limits."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import msgspec

from incident_manager.errors import AuthenticationFailed
from incident_manager.rules.dedup import AlertStatus
from incident_manager.rules.incident_type import IncidentType
from incident_manager.rules.severity import Severity, from_foreign
from incident_manager.schemas.alerts import AlertFields
from incident_manager.schemas.base import (
    DEDUP_KEY_LIMIT,
    HTTP_URL,
    LABEL_KEY_LIMIT,
    LABEL_VALUE_LIMIT,
    LABELS_LIMIT,
    LINKS_LIMIT,
    NAME_LIMIT,
    SERVICES_LIMIT,
    TEXT_LIMIT,
    TITLE_LIMIT,
    URL_LIMIT,
    Link,
)

# More than fit into a delivery's 1 MiB in the leanest form that a real monitor sends: it stops `[{}, {}, ...]`, never a storm.
ALERTS_LIMIT: Final = 10_000
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_HTTP_URL: Final = re.compile(HTTP_URL)
_ZERO_YEAR: Final = 1  # Go's zero time, 0001-01-01T00:00:00Z: "none"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a monitor sent: header names in lower case, the body byte for byte."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAlert:
    """An alert as a monitor's file reads it: texts of any length, the tool's own word for its severity."""

    title: str
    description: str = ""
    severity_word: str | None = None
    alert_type: IncidentType = IncidentType.UNKNOWN
    status: AlertStatus = AlertStatus.FIRING
    external_id: str | None = None
    dedup_key: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    affected_services: tuple[str, ...] = ()
    runbook_url: str | None = None
    links: tuple[Link, ...] = ()
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """The alerts in a delivery, in its order; `message` says why there are none, or what else its sender should know.

    `delivery_id` is what the monitor gives a delivery to know it by when it sends it again; empty where it gives none.
    """

    alerts: tuple[ReadAlert, ...]
    message: str = ""
    delivery_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """A tool that posts alerts.

    `parse` raises MalformedRequest or ValidationFailed for what it cannot read. `verify` is called where the integration has a
    signing secret, and raises AuthenticationFailed. `setup` returns what to paste on the other side, given the address.
    `restates_start`: see rules/dedup.Report. `identifies`: every alert has an identity of its own, so no window counts for it.
    """

    title: str
    content_types: tuple[str, ...]
    parse: Callable[[Delivery], Reading]
    verify: Callable[[Delivery, str, datetime], None]
    setup: Callable[[str], str]
    restates_start: bool = False
    identifies: bool = False


class Fitting:
    """Brings one delivery's alerts within limits; `cuts` counts what had to be shortened, replaced or left out."""

    def __init__(self, severity_map: Mapping[str, Severity], labels: Mapping[str, str]) -> None:
        self._severity_map: Final = severity_map
        self._labels: Final = labels
        self.cuts = 0

    def fit(self, read: ReadAlert) -> AlertFields:
        """Return an alert that this service takes. The integration's own labels come first and win."""
        return AlertFields(
            title=self._text(read.title.strip() or "(no title)", TITLE_LIMIT),
            description=self._text(read.description, TEXT_LIMIT),
            severity=from_foreign(read.severity_word, self._severity_map),
            alert_type=read.alert_type,
            status=read.status,
            external_id=self._identity(read.external_id, NAME_LIMIT),
            dedup_key=self._identity(read.dedup_key, DEDUP_KEY_LIMIT),
            labels=self._pairs({**self._labels, **{k: v for k, v in read.labels.items() if k not in self._labels}}),
            annotations=self._pairs(read.annotations),
            affected_services=self._services(read.affected_services),
            runbook_url=self._url(read.runbook_url),
            links=self._links(read.links),
            occurred_at=read.occurred_at,
        )

    def _text(self, text: str, limit: int) -> str:
        return self._counted(text, text.replace("\x00", "\ufffd")[:limit])

    def _line(self, text: str, limit: int) -> str:
        return self._counted(text, _CONTROL.sub(" ", text)[:limit])

    def _identity(self, text: str | None, limit: int) -> str | None:
        """Shorten what names a thing so that no two names become one: what is cut off stays as a digest."""
        if not text or len(text) <= limit:
            return self._text(text, limit) if text else None
        digest = hashlib.sha256(text.encode()).hexdigest()
        return self._counted(text, f"{text[: limit - len(digest) - 1]}:{digest}".replace("\x00", "\ufffd"))

    def _counted(self, before: str, after: str) -> str:
        self.cuts += before != after
        return after

    def _pairs(self, pairs: Mapping[str, str]) -> dict[str, str]:
        named = [(key, value) for key, value in pairs.items() if key]
        kept = {
            self._line(key, LABEL_KEY_LIMIT): self._line(value, LABEL_VALUE_LIMIT)
            for key, value in named[:LABELS_LIMIT]
        }
        self.cuts += len(pairs) - len(kept)
        return kept

    def _services(self, names: tuple[str, ...]) -> list[str]:
        kept = list(dict.fromkeys(self._text(name, NAME_LIMIT) for name in names if name))
        self.cuts += max(0, len(kept) - SERVICES_LIMIT)
        return kept[:SERVICES_LIMIT]

    def _url(self, url: str | None) -> str | None:
        if not url:
            return None
        if len(url) <= URL_LIMIT and _HTTP_URL.match(url):
            return url
        self.cuts += 1  # cut short it would lead elsewhere; of another scheme it could run a script
        return None

    def _links(self, links: tuple[Link, ...]) -> list[Link | str]:
        kept: list[Link | str] = [
            Link(href=link.href, text=self._text(link.text, NAME_LIMIT) if link.text else None)
            for link in links
            if self._url(link.href)
        ]
        self.cuts += max(0, len(kept) - LINKS_LIMIT)
        return kept[:LINKS_LIMIT]


def text_of(value: object) -> str:
    """Return a JSON value as text: a text as it is, null as none, anything else as it is written in JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def texts(pairs: Mapping[str, object] | None) -> dict[str, str]:
    """Return named values as texts, for labels whose sender does not keep to texts; null is as good as left out."""
    return {name: text_of(value) for name, value in (pairs or {}).items() if value is not None}


def instant(value: object) -> datetime | None:
    """Return a time that can order messages: ISO 8601 with a zone, cut to microseconds, in UTC; None for anything else.

    So for Go's zero time, too. An alert whose time cannot be read is an alert all the same: it counts from its receipt.
    """
    try:
        moment = datetime.fromisoformat(text_of(value))
        return moment.astimezone(UTC) if moment.tzinfo is not None and moment.year > _ZERO_YEAR else None
    except (ValueError, OverflowError):
        return None


def verify_authorization(delivery: Delivery, secret: str, _now: datetime) -> None:
    """Check a secret sent in the Authorization header: as a bearer token, or as the password of RFC 7617's basic scheme.

    Raises AuthenticationFailed.
    """
    scheme, _, credentials = delivery.headers.get("authorization", "").partition(" ")
    given = credentials.strip().encode("latin-1", "replace")  # the bytes as they came: ASGI reads headers as Latin-1
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).partition(b":")[2]
        except binascii.Error as error:
            raise AuthenticationFailed("the delivery's Authorization header cannot be read") from error
    elif scheme.lower() != "bearer":
        raise AuthenticationFailed("the delivery lacks the Authorization header with the signing secret")
    if not hmac.compare_digest(given, secret.encode()):
        raise AuthenticationFailed("the delivery's Authorization header does not hold the signing secret")
