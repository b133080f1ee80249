"""Alerts that share a commit: each is decided and answered as if it had come alone, and none pays for another."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from incident_manager.api.intake import SCOPE
from incident_manager.db import Database
from incident_manager.direct import Steps
from incident_manager.engines import Again
from incident_manager.errors import RequestError, Unavailable
from incident_manager.flows.idempotency import claim_of
from incident_manager.flows.incidents import relations
from incident_manager.flows.intake.line import Parcel
from incident_manager.flows.intake.receive import Intake
from incident_manager.flows.intake.results import Result
from incident_manager.flows.intake.submissions import submit
from incident_manager.rules.access import Actor
from incident_manager.rules.dedup import AlertStatus
from incident_manager.rules.severity import Severity
from incident_manager.schemas.alerts import AlertFields
from incident_manager.store.numbers import IncidentNumbers
from tests import make
from tests.api.answers import refused
from tests.flows.tables import rows
from tests.world import START, World

DAY = timedelta(hours=24)


def intake_of(world: World, database: Database | None = None) -> Intake:
    """Return an intake of one lane: whatever is handed in at once shares a commit."""
    database = database or world.parts.database
    one_lane = msgspec.structs.replace(world.parts.settings.intake, committers=1)
    return Intake(database, IncidentNumbers(database), one_lane, DAY)


def parcel(world: World, actor: Actor, key: tuple[str, bytes] | None = None, after: int = 0, **fields: Any) -> Parcel:
    """Return an alert in a parcel of its own; `key` is its request's Idempotency-Key and body."""
    at, claim = START + timedelta(minutes=after), claim_of(SCOPE, *key) if key else None
    alert = AlertFields(**{"title": "t"} | fields)
    made = submit(alert, actor, source="s", settings=world.parts.settings.dedup, received_at=at, header_claim=claim)
    return Parcel([made], tenant_id=actor.tenant_id, received_at=at)


async def at_once(intake: Intake, parcels: Sequence[Parcel]) -> list[Any]:
    """Hand all in together; each one's result, or the error that it was told."""
    found = await asyncio.gather(*(intake.receive(one) for one in parcels), return_exceptions=True)
    return [one if isinstance(one, BaseException) else one[0] for one in found]


@pytest.fixture
async def actor(world: World) -> Actor:
    return (await world.units()).actor


async def titles(world: World) -> list[str]:
    return sorted(row.title for row in await rows(world.parts.database, "SELECT title FROM alerts"))


# --- what one of them does to the others ---------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 5, 11])
async def test_an_alert_that_cannot_be_stored_fails_alone(world: World, actor: Actor, place: int) -> None:
    names = [f"t{number:02}" for number in range(12)]
    parcels = [parcel(world, actor, title=name) for name in names]
    parcels[place].submissions[0].row.description = None  # which no column takes
    found = await at_once(intake_of(world), parcels)
    assert [isinstance(one, Result) for one in found] == [number != place for number in range(12)]
    assert not isinstance(found[place], RequestError)
    assert await titles(world) == names[:place] + names[place + 1 :]
    assert {one["occurrences"] for one in await world.incidents()} == {1}


@pytest.mark.parametrize("order", [("one", "other", "one"), ("other", "one", "one"), ("one", "one", "other")])
async def test_a_key_with_another_body_is_refused_alone_and_the_same_request_is_one(
    world: World, actor: Actor, order: tuple[str, ...]
) -> None:
    requests = [parcel(world, actor, ("k", body.encode()), title=body) for body in order]
    neighbours = [parcel(world, actor, title=title) for title in ("before", "after")]
    found = await at_once(intake_of(world), [neighbours[0], *requests, neighbours[1]])
    told = [one.answer.alert_id if isinstance(one, Result) else one.code for one in found[1:-1]]
    wins = order[0]  # whoever came first
    first = requests[0].submissions[0].row.id
    assert told == [first if body == wins else "VALIDATION_ERROR" for body in order]
    assert await titles(world) == sorted(["after", "before", wins])


async def test_a_key_that_was_revoked_after_its_check_gets_nothing_in_and_its_neighbours_are_stored(
    world: World,
) -> None:
    made = await world.post("/v1/keys", {"name": "monitor", "role": "ingest"}, status=201)
    monitor = world.as_key(made["key"])
    for client in (monitor, world.http):  # both are known from here on
        assert (await client.post("/v1/alerts", json=make.alert(title="before"))).is_success
    await revoke(world, UUID(made["id"]))
    clients = [monitor, world.http] * 5
    answers = await asyncio.gather(
        *(client.post("/v1/alerts", json=make.alert(title=f"{place:02}")) for place, client in enumerate(clients))
    )
    for answer in answers[::2]:
        refused(answer, 401, "AUTHENTICATION_ERROR")
    assert [answer.status_code for answer in answers[1::2]] == [201] * 5
    assert await titles(world) == [*("01", "03", "05", "07", "09"), "before", "before"]


