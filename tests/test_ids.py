"""Ids: fresh ones are of version 7 and ascend; what only looks like one is none."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from incident_manager.ids import first_id, new_id, read_id

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


def test_an_instant_has_a_first_id_that_stands_between_what_is_made_before_and_what_is_made_then() -> None:
    before, instant = new_id(), datetime.now(UTC) + timedelta(milliseconds=1)
    while datetime.now(UTC) < instant:
        pass
    assert before < first_id(instant) <= new_id()
    assert first_id(instant).version == 7


@pytest.mark.parametrize(("microsecond", "same"), [(999, True), (1_000, False)])
def test_the_first_id_is_that_of_the_millisecond(microsecond: int, same: bool) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    assert (first_id(start.replace(microsecond=microsecond)) == first_id(start)) is same


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
