import pytest

from incident_manager.rules.access import Policy, Role, may


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (Role.ADMIN, {Policy.METRICS, Policy.INGEST, Policy.READ, Policy.ACT, Policy.ADMINISTER}),
        (Role.RESPONDER, {Policy.METRICS, Policy.INGEST, Policy.READ, Policy.ACT}),
        (Role.VIEWER, {Policy.METRICS, Policy.READ}),
        (Role.INGEST, {Policy.METRICS, Policy.INGEST}),
    ],
)
def test_what_each_role_may(role: Role, allowed: set[Policy]) -> None:
    assert {policy for policy in Policy if may(role, policy)} == allowed
