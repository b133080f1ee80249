"""Prometheus Alertmanager's webhook, version 4: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config.

Each alert of a group is an alert of its own, with its own status. Its identity is Alertmanager's fingerprint; senders
that leave that out (before 0.19, and other tools of the same format) are known by their label set. Version 3 reads the same.
Alertmanager gives a delivery no id: one that it sends again after an error cannot be told from a repeat, and counts as one.
"""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from incident_manager.errors import ValidationFailed
from incident_manager.monitors.base import (
    ALERTS_LIMIT,
    Delivery,
    Monitor,
    ReadAlert,
    Reading,
    instant,
    text_of,
    texts,
    verify_authorization,
)
from incident_manager.rules.dedup import AlertStatus
from incident_manager.schemas.base import Link
from incident_manager.schemas.decoding import decode

_TITLES: Final = ("summary", "title")
_DESCRIPTIONS: Final = ("description", "message")
_RUNBOOKS: Final = ("runbook_url", "runbook")
_SERVICES: Final = ("service", "app", "application")
_RESOURCES: Final = ("instance", "host", "hostname", "node", "pod")

# As Go writes maps and slices: null for those that are not there. Values are texts, except where a look-alike sends others.
_Pairs = dict[str, object] | None


class _Alert(msgspec.Struct, kw_only=True, rename="camel"):
    labels: _Pairs = None
    annotations: _Pairs = None
    status: str | None = None
    starts_at: object = None
    ends_at: object = None
    generator_url: object = msgspec.field(default=None, name="generatorURL")
    fingerprint: object = None


class _Group(msgspec.Struct, kw_only=True, rename="camel"):
    alerts: Annotated[list[_Alert], msgspec.Meta(max_length=ALERTS_LIMIT)] | None
    status: str | None = None
    common_labels: _Pairs = None
    common_annotations: _Pairs = None
    external_url: object = msgspec.field(default=None, name="externalURL")
    truncated_alerts: object = None


def parse(delivery: Delivery) -> Reading:
    """Read one webhook."""
    group = decode(delivery.body, _Group)
    alerts = tuple(_read(alert, place, group) for place, alert in enumerate(group.alerts or ()))
    return Reading(alerts, _message(group))


def setup(url: str) -> str:
    """Return the receiver to put into alertmanager.yml."""
    return (
        "receivers:\n"
        "  - name: incident-manager\n"
        "    webhook_configs:\n"
        f"      - url: {url}\n"
        "        send_resolved: true\n"
        "        # where the integration has a signing secret:\n"
        "        # http_config: {authorization: {credentials: the-signing-secret}}\n"
    )


def _read(alert: _Alert, place: int, group: _Group) -> ReadAlert:
    labels, annotations = texts(alert.labels), texts(alert.annotations)
    common_labels, common_annotations = texts(group.common_labels), texts(group.common_annotations)
    status = _status(alert, place, group)
    own_title = _first(annotations, _TITLES) or labels.get("alertname")
    return ReadAlert(
        title=own_title or _first(common_annotations, _TITLES) or "Alertmanager alert",
        description=_first(annotations, _DESCRIPTIONS) or "",
        severity_word=_severity(labels, common_labels, annotations, common_annotations),
        status=status,
        dedup_key=text_of(alert.fingerprint) or _label_set(labels),
        labels=labels,
        annotations=annotations,
        affected_services=tuple(filter(None, (_first(labels, _SERVICES), _first(labels, _RESOURCES)))),
        runbook_url=_first(annotations, _RUNBOOKS),
        links=_links(alert, group),
        occurred_at=instant(alert.ends_at if status is AlertStatus.RESOLVED else alert.starts_at),
    )


def _status(alert: _Alert, place: int, group: _Group) -> AlertStatus:
    """Return an alert's own status; the group's where it has none, for that is "firing" while any of its alerts fires."""
    word = (alert.status or group.status or AlertStatus.FIRING).strip().lower()
    if word not in {AlertStatus.FIRING, AlertStatus.RESOLVED}:
        field = f"alerts[{place}].status" if alert.status else "status"
        raise ValidationFailed.of(field, "must be firing or resolved")
    return AlertStatus(word)


def _severity(*places: Mapping[str, str]) -> str | None:
    return next((place["severity"] for place in places if place.get("severity", "").strip()), None)


def _message(group: _Group) -> str:
    left_out = group.truncated_alerts
    if isinstance(left_out, int) and left_out > 0:
        return f"{left_out} alerts of the group were left out by the sender: its max_alerts is too low"
    return "" if group.alerts else "the group holds no alert"


def _first(values: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((values[name] for name in names if values.get(name, "").strip()), None)


def _label_set(labels: Mapping[str, str]) -> str | None:
    """Return what a label set is known by; None for an empty one, which would make one problem of all that lack labels."""
    if not labels:
        return None
    return f"labels:{hashlib.sha256(msgspec.json.encode(sorted(labels.items()))).hexdigest()}"


def _links(alert: _Alert, group: _Group) -> tuple[Link, ...]:
    links = ((alert.generator_url, "Source of the alert"), (group.external_url, "Alertmanager"))
    return tuple(Link(href=text_of(href), text=text) for href, text in links if href)


MONITOR = Monitor(
    title="Prometheus Alertmanager (webhook, version 4)",
    content_types=("application/json",),
    parse=parse,
    verify=verify_authorization,  # Alertmanager does not sign; http_config.authorization or basic_auth carries the secret
    setup=setup,
    restates_start=True,
    identifies=True,
)
