from hypothesis import given
from hypothesis import strategies as st

from incident_manager.rules.absorb import LABELS_LIMIT, SERVICES_LIMIT, Facts, absorb
from incident_manager.rules.severity import Severity

FACTS = st.builds(
    Facts,
    severity=st.sampled_from(Severity),
    labels=st.dictionaries(st.text(max_size=2), st.text(max_size=2), max_size=LABELS_LIMIT),
    services=st.lists(st.text(max_size=2), unique=True, max_size=SERVICES_LIMIT),
)


@given(FACTS, FACTS)
def test_urgency_only_rises_and_nothing_the_incident_has_is_lost(incident: Facts, alert: Facts) -> None:
    merged = absorb(incident, alert)
    assert merged.severity == min(incident.severity, alert.severity)
    assert incident.labels.items() <= merged.labels.items()
    assert list(merged.services[: len(incident.services)]) == list(incident.services)


@given(FACTS, FACTS)
def test_absorbing_twice_is_absorbing_once_and_limits_hold(incident: Facts, alert: Facts) -> None:
    once = absorb(incident, alert)
    assert absorb(once, alert) == once
    assert len(once.labels) <= LABELS_LIMIT
    assert len(once.services) <= SERVICES_LIMIT


def test_a_label_that_is_there_keeps_its_value() -> None:
    incident = Facts(severity=Severity.P2, labels={"env": "prod"}, services=["db"])
    alert = Facts(severity=Severity.P3, labels={"env": "dev", "zone": "a"}, services=["api", "db"])
    assert absorb(incident, alert) == Facts(
        severity=Severity.P2, labels={"env": "prod", "zone": "a"}, services=["db", "api"]
    )
