"""Prometheus Alertmanager's webhook, version 4: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config.

Each alert of a group is an alert of its own, with its own status. Its identity is Alertmanager's fingerprint; senders
that leave that out (before 0.19, and other tools of the same format) are known by their label set. Version 3 reads the same.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

import msgspec

from incident_manager.errors import ValidationFailed
from incident_manager.monitors.base import ALERTS_LIMIT, Delivery, Monitor, ReadAlert, Reading, verify_bearer
from incident_manager.rules.dedup import AlertStatus
from incident_manager.schemas.base import Link
from incident_manager.schemas.decoding import decode

_TITLES: Final = ("summary", "title")
_DESCRIPTIONS: Final = ("description", "message")
_RUNBOOKS: Final = ("runbook_url", "runbook")
_SERVICES: Final = ("service", "app", "application")
_RESOURCES: Final = ("instance", "host", "hostname", "node", "pod")
_ZERO_YEAR: Final = 1  # Go's zero time, 0001-01-01T00:00:00Z: "not ended"

Status = Literal["firing", "resolved"]


class _Alert(msgspec.Struct, kw_only=True, rename="camel"):
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    status: Status | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    generator_url: str = msgspec.field(default="", name="generatorURL")
    fingerprint: str = ""


class _Group(msgspec.Struct, kw_only=True, rename="camel"):
    alerts: list[_Alert]
    status: Status = "firing"
    receiver: str = ""
    common_labels: dict[str, str] = msgspec.field(default_factory=dict)
    external_url: str = msgspec.field(default="", name="externalURL")


def parse(delivery: Delivery) -> Reading:
    """Read one webhook."""
    group = decode(delivery.body, _Group)
    if len(group.alerts) > ALERTS_LIMIT:
        raise ValidationFailed.of("alerts", f"holds {len(group.alerts)} alerts; at most {ALERTS_LIMIT}: set max_alerts")
    return Reading(
        tuple(_read(alert, group) for alert in group.alerts),
        "" if group.alerts else "the group holds no alert",
    )


def setup(url: str) -> str:
    """Return the receiver to put into alertmanager.yml."""
    return f"receivers:\n  - name: incident-manager\n    webhook_configs:\n      - url: {url}\n        send_resolved: true\n"


def _read(alert: _Alert, group: _Group) -> ReadAlert:
    labels, annotations = alert.labels, alert.annotations
    resolved = (alert.status or group.status) == "resolved"
    ended = alert.ends_at if alert.ends_at and alert.ends_at.year > _ZERO_YEAR else None
    return ReadAlert(
        title=_first(annotations, _TITLES) or labels.get("alertname") or "Alertmanager alert",
        description=_first(annotations, _DESCRIPTIONS) or "",
        severity_word=labels.get("severity") or group.common_labels.get("severity"),
        status=AlertStatus.RESOLVED if resolved else AlertStatus.FIRING,
        dedup_key=alert.fingerprint or _label_set(labels),
        labels=labels,
        annotations=annotations,
        affected_services=tuple(filter(None, (_first(labels, _SERVICES), _first(labels, _RESOURCES)))),
        runbook_url=_first(annotations, _RUNBOOKS),
        links=_links(alert, group),
        occurred_at=_aware(ended if resolved else alert.starts_at),
    )


def _first(values: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((values[name] for name in names if values.get(name)), None)


def _label_set(labels: dict[str, str]) -> str:
    return f"labels:{hashlib.sha256(msgspec.json.encode(sorted(labels.items()))).hexdigest()}"


def _links(alert: _Alert, group: _Group) -> tuple[Link, ...]:
    links = ((alert.generator_url, "Source of the alert"), (group.external_url, "Alertmanager"))
    return tuple(Link(href=href, text=text) for href, text in links if href)


def _aware(moment: datetime | None) -> datetime | None:
    """Return a time that can order messages; one without a zone cannot."""
    return moment if moment is not None and moment.tzinfo is not None and moment.year > _ZERO_YEAR else None


MONITOR = Monitor(
    title="Prometheus Alertmanager (webhook, version 4)",
    content_types=("application/json",),
    parse=parse,
    verify=verify_bearer,  # Alertmanager does not sign; http_config.authorization or basic_auth carries the secret
    setup=setup,
    restates_start=True,
)