async def revoke(world: World, key_id: UUID) -> None:
    """Revoke a key as another process does: this one is not told."""
    other = Database(world.parts.settings.database_url, world.parts.settings.database)
    name = key_id.hex if other.is_sqlite else key_id
    async with other.engine.begin() as connection:
        await connection.exec_driver_sql(f"UPDATE api_keys SET revoked_at = created_at WHERE id = '{name}'")
    await other.close()


async def test_a_key_that_was_only_renamed_after_its_check_is_let_in(world: World) -> None:
    made = await world.post("/v1/keys", {"name": "monitor", "role": "ingest"}, status=201)
    monitor = world.as_key(made["key"])
    assert (await monitor.post("/v1/alerts", json=make.alert(title="a"))).status_code == 201
    assert (await world.http.patch(f"/v1/keys/{made['id']}", json={"name": "renamed"})).is_success
    assert (await monitor.post("/v1/alerts", json=make.alert(title="b"))).status_code == 201
    assert await titles(world) == ["a", "b"]


# --- a crash between the commit and the answer ----------------------------------------------------------------------------


class Crashing(Database):
    """A database that is lost once, after it has committed and before it has said so."""

    error: Exception | None = None

    async def run(self, steps: Callable[[], Steps[Any]]) -> Any:
        result = await super().run(steps)
        if error := self.error:
            self.error = None
            raise error
        return result


@pytest.fixture
async def crashing(world: World) -> Any:
    opened = Crashing(world.parts.settings.database_url, world.parts.settings.database)
    yield opened
    await opened.close()


@pytest.mark.parametrize("named", [{"key": ("k", b"body")}, {"external_id": "d-1"}], ids=["key", "delivery"])
async def test_a_retry_after_a_crash_finds_the_first_answer(
    world: World, actor: Actor, crashing: Crashing, named: dict[str, Any]
) -> None:
    intake, first = intake_of(world, crashing), parcel(world, actor, **named)
    crashing.error = Unavailable("the connection is gone")
    [told] = await at_once(intake, [first])
    again = await at_once(intake, [parcel(world, actor, **named) for _ in range(2)])
    assert isinstance(told, Unavailable)
    assert {(one.opened, one.answer.alert_id, one.answer.occurrences) for one in again} == {
        (True, first.submissions[0].row.id, 1)
    }
    assert await titles(world) == ["t"]


async def test_a_batch_that_fails_after_its_commit_is_not_stored_twice(
    world: World, actor: Actor, crashing: Crashing
) -> None:
    crashing.error = LookupError()
    found = await at_once(intake_of(world, crashing), [parcel(world, actor, dedup_key="k") for _ in range(4)])
    assert not any(isinstance(one, Result) for one in found)
    assert (len(await titles(world)), (await world.incident(1))["occurrences"]) == (4, 4)


class Repeating(Database):
    """A database that takes each batch back once, as after a deadlock, when all of it was written."""

    async def run(self, steps: Callable[[], Steps[Any]]) -> Any:
        tries = itertools.count()

        def taken_back_once() -> Steps[Any]:
            result = yield from steps()
            if next(tries) == 0:
                raise Again("deadlock")
            return result

        return await super().run(taken_back_once)


async def test_a_batch_that_is_tried_again_is_decided_afresh_with_the_numbers_of_its_first_try(
    world: World, actor: Actor
) -> None:
    repeating = Repeating(world.parts.settings.database_url, world.parts.settings.database)
    keys = ["a", "b", "a", "c"]
    found = await at_once(intake_of(world, repeating), [parcel(world, actor, dedup_key=key) for key in keys])
    await repeating.close()
    assert [(one.answer.incident_number, one.answer.occurrences) for one in found] == [(1, 1), (2, 1), (1, 2), (3, 1)]
    assert len(await titles(world)) == 4


# --- as if each had come alone ----------------------------------------------------------------------------------------------


class Sent(NamedTuple):
    """An alert of a history: whose, of which problem, what it says, when, and what makes it the same as another."""

    tenant: int
    key: str
    status: AlertStatus
    waited: int  # minutes since the one before; past 15 a window has ended
    late: int  # minutes that its sender's time lies back
    severity: Severity
    windowed: bool
    external_id: str | None
    header: str | None


def said(key: str, status: AlertStatus = AlertStatus.FIRING) -> Sent:
    return Sent(0, key, status, 0, 0, Severity.P3, windowed=False, external_id=None, header=None)


