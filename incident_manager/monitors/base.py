"""What a monitor is, and what all of them share: bringing foreign texts within this service's limits."""

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

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

ALERTS_LIMIT: Final = 1_000
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_HTTP_URL: Final = re.compile(HTTP_URL)


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
    """The alerts in a delivery, in its order, or why there are none."""

    alerts: tuple[ReadAlert, ...]
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """A tool that posts alerts.

    `parse` raises MalformedRequest or ValidationFailed for what it cannot read. `verify` is called where the integration has a
    signing secret, and raises AuthenticationFailed. `setup` returns what to paste on the other side, given the address.
    `restates_start`: see rules/dedup.Report.
    """

    title: str
    content_types: tuple[str, ...]
    parse: Callable[[Delivery], Reading]
    verify: Callable[[Delivery, str, datetime], None]
    setup: Callable[[str], str]
    restates_start: bool = False


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
            external_id=self._text(read.external_id, NAME_LIMIT) if read.external_id else None,
            dedup_key=self._text(read.dedup_key, DEDUP_KEY_LIMIT) if read.dedup_key else None,
            labels=self._pairs({**self._labels, **{k: v for k, v in read.labels.items() if k not in self._labels}}),
            annotations=self._pairs(read.annotations),
            affected_services=self._services(read.affected_services),
            runbook_url=self._url(read.runbook_url),
            links=self._links(read.links),
            occurred_at=read.occurred_at,
        )

    def _text(self, text: str, limit: int) -> str:
        clean = text.replace("\x00", "\ufffd")[:limit]
        self.cuts += clean != text
        return clean

    def _line(self, text: str, limit: int) -> str:
        return self._text(_CONTROL.sub(" ", text), limit)

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
        kept: list[Link | str] = [link for link in links if self._url(link.href)]
        return kept[:LINKS_LIMIT]


def verify_bearer(delivery: Delivery, secret: str, _now: datetime) -> None:
    """Check a secret sent in the Authorization header: as a bearer token, or as the password of RFC 7617's basic scheme.

    Raises AuthenticationFailed.
    """
    scheme, _, given = delivery.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError) as error:
            raise AuthenticationFailed("the delivery's Authorization header cannot be read") from error
    elif scheme.lower() != "bearer":
        raise AuthenticationFailed("the delivery lacks the Authorization header with the signing secret")
    if not hmac.compare_digest(given.strip().encode(), secret.encode()):
        raise AuthenticationFailed("the delivery's Authorization header does not hold the signing secret")
