import itertools

import pytest

from incident_manager.rules.lifecycle import ALLOWED, IncidentState, Step, acknowledge, is_active, move, reopen

S = IncidentState
STEPS = {
    (S.DETECTED, S.TRIAGED): Step.MOVED,
    (S.DETECTED, S.INVESTIGATING): Step.MOVED,
    (S.DETECTED, S.REMEDIATING): Step.MOVED,
    (S.DETECTED, S.RESOLVED): Step.RESOLVED,
    (S.TRIAGED, S.INVESTIGATING): Step.MOVED,
    (S.TRIAGED, S.REMEDIATING): Step.MOVED,
    (S.TRIAGED, S.RESOLVED): Step.RESOLVED,
    (S.INVESTIGATING, S.TRIAGED): Step.MOVED,
    (S.INVESTIGATING, S.REMEDIATING): Step.MOVED,
    (S.INVESTIGATING, S.RESOLVED): Step.RESOLVED,
    (S.REMEDIATING, S.INVESTIGATING): Step.MOVED,
    (S.REMEDIATING, S.RESOLVED): Step.RESOLVED,
    (S.RESOLVED, S.CLOSED): Step.CLOSED,
    (S.RESOLVED, S.INVESTIGATING): Step.REOPENED,
    (S.CLOSED, S.INVESTIGATING): Step.REOPENED,
}


@pytest.mark.parametrize(("present", "target"), list(itertools.product(S, S)))
def test_the_table_of_moves(present: IncidentState, target: IncidentState) -> None:
    wanted = Step.UNCHANGED if present is target else STEPS.get((present, target), Step.REFUSED)
    assert move(present, target).step is wanted


def test_a_refused_move_names_what_is_allowed() -> None:
    assert move(S.CLOSED, S.RESOLVED).allowed == ALLOWED[S.CLOSED] == (S.INVESTIGATING,)


@pytest.mark.parametrize(
    ("present", "step"),
    [
        (S.DETECTED, Step.MOVED),
        (S.TRIAGED, Step.UNCHANGED),
        (S.INVESTIGATING, Step.UNCHANGED),
        (S.REMEDIATING, Step.UNCHANGED),
        (S.RESOLVED, Step.REFUSED),
        (S.CLOSED, Step.REFUSED),
    ],
)
def test_an_acknowledgement_moves_only_what_was_just_detected(present: IncidentState, step: Step) -> None:
    assert acknowledge(present).step is step


def test_what_is_resolved_or_closed_is_not_active() -> None:
    assert [state for state in S if not is_active(state)] == [S.RESOLVED, S.CLOSED]


@pytest.mark.parametrize(
    ("present", "step"),
    [
        (S.DETECTED, Step.REFUSED),
        (S.TRIAGED, Step.REFUSED),
        (S.INVESTIGATING, Step.UNCHANGED),
        (S.REMEDIATING, Step.REFUSED),
        (S.RESOLVED, Step.REOPENED),
        (S.CLOSED, Step.REOPENED),
    ],
)
def test_only_what_has_ended_is_reopened(present: IncidentState, step: Step) -> None:
    assert reopen(present).step is step
