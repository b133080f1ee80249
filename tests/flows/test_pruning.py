"""Old alerts go, and nobody who sends one or looks at an incident is told anything else for it."""

import asyncio
import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from incident_manager.flows import pruning
from incident_manager.flows.pruning import Progress
from incident_manager.rules.access import Role
from tests import make
from tests.api.answers import refused
from tests.flows.pruner import KEPT, far_ahead, plan, prune, prune_claims, steps
from tests.flows.tables import rows
from tests.world import World

IDS = {"alert_id", "incident_id"}


async def titles(world: World) -> list[str]:
    return [alert["title"] for alert in (await world.get("/v1/alerts"))["alerts"]]


async def count(world: World, table: str) -> int:
    return (await rows(world.parts.database, f"SELECT count(*) FROM {table}"))[0][0]


async def aged(world: World, number: int) -> list[str]:
    """Return the ids of so many alerts that are older than they are kept, in the order they came."""
    far_ahead(world)
    answers = [await world.alert(title=f"old {at}") for at in range(number)]
    world.forward(days=31)
    return [answer["alert_id"] for answer in answers]


# --- what goes ------------------------------------------------------------------------------------------------------------


async def test_what_was_received_before_the_time_that_is_kept_goes_and_nothing_else(world: World) -> None:
    far_ahead(world)
    for title, later in (("older", timedelta(microseconds=1)), ("just as old", KEPT), ("young", timedelta())):
        await world.alert(title=title)
        world.clock.forward(later)
    assert await prune(world) == 1
    assert await titles(world) == ["young", "just as old"]


async def test_a_batch_is_a_call_and_tells_whether_another_is_due(world: World) -> None:
    await aged(world, 5)
    await world.alert(title="young")
    wanted, units = await plan(world, batch=2), await world.units()
    told = await steps(lambda at: units.write(pruning.prune_alerts, wanted, at))
    assert [(progress.gone, progress.more) for progress in told] == [(2, True), (4, True), (5, True), (5, False)]
    assert await titles(world) == ["young"]


async def test_a_page_of_young_ones_ends_it(world: World) -> None:
    far_ahead(world)
    for _ in range(4):
        await world.alert()
    wanted, units = await plan(world, batch=2), await world.units()
    assert len(await steps(lambda at: units.write(pruning.prune_alerts, wanted, at))) == 1


async def test_counting_says_the_same_and_deletes_nothing(world: World) -> None:
    await aged(world, 5)
    wanted, units = await plan(world, batch=2), await world.units()
    told = await steps(lambda at: units.read(pruning.count_alerts, wanted, at))
    assert [progress.gone for progress in told] == [2, 4, 5]
    assert (await count(world, "alerts"), await prune(world)) == (5, 5)


async def test_another_tenants_stay(world: World) -> None:
    await aged(world, 1)
    assert await prune(world, await world.tenant("other")) == 0
    assert await count(world, "alerts") == 1


async def test_of_several_who_prune_at_once_each_alert_goes_by_one(world: World) -> None:
    await aged(world, 40)
    gone = await asyncio.gather(*(prune(world, batch=3) for _ in range(4)))
    assert (sum(gone), await count(world, "alerts")) == (40, 0)


# --- claims ---------------------------------------------------------------------------------------------------------------


