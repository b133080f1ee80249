"""How many statements each hot path takes, beside the look-up of the caller's key: a budget that is kept."""

import asyncio

import pytest

from incident_manager.api.parts import Parts
from incident_manager.flows.intake.line import Parcel
from incident_manager.flows.intake.submissions import submit
from incident_manager.rules.access import Actor
from incident_manager.schemas.alerts import AlertFields
from tests import make
from tests.sql import recording
from tests.world import World

# Not of the path that is counted: the key's look-up, and a block of incident numbers, one in 32 new incidents.
ASIDE = ("FROM api_keys", "next_incident_number")


@pytest.fixture
async def known(world: World) -> World:
    """A world whose key was used already, and which has one open incident, number 1."""
    await world.alert(dedup_key="first")
    return world


async def counted(world: World, method: str, path: str, body: object = None) -> int:
    with recording(world.parts.database) as statements:
        response = await world.http.request(method, path, json=body)
    assert response.is_success, response.text
    return len([text for text in statements.texts if not any(aside in text for aside in ASIDE)])


async def test_an_alert_takes_two_on_postgresql_and_on_sqlite_one_for_each_table_that_it_writes(known: World) -> None:
    counts = [await counted(known, "POST", "/v1/alerts", make.alert(dedup_key="k")) for _ in range(4)]
    assert counts == ([5, 5, 4, 4] if known.parts.database.is_sqlite else [2, 2, 2, 2])


async def test_an_external_id_costs_its_claim_and_a_repeated_delivery_only_that_the_key_s_check_and_the_first_answer(
    known: World,
) -> None:
    counts = [await counted(known, "POST", "/v1/alerts", make.alert(external_id="7")) for _ in range(3)]
    assert counts == ([7, 4, 4] if known.parts.database.is_sqlite else [3, 3, 3])


async def test_a_hundred_alerts_that_come_by_themselves_at_once_take_as_many_as_ten(known: World) -> None:
    actor, parts, counts = (await known.units()).actor, known.parts, []
    for size in (10, 100):
        with recording(parts.database) as statements:
            alerts = [AlertFields(title="t", dedup_key=f"{size}-{number % (size // 2)}") for number in range(size)]
            await asyncio.gather(*(parts.intake.receive(parcel(alert, actor, parts)) for alert in alerts))
        counts.append(len([text for text in statements.texts if "next_incident_number" not in text]))
    batches = 1 if parts.database.is_sqlite else parts.settings.intake.committers  # at most: chance shares the keys out
    assert max(counts) <= batches * (5 if parts.database.is_sqlite else 2)


def parcel(alert: AlertFields, actor: Actor, parts: Parts) -> Parcel:
    now = parts.clock.now()
    made = submit(alert, actor, source="s", settings=parts.settings.dedup, received_at=now)
    return Parcel([made], tenant_id=actor.tenant_id, received_at=now)


async def test_a_delivery_of_a_hundred_alerts_takes_as_many_as_one_of_ten(known: World) -> None:
    made = await known.post("/v1/integrations", {"name": "gen", "monitor": "generic"}, status=201)
    path = f"/v1/integrations/generic/{made['key']}"
    counts = []
    for size in (10, 100):
        body = [{"title": "t", "dedup_key": f"{size}-{number}"} for number in range(size)]
        await counted(known, "POST", path, body[: size // 2])
        counts.append(await counted(known, "POST", path, body))
    assert counts[0] == counts[1] <= 8


async def test_a_resolve_takes_one_more_where_its_incident_holds_several_and_more_where_that_ends(known: World) -> None:
    for key in "abc":
        await known.alert(dedup_key=key)
    await known.post("/v1/incidents/2/merge", {"into": 3})
    counts = [await counted(known, "POST", "/v1/alerts", make.alert(dedup_key=key, status="resolved")) for key in "cab"]
    assert counts == ([6, 7, 8] if known.parts.database.is_sqlite else [3, 4, 5])


async def test_a_merge_and_a_link_keep_their_budget_however_many_alerts_there_are(known: World) -> None:
    await known.alert(dedup_key="second")
    for _ in range(10):
        await known.alert(dedup_key="first")
    assert await counted(known, "POST", "/v1/incidents/1/link", {"incident_ids": [2]}) == 4
    assert await counted(known, "POST", "/v1/incidents/1/merge", {"into": 2}) == 9


@pytest.mark.parametrize(
    ("action", "body", "expected"),
    [
        ("acknowledge", None, 4),
        ("resolve", {"resolved_by": "ada", "notes": ""}, 7),
        ("notes", {"content": "x"}, 4),
        ("snooze", {"until": "2026-03-01T13:00:00Z"}, 4),
    ],
)
async def test_what_people_do_keeps_its_budget(known: World, action: str, body: object, expected: int) -> None:
    assert await counted(known, "POST", f"/v1/incidents/1/{action}", body) == expected


@pytest.mark.parametrize(
    ("path", "expected"), [("?active_only=true", 2), ("?q=disk", 2), ("/1", 1), ("/1/timeline", 2)]
)
async def test_what_people_read_keeps_its_budget(known: World, path: str, expected: int) -> None:
    assert await counted(known, "GET", f"/v1/incidents{path}") == expected
