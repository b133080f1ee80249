"""Linked and snoozed incidents, as the API shows them."""

from typing import Any

import pytest

from incident_manager.schemas.incidents import RELATED_LIMIT
from tests import make
from tests.api.answers import fields, refused
from tests.world import World


@pytest.fixture
async def three(world: World) -> list[str]:
    """The ids of three incidents, numbers 1 to 3."""
    return [(await world.alert(dedup_key=key))["incident_id"] for key in "abc"]


async def related(world: World) -> list[list[str]]:
    return [(await world.incident(number))["related_incidents"] for number in (1, 2, 3)]


async def types(world: World, reference: object) -> list[tuple[str, str]]:
    return [(event["type"], event["reason"]) for event in await world.timeline(reference)]


async def test_linked_incidents_name_each_other_and_tell_of_it(world: World, three: list[str]) -> None:
    shown = await world.post("/v1/incidents/1/link", {"incident_ids": [three[1], 3]})
    assert shown["related_incidents"] == three[1:]
    assert await related(world) == [three[1:], three[:1], three[:1]]
    events = [(event["type"], event["data"]) for event in (await world.timeline(2))[1:]]
    assert events == [("linked", {"incident_id": three[0], "incident_number": 1})]


async def test_a_link_that_is_there_is_not_made_again(world: World, three: list[str]) -> None:
    before = await world.post("/v1/incidents/1/link", {"incident_ids": [2]})
    assert await world.post("/v1/incidents/1/link", {"incident_ids": ["2", 2]}) == before
    assert (await world.post("/v1/incidents/2/link", {"incident_ids": [1]}))["version"] == 2


async def test_a_link_is_undone_on_both_ends(world: World, three: list[str]) -> None:
    await world.post("/v1/incidents/1/link", {"incident_ids": [2, 3]})
    await world.post("/v1/incidents/2/unlink", {"incident_ids": [1, 3]})
    assert await related(world) == [three[2:], [], three[:1]]
    assert (await types(world, 1))[-1] == ("unlinked", "requested")


async def test_a_link_is_a_change_of_both(world: World, three: list[str]) -> None:
    await world.post("/v1/incidents/1/link", {"incident_ids": [2]})
    assert [(await world.incident(number))["version"] for number in (1, 2, 3)] == [2, 2, 1]
    entries = [(one["action"], one["after"]) for one in (await world.get("/v1/audit"))["audit"][:2]]
    assert sorted(entries, key=str) == sorted(
        [("link", {"related_incidents": [three[1]]}), ("link", {"related_incidents": [three[0]]})], key=str
    )


@pytest.mark.parametrize("action", ["link", "unlink"])
async def test_no_incident_is_linked_to_itself_or_to_nothing(world: World, three: list[str], action: str) -> None:
    path = f"/v1/incidents/1/{action}"
    assert fields(await world.http.post(path, json={"incident_ids": [2, three[0]]})) == ["incident_ids"]
    for nothing in (99, "nothing", "01890000-0000-7000-8000-000000000000"):
        refused(await world.http.post(path, json={"incident_ids": [2, nothing]}), 404, "NOT_FOUND")
    assert await related(world) == [[], [], []]


async def test_an_incident_has_at_most_a_hundred_related_ones(world: World, three: list[str]) -> None:
    for number in range(RELATED_LIMIT):
        await world.post("/v1/incidents", make.incident(title=f"t {number}"), status=201)
    numbers = list(range(4, 4 + RELATED_LIMIT))
    await world.post("/v1/incidents/1/link", {"incident_ids": numbers})
    assert fields(await world.http.post("/v1/incidents/1/link", json={"incident_ids": [2]})) == ["incident_ids"]
    assert fields(await world.http.post("/v1/incidents/2/link", json={"incident_ids": [1]})) == ["incident_ids"]
    assert fields(await world.http.post("/v1/incidents/1/link", json={"incident_ids": [2, *numbers]})) == [
        "incident_ids"
    ]


async def snooze(world: World, until: str | None) -> dict[str, Any]:
    return await world.post("/v1/incidents/1/snooze", {"until": until})


async def test_a_snooze_is_shown_in_utc_and_told(world: World, three: list[str]) -> None:
    shown = await snooze(world, "2026-03-01T15:00:00+02:00")
    assert (shown["snoozed_until"], shown["state"], shown["version"]) == ("2026-03-01T13:00:00Z", "Detected", 2)
    event = (await world.timeline(1))[-1]
    assert (event["type"], event["data"]) == ("snoozed", {"before": None, "until": "2026-03-01T13:00:00Z"})
    assert await snooze(world, "2026-03-01T13:00:00Z") == shown


async def test_a_snooze_is_moved_and_ended(world: World, three: list[str]) -> None:
    for until in ("2026-03-01T13:00:00Z", "2026-03-01T14:00:00Z", None, None):
        shown = await snooze(world, until)
    assert (shown["snoozed_until"], shown["version"]) == (None, 4)
    assert (await types(world, 1))[1:] == [("snoozed", "requested")] * 2 + [("unsnoozed", "requested")]


@pytest.mark.parametrize(
    "until", ["2026-03-01T12:00:00Z", "2027-03-02T12:00:01Z", "tomorrow", "2026-03-01T13:00:00", 1]
)
async def test_a_snooze_ends_ahead_within_a_year(world: World, three: list[str], until: object) -> None:
    assert fields(await world.http.post("/v1/incidents/1/snooze", json={"until": until})) == ["until"]


async def test_the_last_moment_of_a_year_may_be_named(world: World, three: list[str]) -> None:
    assert (await snooze(world, "2027-03-02T12:00:00Z"))["snoozed_until"] == "2027-03-02T12:00:00Z"


@pytest.mark.parametrize("by", ["alert", "person", "merge"])
async def test_a_raise_of_severity_ends_a_snooze(world: World, three: list[str], by: str) -> None:
    await snooze(world, "2026-03-01T13:00:00Z")
    if by == "alert":
        await world.alert(dedup_key="a", severity="P1")
    elif by == "person":
        (await world.http.patch("/v1/incidents/1", json={"severity": "P1"})).raise_for_status()
    else:
        await world.alert(dedup_key="d", severity="P1")
        await world.post("/v1/incidents/4/merge", {"into": 1})
    assert (await world.incident(1))["snoozed_until"] is None
    assert (await types(world, 1))[-1] == ("unsnoozed", "severity_raised")


async def test_what_only_repeats_or_is_lowered_sleeps_on(world: World, three: list[str]) -> None:
    await snooze(world, "2026-03-01T13:00:00Z")
    await world.alert(dedup_key="a", severity="P4")
    (await world.http.patch("/v1/incidents/1", json={"severity": "P4"})).raise_for_status()
    assert (await world.incident(1))["snoozed_until"] == "2026-03-01T13:00:00Z"


async def test_what_has_ended_is_not_snoozed_and_an_end_ends_the_snooze(world: World, three: list[str]) -> None:
    await snooze(world, "2026-03-01T13:00:00Z")
    ended = await world.post("/v1/incidents/1/resolve", {"resolved_by": "ada", "notes": ""})
    assert ended["snoozed_until"] is None
    response = await world.http.post("/v1/incidents/1/snooze", json={"until": "2026-03-01T14:00:00Z"})
    assert refused(response, 409, "INVALID_STATE_TRANSITION")["allowed"] == ["Closed", "Investigating"]
