"""The drills keep their own promises: what does not hold is told and ends with 1, and what is looked for would be found."""

import asyncio
from pathlib import Path

import pytest

from incident_manager.settings import Settings
from tests.drill import __main__ as drill
from tests.drill.invariants import HEADINGS, Invariant, none_of, skipped, table, within
from tests.drill.plan import Plan
from tests.drill.stored import BROKEN, looked_at
from tests.world import World

HELD, NOT_HELD = Invariant("a", "holds", True, "0 of 9"), Invariant("a", "does not", False, "1 of 9")
SKIPPED = skipped("a", "cannot be seen", "no mount")
NOTHING = Plan(folder=Path(), engines=())


@pytest.mark.parametrize(
    ("found", "code"),
    [([HELD], 0), ([HELD, SKIPPED], 0), ([HELD, NOT_HELD], 1), ([NOT_HELD], 1), ([SKIPPED], 1), ([], 1)],
    ids=["held", "one skipped", "one", "only", "only skipped", "none"],
)
def test_it_ends_with_1_where_something_did_not_hold_or_nothing_was_looked_at(
    found: list[Invariant], code: int
) -> None:
    assert drill.verdict(found) == code


@pytest.mark.parametrize(("found", "of", "held"), [([], 3, True), (["x"], 3, False), ([], 0, False)])
def test_nothing_wrong_holds_only_where_something_was_looked_at(found: list[str], of: int, held: bool) -> None:
    assert none_of("a", "b", found, of).held is held


@pytest.mark.parametrize(("found", "held"), [([0.5, 1.0], True), ([0.5, 1.1], False), ([], False)])
def test_times_hold_where_some_were_taken_and_none_is_over_the_limit(found: list[float], held: bool) -> None:
    assert within("a", "b", found, 1.0).held is held


def test_the_table_has_a_line_for_each_and_marks_what_did_not_hold() -> None:
    head, *lines = table([HELD, NOT_HELD, SKIPPED]).splitlines()
    assert head.split() == list(HEADINGS)
    assert [" NO " in line for line in lines] == [False, True, False]


def test_sizes_come_from_the_command_line_then_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRILL_KILLS", "7")
    monkeypatch.setenv("DRILL_ROUNDS", "8")
    read = drill.read(["--only", "kills", "--rounds", "9"])
    assert (read.only, read.kills, read.rounds, read.requests) == (["kills"], 7, 9, drill.SIZES["requests"])


@pytest.mark.parametrize("name", [name for name in drill.DRILLS if name != "bodies"])
def test_a_drill_of_no_engine_has_nothing_to_tell(name: str) -> None:
    assert [*drill.drilled([name], NOTHING)] == [[]]


def fall_over(_: Plan) -> list[Invariant]:
    raise RuntimeError("it did not start")


def test_a_drill_that_falls_over_is_told_and_the_next_one_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(drill.DRILLS, "kills", fall_over)
    monkeypatch.setitem(drill.DRILLS, "full", lambda _: [HELD])
    fallen, other = drill.drilled(["kills", "full"], NOTHING)
    assert [one.held for one in fallen] == [False]
    assert other == [HELD]


async def test_a_database_that_is_of_one_piece_holds_everything(world: World, settings: Settings) -> None:
    answered = {str(key): (await world.alert(title=f"t {key % 2}"))["alert_id"] for key in range(4)}
    found = await asyncio.to_thread(looked_at, "a", settings.database_url, answered)
    assert [one.name for one in found if not one.held] == []
    assert {one.name for one in found} > BROKEN.keys()


async def test_what_is_missing_doubled_or_miscounted_is_found(world: World, settings: Settings) -> None:
    first = await world.alert()
    await world.alert(title="another")
    await world.alert(status="resolved", dedup_key="nothing open")
    async with world.parts.database.engine.begin() as connection:
        await connection.exec_driver_sql(
            "UPDATE incidents SET fingerprint = 'same', occurrences = 7, timeline_length = 5"
        )
    answered = {"1": first["alert_id"], "2": first["alert_id"], "3": "0" * 32}
    found = await asyncio.to_thread(looked_at, "a", settings.database_url, answered)
    held = {one.name for one in found if one.held}
    assert held == {
        "a number is one incident's",  # the schema sees to that
        "a chain holds exactly the incident's alerts",
        "every reference leads somewhere",
        "the database's own check finds nothing",
    }