SENT = st.builds(
    Sent,
    st.sampled_from([0, 0, 1]),
    st.sampled_from("abc"),
    st.sampled_from([AlertStatus.FIRING, AlertStatus.FIRING, AlertStatus.RESOLVED, AlertStatus.ACKNOWLEDGED]),
    st.sampled_from([0, 0, 1, 16]),
    st.sampled_from([0, 0, 2]),
    st.sampled_from([Severity.P3, Severity.P1]),
    st.booleans(),
    st.sampled_from([None, None, None, "1", "2"]),
    st.sampled_from([None, None, None, "x", "y"]),
)
COUNT = itertools.count()
# Everything that a history leaves, but for ids: an incident goes by its number.
SHOWN = {
    "incidents": """
        SELECT number, version, state, severity, labels, occurrences, first_seen_at, last_seen_at, updated_at,
            acknowledged_at, acknowledged_by, resolved_at, resolved_by, timeline_length, holds_several
        FROM incidents WHERE tenant_id = '{0}' ORDER BY number""",
    "timeline": """
        SELECT i.number, t.seq, t.at, t.type, t.actor, t.reason, t.description
        FROM timeline t JOIN incidents i ON i.tenant_id = t.tenant_id AND i.id = t.incident_id
        WHERE t.tenant_id = '{0}' ORDER BY i.number, t.seq""",
    "keys": """
        SELECT k.fingerprint, i.number, k.open, k.firing, k.first_seen_at, k.last_seen_at, k.last_fired_at,
            k.last_resolved_at, k.occurrences
        FROM dedup_keys k LEFT JOIN incidents i ON i.tenant_id = k.tenant_id AND i.id = k.incident_id
        WHERE k.tenant_id = '{0}' ORDER BY k.fingerprint""",
    "alerts": """
        SELECT a.received_at, a.fingerprint, a.status, a.outcome, a.reason, a.occurrence, i.number
        FROM alerts a LEFT JOIN incidents i ON i.tenant_id = a.tenant_id AND i.id = a.incident_id
        WHERE a.tenant_id = '{0}' ORDER BY a.received_at, a.fingerprint, a.occurrence, a.outcome""",
}


def parcels_of(world: World, actors: Sequence[Actor], history: Sequence[Sent]) -> list[Parcel]:
    """Return a history as parcels of these tenants."""
    made, now = [], 60
    for one in history:
        now += one.waited
        alert: dict[str, Any] = {"title": one.key, "status": one.status, "severity": one.severity}
        alert |= {"labels": {one.status: one.severity}, "external_id": one.external_id}
        alert |= {"occurred_at": START + timedelta(minutes=now - one.late)}
        alert |= {} if one.windowed else {"dedup_key": one.key}
        header = (one.header, b"") if one.header else None
        made.append(parcel(world, actors[one.tenant], header, now, **alert))
    return made


def told(parcels: Sequence[Parcel], results: Sequence[Result]) -> list[Any]:
    """Return answers without their ids: that of an alert is its place in the history."""
    places = {one.submissions[0].row.id: place for place, one in enumerate(parcels)}
    return [
        (places[answer.alert_id], verdict, answer.incident_number, answer.reason, answer.occurrences)
        for verdict, answer in ((one.verdict, one.answer) for one in results)
    ]


async def left(world: World, actors: Sequence[Actor]) -> list[Any]:
    """Return what the tables hold of these tenants."""
    database = world.parts.database
    names = [actor.tenant_id.hex if database.is_sqlite else actor.tenant_id for actor in actors]
    return [[tuple(row) for row in await rows(database, SHOWN[what].format(name))] for name in names for what in SHOWN]


async def new_tenants(world: World, *, merged: bool) -> list[Actor]:
    """Make two tenants, where wanted with three problems of each kind, of which one was merged into another."""
    made = [await world.tenant(f"t{next(COUNT)}") for _ in range(2)]
    if merged:
        for units in made:
            for one in parcels_of(world, [units.actor], [said(key) for key in "abc"]):
                await world.parts.intake.receive(one)
            await units.write(relations.merge, "1", "2")
    return [units.actor for units in made]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(SENT, min_size=2, max_size=10), merged=st.booleans())
@example(history=[said("a", AlertStatus.RESOLVED), said("b", AlertStatus.RESOLVED)], merged=True)
@example(history=[said("b", AlertStatus.RESOLVED), said("b"), said("a", AlertStatus.RESOLVED), said("a")], merged=True)
async def test_alerts_that_share_a_commit_leave_and_are_told_what_they_would_one_by_one(
    world: World, history: list[Sent], merged: bool
) -> None:
    intake = world.parts.intake if world.parts.database.is_sqlite else intake_of(world)
    together, alone = [await new_tenants(world, merged=merged) for _ in range(2)]
    shared, single = [parcels_of(world, actors, history) for actors in (together, alone)]
    answers = await at_once(intake, shared)
    assert told(shared, answers) == told(single, [(await at_once(intake, [one]))[0] for one in single])
    assert await left(world, together) == await left(world, alone)
