"""An incident's alerts as a chain: whatever attaches, merges and splits, it holds them all, newest first, and nothing else."""

import asyncio
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import make
from tests.flows.tables import rows
from tests.world import World

Step = tuple[Any, ...]

PLACE = st.integers(0, 9)  # of an incident or an alert among those there are by then
STATUS = st.sampled_from(["firing"] * 4 + ["resolved", "acknowledged"])
STEP = st.one_of(
    st.tuples(st.just("deliver"), st.lists(st.tuples(st.sampled_from("abc"), STATUS), min_size=1, max_size=8)),
    st.tuples(st.just("merge"), PLACE, PLACE),
    st.tuples(st.just("split"), PLACE, st.lists(PLACE, min_size=1, max_size=4)),
)
NUMBERS = count()


async def everything(world: World) -> list[tuple[str, str]]:
    found = await rows(world.parts.database, "SELECT id, incident_id FROM alerts ORDER BY id DESC")
    return [(str(row.id).replace("-", ""), str(row.incident_id).replace("-", "")) for row in found]


async def listed(world: World, incident: object, *, page_size: int = 100, cursor: str | None = None) -> list[str]:
    """Return the alerts that are read of an incident, page by page."""
    query: dict[str, Any] = {"cursor": cursor} if cursor else {}
    page = await world.get(f"/v1/incidents/{incident}/alerts", page_size=page_size, **query)
    found = [plain(alert["id"]) for alert in page["alerts"]]
    assert len(found) <= page_size
    if page["next_cursor"]:
        assert len(found) == page_size
        found += await listed(world, incident, page_size=page_size, cursor=page["next_cursor"])
    return found


def plain(alert_id: str) -> str:
    return alert_id.replace("-", "")


def newest_first(*answers: dict[str, Any]) -> list[str]:
    return sorted((plain(answer["alert_id"]) for answer in answers), reverse=True)


async def alerts(world: World, keys: str) -> list[dict[str, Any]]:
    """Post an alert of each key."""
    return [await world.alert(dedup_key=key) for key in keys]


async def merge(world: World, number: int, into: int) -> None:
    await world.post(f"/v1/incidents/{number}/merge", {"into": into})


async def split(world: World, number: int, *answers: dict[str, Any]) -> int:
    made = await world.post(f"/v1/incidents/{number}/split", {"alert_ids": [one["alert_id"] for one in answers]})
    new: int = made["number"]
    return new


async def delete(world: World, *answers: dict[str, Any]) -> None:
    """Delete alerts as pruning does: nothing else is changed."""
    ids = ", ".join(f"'{plain(answer['alert_id'])}'" for answer in answers)
    async with world.parts.database.engine.begin() as connection:
        await connection.execute(sa.text(f"DELETE FROM alerts WHERE id IN ({ids})"))


# --- any story ------------------------------------------------------------------------------------------------------------


async def take(world: World, address: str, prefix: str, step: Step, incidents: list[str]) -> None:
    """Take a step of a story with the incidents that there are by then, and add those that it opens."""
    match step:
        case "deliver", messages:
            body = [{"title": key, "dedup_key": prefix + key, "status": status} for key, status in messages]
            results = (await world.post(address, body))["results"]
            found = [result["incident_id"] for result in results]
        case "merge", one, other if incidents:
            one, other = (incidents[place % len(incidents)] for place in (one, other))
            found = [(await asked(world, f"{one}/merge", {"into": other})).get("id")]
        case "split", one, places if incidents:
            one = incidents[one % len(incidents)]
            there = (await listed(world, one)) or ["0" * 32]
            chosen = list({there[place % len(there)] for place in places})
            found = [(await asked(world, f"{one}/split", {"alert_ids": chosen})).get("id")]
        case _:
            return
    incidents.extend(dict.fromkeys(name for name in found if name and name not in incidents))


async def asked(world: World, path: str, body: object) -> dict[str, Any]:
    """Ask for what may be refused, which changes nothing."""
    response = await world.http.post(f"/v1/incidents/{path}", json=body)
    assert response.status_code in {200, 404, 409, 422}, response.text
    answer: dict[str, Any] = response.json()
    return answer


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, min_size=3, max_size=10), page_size=st.integers(1, 4))
async def test_after_any_story_it_lists_what_is_the_incidents_and_nothing_else(
    world: World, steps: list[Step], page_size: int
) -> None:
    name, incidents = f"story-{next(NUMBERS)}-", list[str]()
    made = await world.post("/v1/integrations", {"name": name, "monitor": "generic"}, status=201)
    for step in steps:
        await take(world, f"/v1/integrations/generic/{made['key']}", name, step, incidents)
    rest = await everything(world)
    for incident in incidents:
        mine = [alert for alert, owner in rest if owner == plain(incident)]
        assert await listed(world, incident, page_size=page_size) == mine


async def test_alerts_that_come_at_once_beside_a_merge_are_all_in_one_chain(world: World) -> None:
    await alerts(world, "ab")
    calls = [world.http.post("/v1/alerts", json=make.alert(dedup_key=key)) for key in "ab" * 20]
    calls.insert(20, world.http.post("/v1/incidents/1/merge", json={"into": 2}))
    assert {response.status_code for response in await asyncio.gather(*calls)} <= {200, 201}
    assert len(await listed(world, 2, page_size=7)) == len(set(await listed(world, 2))) == 42
    assert await listed(world, 1) == []


