"""Ids: fresh ones are of version 7 and ascend; what only looks like one is none."""

import itertools

import pytest

from incident_manager.ids import new_id, read_id

CANONICAL = "019a0000-0000-7000-8000-00000000000a"


def test_fresh_ids_are_of_version_seven_and_ascend() -> None:
    made = [new_id() for _ in range(1_000)]
    assert {one.version for one in made} == {7}
    assert all(one < other for one, other in itertools.pairwise(made))


@pytest.mark.parametrize("text", [CANONICAL, CANONICAL.upper(), CANONICAL.replace("-", "")])
def test_an_id_is_read_in_its_standard_forms(text: str) -> None:
    assert str(read_id(text)) == CANONICAL


@pytest.mark.parametrize(
    "text", ["", "7", f"{{{CANONICAL}}}", f"urn:uuid:{CANONICAL}", CANONICAL.replace("-", "_"), "a_" * 15 + "aa"]
)
def test_nothing_else_is_an_id(text: str) -> None:
    assert read_id(text) is None