async def test_an_alert_that_a_claim_names_stays_until_the_claim_has_expired_and_holds_up_no_other(
    world: World,
) -> None:
    """A delivery that repeats an old one under a key of its own makes that key name the old one's alert."""
    far_ahead(world)
    body, headers = make.alert(external_id="x"), {"Idempotency-Key": "k"}
    first = await world.http.post("/v1/alerts", json=body)
    await world.alert(title="without a claim")
    world.forward(hours=23)
    await world.http.post("/v1/alerts", json=body, headers=headers)
    world.forward(hours=22)
    assert await prune(world, keep=timedelta(days=1), batch=1) == 1
    again = await world.http.post("/v1/alerts", json=body, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    world.forward(hours=26)
    assert await prune(world, keep=timedelta(days=1)) == 1


async def test_alerts_are_kept_as_long_as_claims_live_and_an_hour_whatever_is_wished(world: World) -> None:
    far_ahead(world)
    await world.alert()
    world.forward(hours=25)
    assert await prune(world, keep=timedelta(0)) == 0
    world.clock.forward(timedelta(microseconds=1))
    assert await prune(world, keep=timedelta(0)) == 1


async def test_claims_that_have_expired_go_after_an_hour_and_those_of_other_writes_too(world: World) -> None:
    await world.alert(external_id="x")
    answer = await world.http.post("/v1/incidents", json=make.incident(), headers={"Idempotency-Key": "k"})
    assert answer.status_code == 201
    world.forward(hours=25)
    assert (await prune_claims(world), await count(world, "idempotency_keys")) == (0, 2)
    world.clock.forward(timedelta(microseconds=1))
    assert await pruning.count_claims(world.parts.database, world.clock.now()) == 2
    assert (await prune_claims(world), await count(world, "idempotency_keys")) == (2, 0)


async def test_claims_go_in_batches_the_oldest_first(world: World) -> None:
    for external_id in "abc":
        await world.alert(external_id=external_id)
        world.forward(minutes=1)
    world.forward(hours=26)
    database, now = world.parts.database, world.clock.now()
    left = "SELECT key FROM idempotency_keys ORDER BY expires_at"
    before = await rows(database, left)
    assert await pruning.prune_claims(database, now, 2) == 2
    assert await rows(database, left) == before[2:]
    assert await pruning.prune_claims(database, now, 2) == 1


# --- what stays -----------------------------------------------------------------------------------------------------------


def stream() -> Iterator[tuple[dict[str, Any], float]]:
    """Yield bodies of alerts that open, attach, recur, resolve and are told again, each with the minutes until the next."""
    chance = random.Random(4)
    for number in range(36):
        name = chance.choice("ab")
        status = chance.choice(["firing", "firing", "firing", "resolved", "acknowledged"])
        body = make.alert(
            title=name, status=status, severity=chance.choice(["P1", "P3"]), labels={f"l{number % 5}": "x"}
        )
        body |= chance.choice([{}, {"dedup_key": name}, {"external_id": name}])
        yield body, chance.choice([1, 14, 16, 60 * 23, 60 * 26, 60 * 24 * 40])


async def test_pruning_changes_no_decision(world: World) -> None:
    """Two tenants are told the same; one of them is pruned after each alert."""
    far_ahead(world)
    pruned, kept = await world.tenant("pruned"), await world.tenant("kept")
    clients = [world.as_key(await world.key(Role.ADMIN, units)) for units in (pruned, kept)]
    gone = 0
    for body, minutes in stream():
        answers = [await client.post("/v1/alerts", json=body) for client in clients]
        told = [(answer.status_code, without(answer.json())) for answer in answers]
        assert told[0] == told[1]
        world.forward(minutes=minutes)
        gone += await prune(world, pruned, keep=timedelta(days=1))
        await prune_claims(world)
    assert gone > 20
    assert await story(clients[0]) == await story(clients[1])


def without(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in IDS}


async def story(client: Any) -> list[Any]:
    """Return each incident and its timeline, ids told as numbers."""
    found = (await client.get("/v1/incidents", params={"sort": "number", "page_size": 100})).json()["incidents"]
    numbers = {one["id"]: one["number"] for one in found}
    told: list[Any] = []
    for one in found:
        events = (await client.get(f"/v1/incidents/{one['id']}/timeline")).json()["events"]
        told.append({**one, "id": 0, "links": [], "recurrence_of_id": numbers.get(one["recurrence_of_id"])})
        told.append([(event["type"], event["reason"], event["at"]) for event in events])
    return told


async def test_an_incident_whose_alerts_are_gone_reads_as_before(world: World) -> None:
    [alert_id] = await aged(world, 1)
    before, timeline = await world.incident(1), await world.timeline(1)
    await prune(world)
    assert (await world.incident(1), await world.timeline(1)) == (before, timeline)
    assert await world.get("/v1/incidents/1/alerts") == {"alerts": [], "next_cursor": None}
    refused(await world.http.get(f"/v1/alerts/{alert_id}"), 404, "NOT_FOUND")


async def test_a_page_whose_last_alert_is_gone_is_followed_by_what_is_left(world: World) -> None:
    far_ahead(world)
    for title, days in (("old", 29), ("middle", 2), ("young", 0)):
        await world.alert(title=title)
        world.forward(days=days)
    first = await world.get("/v1/alerts", page_size=1)
    await prune(world)
    second = await world.get("/v1/alerts", page_size=1, cursor=first["next_cursor"])
    assert [alert["title"] for alert in second["alerts"]] == ["middle"]
    assert second["next_cursor"] is None


async def test_a_merge_takes_over_what_is_left_and_the_whole_count(world: World) -> None:
    far_ahead(world)
    for days, key in ((31, "a"), (0, "a"), (0, "b")):
        await world.alert(dedup_key=key)
        world.forward(days=days)
    await prune(world)
    await world.post("/v1/incidents/1/merge", {"into": 2})
    assert (await world.incident(2))["occurrences"] == 3
    assert len((await world.get("/v1/incidents/2/alerts"))["alerts"]) == 2


async def test_a_split_of_an_alert_that_is_gone_finds_no_such_alert(world: World) -> None:
    far_ahead(world)
    old = await world.alert(dedup_key="a")
    world.forward(days=31)
    young = await world.alert(dedup_key="a")
    await prune(world)
    bodies = [{"alert_ids": [answer["alert_id"]]} for answer in (old, young)]
    refused(await world.http.post("/v1/incidents/1/split", json=bodies[0]), 404, "NOT_FOUND")
    assert (await world.post("/v1/incidents/1/split", bodies[1]))["occurrences"] == 1
    assert (await world.incident(1))["occurrences"] == 1


async def test_what_is_gone_keeps_no_repeats_back_where_a_split_moves_what_is_left(world: World) -> None:
    far_ahead(world)
    await world.alert(dedup_key="a")
    world.forward(days=31)
    young = await world.alert(dedup_key="a")
    await prune(world)
    new = await world.post("/v1/incidents/1/split", {"alert_ids": [young["alert_id"]]})
    assert (await world.alert(dedup_key="a"))["incident_id"] == new["id"]


async def test_a_preview_says_what_it_said(world: World) -> None:
    far_ahead(world)
    await world.alert(dedup_key="a")
    world.forward(days=31)
    before = await world.post("/v1/alerts/preview", make.alert(dedup_key="a"))
    await prune(world)
    assert await world.post("/v1/alerts/preview", make.alert(dedup_key="a")) == before


# --- the audit ------------------------------------------------------------------------------------------------------------


async def told_on_audit(world: World) -> list[dict[str, Any]]:
    found = (await world.get("/v1/audit"))["audit"]
    return [entry for entry in reversed(found) if entry["action"] == "prune"]


async def test_the_audit_says_who_how_many_and_up_to_when(world: World) -> None:
    await aged(world, 3)
    await prune(world)
    [entry] = await told_on_audit(world)
    assert (entry["actor"], entry["actor_kind"], entry["resource"]) == ("test", "command_line", "tenant")
    assert (entry["before"], entry["after"]) == ({}, {"alerts_pruned": 3, "received_before": "2126-02-06T12:00:00Z"})


async def test_of_a_long_run_the_audit_tells_the_first_batch_and_the_rest(world: World) -> None:
    await aged(world, 7)
    await prune(world, batch=2)
    assert [entry["after"]["alerts_pruned"] for entry in await told_on_audit(world)] == [2, 5]


async def test_where_nothing_went_the_audit_says_nothing(world: World) -> None:
    await world.alert()
    assert await prune(world) == 0
    assert await told_on_audit(world) == []


@pytest.mark.parametrize(("batches", "told"), [(1, [2]), (2, [2, 2])])
async def test_who_stops_early_tells_the_audit_what_went(world: World, batches: int, told: list[int]) -> None:
    await aged(world, 7)
    wanted, units = await plan(world, batch=2), await world.units()
    progress = Progress()
    for _ in range(batches):
        progress = await units.write(pruning.prune_alerts, wanted, progress)
    await units.write(pruning.finish, wanted, progress)
    assert [entry["after"]["alerts_pruned"] for entry in await told_on_audit(world)] == told
