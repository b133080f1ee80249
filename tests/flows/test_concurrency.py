"""Several at once on one incident: nothing is lost, and what remains is what a reader of the timeline would expect."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests import make
from tests.flows.tables import rows
from tests.world import World

PEOPLE = [f"person {number}" for number in range(8)]
EARLIER, LATER = "2026-03-01T11:58:00Z", "2026-03-01T11:59:00Z"


async def alerts(world: World, *bodies: dict[str, Any]) -> list[dict[str, Any]]:
    """Post alerts at the same moment."""
    answers = await asyncio.gather(*(world.http.post("/v1/alerts", json=make.alert(**body)) for body in bodies))
    assert {answer.status_code for answer in answers} <= {200, 201}
    return [answer.json() for answer in answers]


async def two_merged(world: World) -> str:
    """Return the id of incident 2, which holds the keys `a` and `b`."""
    for key in "ab":
        await world.alert(dedup_key=key)
    await world.post("/v1/incidents/1/merge", {"into": 2})
    return (await world.incident(2))["id"]


async def test_stale_copies_are_refused_and_one_change_wins(world: World) -> None:
    await world.alert()
    etag = (await world.http.get("/v1/incidents/1")).headers["etag"]
    calls = [world.http.patch("/v1/incidents/1", json={"title": who}, headers={"If-Match": etag}) for who in PEOPLE]
    answers = await asyncio.gather(*calls)
    assert Counter(answer.status_code for answer in answers) == {200: 1, 412: 7}
    won = next(answer.json() for answer in answers if answer.status_code == 200)
    assert await world.incident(1) == won
    assert {answer.json()["version"] for answer in answers if answer.status_code == 412} == {2}


async def test_changes_of_different_fields_all_stay(world: World) -> None:
    await world.alert()
    changes = [{"title": "t"}, {"description": "d"}, {"severity": "P0"}, {"assignees": ["ada"]}, {"team": "db"}]
    await asyncio.gather(*(world.http.patch("/v1/incidents/1", json=change) for change in changes))
    shown = await world.incident(1)
    assert [{name: shown[name] for name in change} for change in changes] == changes
    assert shown["version"] == 1 + len(changes)


async def test_the_first_of_many_who_take_it_has_it(world: World) -> None:
    await world.alert()
    answers = await asyncio.gather(
        *(world.http.post("/v1/incidents/1/acknowledge", json={"by": who}) for who in PEOPLE)
    )
    assert {answer.status_code for answer in answers} == {200}
    by = (await world.incident(1))["acknowledged_by"]
    assert {answer.json()["acknowledged_by"] for answer in answers} == {by}
    assert [event["actor"] for event in await world.timeline(1) if event["type"] == "acknowledged"] == [by]


@pytest.mark.parametrize("newer", ["firing", "resolved"])
async def test_firing_and_resolved_at_once_end_as_their_source_says(world: World, newer: str) -> None:
    pairs = [
        make.alert(dedup_key=f"k{number}", status=status, occurred_at=LATER if status == newer else EARLIER)
        for number in range(20)
        for status in ("firing", "resolved")
    ]
    await asyncio.gather(*(world.http.post("/v1/alerts", json=pair) for pair in pairs))
    still_open = await world.incidents(active_only=True, page_size=100)
    assert len(still_open) == (20 if newer == "firing" else 0)


async def test_the_late_one_of_two_is_told_where_it_met_an_incident(world: World) -> None:
    first, late = await world.alert(occurred_at=LATER), await world.alert(status="resolved", occurred_at=EARLIER)
    assert (late["reason"], late["incident_id"]) == ("out_of_order", None)
    event = (await world.timeline(first["incident_id"]))[-1]
    assert (event["type"], event["data"]["alert_id"]) == ("out_of_order", late["alert_id"])


async def test_the_last_resolves_of_a_whole_that_come_at_once_end_it(world: World) -> None:
    into = await two_merged(world)
    for _ in range(10):
        answers = await alerts(world, *({"dedup_key": key, "status": "resolved"} for key in "ab"))
        assert {answer["incident_id"] for answer in answers} == {into}
        assert (await world.incident(into))["state"] == "Resolved"
        await world.post(f"/v1/incidents/{into}/reopen", {"reason": "it is back"})
        for key in "ab":
            assert (await world.alert(dedup_key=key))["incident_id"] == into


async def test_a_merge_in_a_storm_loses_no_alert_and_no_count(world: World) -> None:
    for key in "ab":
        await world.alert(dedup_key=key)
    storm = alerts(world, *({"dedup_key": key} for key in "ab" * 40))
    merging = asyncio.create_task(world.http.post("/v1/incidents/1/merge", json={"into": 2}))
    await storm
    (await merging).raise_for_status()
    found = await rows(
        world.parts.database,
        "SELECT number, occurrences, (SELECT count(*) FROM alerts WHERE alerts.incident_id = incidents.id) AS held"
        " FROM incidents ORDER BY number",
    )
    assert [tuple(row) for row in found] == [(1, 0, 0), (2, 82, 82)]


async def test_merges_into_each_other_leave_one_of_the_two(world: World) -> None:
    for key in "ab":
        await world.alert(dedup_key=key)
    answers = await asyncio.gather(
        *(world.http.post(f"/v1/incidents/{one}/merge", json={"into": other}) for one, other in ((1, 2), (2, 1)))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert len(await world.incidents(active_only=True)) == 1


async def test_an_integration_that_is_changed_counts_for_what_comes_afterwards(world: World) -> None:
    made = await world.post("/v1/integrations", {"name": "gen", "monitor": "generic"}, status=201)
    address = f"/v1/integrations/generic/{made['key']}"
    storm = [world.http.post(address, json={"title": "t", "dedup_key": "k"}) for _ in range(10)]
    change = world.http.patch("/v1/integrations/gen", json={"dedup_mode": "window", "window_seconds": 60})
    changed, *answers = await asyncio.gather(change, *storm)
    assert changed.status_code == 200
    assert {answer.json()["results"][0]["reason"] for answer in answers} <= {
        "first_seen",
        "while_open",
        "within_window",
    }
    world.forward(seconds=61)
    after = (await world.post(address, {"title": "t", "dedup_key": "k"}))["results"][0]
    assert after["reason"] == "window_expired"
