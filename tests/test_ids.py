"""Ids: fresh ones are of version 7 and ascend; what only looks like one is none."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID

import pytest

from incident_manager.ids import new_id, read_id

CANONICAL = "019a0000-0000-7000-8000-00000000000a"


def test_fresh_ids_are_of_version_seven_and_ascend() -> None:
    made = [new_id() for _ in range(1_000)]
    assert {one.version for one in made} == {7}
    assert all(one < other for one, other in itertools.pairwise(made))


def test_a_fresh_id_is_of_the_standard_librarys_type_and_holds_its_millisecond() -> None:
    before = datetime.now(UTC).timestamp() * 1000 // 1
    made = new_id()
    assert type(made) is UUID
    assert before <= made.int >> 80 <= datetime.now(UTC).timestamp() * 1000


def test_ids_made_in_several_threads_are_different() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: new_id(), range(10_000)))
    assert len(set(made)) == len(made)


@pytest.mark.parametrize("text", [CANONICAL, CANONICAL.upper(), CANONICAL.replace("-", "")])
def test_an_id_is_read_in_its_standard_forms(text: str) -> None:
    assert str(read_id(text)) == CANONICAL


@pytest.mark.parametrize(
    "text", ["", "7", f"{{{CANONICAL}}}", f"urn:uuid:{CANONICAL}", CANONICAL.replace("-", "_"), "a_" * 15 + "aa"]
)
def test_nothing_else_is_an_id(text: str) -> None:
    assert read_id(text) is None