async def test_messages_that_change_nothing_else_are_in_it_too(world: World) -> None:
    answers = await alerts(world, "ab")
    await merge(world, 1, 2)
    answers += [await world.alert(dedup_key="a", status="resolved") for _ in range(3)]
    assert await listed(world, 2) == newest_first(*answers)


# --- merged ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", ["bbaa", "abab", "abbbba", "baaaab"])
async def test_two_chains_become_one_in_the_order_in_which_the_alerts_came(world: World, keys: str) -> None:
    answers = await alerts(world, "".join(dict.fromkeys("ab" + keys)) + keys)
    await merge(world, 1, 2)
    answers += await alerts(world, "ab")
    assert await listed(world, 2) == newest_first(*answers)


async def test_an_incident_without_alerts_adds_none(world: World) -> None:
    answers = await alerts(world, "aa")
    await world.post("/v1/incidents", make.incident(), status=201)
    await merge(world, 2, 1)
    assert await listed(world, 1) == newest_first(*answers)


async def test_an_incident_without_alerts_takes_in_all(world: World) -> None:
    answers = await alerts(world, "aa")
    await world.post("/v1/incidents", make.incident(), status=201)
    await merge(world, 1, 2)
    assert await listed(world, 2) == newest_first(*answers)


# --- split ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gone", [[0], [3, 4], [0, 2, 4], [1, 2, 3]])
async def test_what_leaves_and_what_stays_are_whole(world: World, gone: list[int]) -> None:
    answers = await alerts(world, "aaaaa")
    new = await split(world, 1, *(answers[place] for place in gone))
    stays = [answer for place, answer in enumerate(answers) if place not in gone]
    stays += await alerts(world, "a")
    assert await listed(world, 1) == newest_first(*stays)
    assert await listed(world, new) == newest_first(*(answers[place] for place in gone))


async def test_alerts_that_stood_in_the_chain_in_another_order_than_that_of_their_ids_are_not_lost(
    world: World,
) -> None:
    """As after a wait of several at once: the middle one's id is the smallest."""
    answers = await alerts(world, "aaaa")
    first, second, third, fourth = (plain(answer["alert_id"]) for answer in answers)
    for alert, before in ((fourth, first), (first, third), (third, second), (second, None)):
        await link(world, alert, before)
    new = await split(world, 1, answers[2])
    assert sorted(await listed(world, 1)) == sorted([first, second, fourth])
    assert await listed(world, new) == [third]


async def link(world: World, alert: str, before: str | None) -> None:
    value = f"'{before}'" if before else "NULL"
    async with world.parts.database.engine.begin() as connection:
        await connection.execute(sa.text(f"UPDATE alerts SET previous_id = {value} WHERE id = '{alert}'"))


# --- pruned ---------------------------------------------------------------------------------------------------------------


async def test_it_ends_where_alerts_are_pruned(world: World) -> None:
    answers = await alerts(world, "aaaa")
    await delete(world, *answers[:2])
    assert await listed(world, 1, page_size=1) == newest_first(*answers[2:])


async def test_what_is_left_of_pruned_chains_is_merged(world: World) -> None:
    answers = await alerts(world, "abab")
    await delete(world, *answers[:2])
    await merge(world, 1, 2)
    assert await listed(world, 2) == newest_first(*answers[2:])


async def test_an_incident_whose_alerts_are_all_pruned_takes_in_others_and_later_ones(world: World) -> None:
    answers = await alerts(world, "abb")
    await delete(world, *answers[1:])
    await merge(world, 1, 2)
    answers += await alerts(world, "b")
    assert await listed(world, 2) == newest_first(answers[0], answers[3])


async def test_an_alert_that_a_claim_kept_behind_pruned_ones_can_be_split_off(world: World) -> None:
    answers = await alerts(world, "aaaa")
    await delete(world, answers[1])
    new = await split(world, 1, answers[0])
    assert await listed(world, new) == newest_first(answers[0])
    assert await listed(world, 1) == newest_first(*answers[2:])


# --- what changes between two pages ---------------------------------------------------------------------------------------


async def cursor_after(world: World, number: int, places: int) -> str:
    cursor: str = (await world.get(f"/v1/incidents/{number}/alerts", page_size=places))["next_cursor"]
    return cursor


async def test_a_page_after_an_alert_that_is_pruned_by_now_ends_the_list(world: World) -> None:
    answers = await alerts(world, "aaaa")
    cursor = await cursor_after(world, 1, 2)
    await delete(world, *answers[:3])
    assert await listed(world, 1, cursor=cursor) == []


async def test_a_page_after_an_alert_that_left_the_incident_goes_on_where_it_stood(world: World) -> None:
    answers = await alerts(world, "aaaa")
    cursor = await cursor_after(world, 1, 2)
    await split(world, 1, answers[0], answers[2])
    assert await listed(world, 1, cursor=cursor) == newest_first(answers[1])


async def test_later_alerts_move_no_page(world: World) -> None:
    answers = await alerts(world, "aaaa")
    cursor = await cursor_after(world, 1, 2)
    await alerts(world, "aa")
    assert await listed(world, 1, cursor=cursor) == newest_first(*answers[:2])
