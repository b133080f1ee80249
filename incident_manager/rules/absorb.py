"""What an incident takes from an alert that attaches to it: urgency only upwards, labels and services only added."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from incident_manager.rules.severity import Severity, more_urgent

LABELS_LIMIT: Final = 64
SERVICES_LIMIT: Final = 64


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The part of an incident, or of an alert, that is merged."""

    severity: Severity
    labels: Mapping[str, str]
    services: Sequence[str]


def absorb(incident: Facts, alert: Facts) -> Facts:
    """Return the incident's facts with the alert's in them.

    A label that the incident has keeps its value: a person may have set it. Beyond 64 labels or services further ones are
    left out; they stay on the alert. Where the alert adds nothing, as most repeats, the incident's facts are returned as given.
    """
    severity = more_urgent(incident.severity, alert.severity)
    if (
        severity is incident.severity
        and alert.labels.keys() <= incident.labels.keys()
        and set(incident.services).issuperset(alert.services)
    ):
        return incident
    labels = dict(incident.labels)
    for key, value in alert.labels.items():
        if key not in labels and len(labels) < LABELS_LIMIT:
            labels[key] = value
    services = list(incident.services)
    for name in alert.services:
        if name not in services and len(services) < SERVICES_LIMIT:
            services.append(name)
    return Facts(severity=severity, labels=labels, services=services)
