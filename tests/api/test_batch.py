"""Many alerts in one request: one result an item, in order; a bad item fails alone."""

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from tests import make
from tests.world import World

BAD: dict[str, tuple[Any, str]] = {
    "a text that is too long": (make.alert(title="x" * 501), "title"),
    "an unknown field": (make.alert(colour="red"), "colour"),
    "no source": ({"title": "t"}, "source"),
    "no object": (7, ""),
    "a label that is no text": (make.alert(labels={"a": 1}), "labels[]"),
}


async def batch(world: World, items: list[Any], **headers: str) -> dict[str, Any]:
    response = await world.http.post("/v1/alerts/batch", json=items, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


async def test_each_item_is_answered_as_if_it_came_alone(world: World) -> None:
    keys = ["a", "b", "a"]
    answer = await batch(world, [make.alert(dedup_key=key) for key in keys])
    assert answer["accepted"] == 3
    told = [(one["status"], one["incident_number"], one["occurrences"], one["errors"]) for one in answer["results"]]
    assert told == [("Accepted", 1, 1, None), ("Accepted", 2, 1, None), ("Duplicate", 1, 2, None)]
    assert (await world.get(f"/v1/alerts/{answer['results'][2]['alert_id']}"))["reason"] == "while_open"


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_item_is_rejected_by_its_field_and_the_others_are_stored(world: World, name: str) -> None:
    item, field = BAD[name]
    answer = await batch(world, [make.alert(dedup_key="a"), item, make.alert(dedup_key="b")])
    first, second, third = answer["results"]
    assert (answer["accepted"], first["status"], third["status"]) == (2, "Accepted", "Accepted")
    assert (second["status"], second["alert_id"], second["errors"][0]["field"]) == ("Rejected", None, field)
    assert len(await world.incidents()) == 2


async def test_nothing_but_bad_items_is_an_answer_too(world: World) -> None:
    assert (await batch(world, [1, 2]))["accepted"] == 0


@pytest.mark.parametrize("count", [0, 1_001])
async def test_how_many_there_may_be(world: World, count: int) -> None:
    problem = await world.post("/v1/alerts/batch", [{"title": "t", "source": "s"}] * count, status=422)
    assert f"got {count:,}" in problem["errors"][0]["message"]


async def test_a_thousand_are_one_commit(world: World) -> None:
    before = _committed(world)
    answer = await batch(world, [{"title": "t", "source": "s", "dedup_key": str(number)} for number in range(1_000)])
    assert answer["accepted"] == 1_000
    assert [one["incident_number"] for one in answer["results"]] == list(range(1, 1_001))
    assert _committed(world) - before == 1


async def test_a_batch_that_comes_again_under_its_key_gets_its_first_answers(world: World) -> None:
    items = [make.alert(dedup_key="a"), 7, make.alert(dedup_key="b")]
    answers = [await batch(world, items, **{"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0] == answers[1]
    other = await world.http.post("/v1/alerts/batch", json=items[:2], headers={"Idempotency-Key": "k"})
    assert other.status_code == 422


async def test_shuffled_batches_at_once_neither_deadlock_nor_double_anything(world: World) -> None:
    orders = [random.Random(seed).sample(range(100), 100) for seed in range(8)]
    bodies = [[make.alert(dedup_key=str(key)) for key in order] for order in orders]
    answers = await asyncio.gather(*(batch(world, body) for body in bodies))
    statuses = Counter(one["status"] for answer in answers for one in answer["results"])
    assert statuses == {"Accepted": 100, "Duplicate": 700}
    assert {one["occurrences"] for one in await world.incidents(page_size=100)} == {8}


def _committed(world: World) -> float:
    return world.parts.telemetry.registry.get_sample_value("incident_manager_intake_batch_alerts_count") or 0.0
