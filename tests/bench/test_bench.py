"""The bench keeps its own promises: each figure beside its floor, no figure of what went wrong, and a table one can read."""

import asyncio
import re
from pathlib import Path

import msgspec
import pytest

from incident_manager.settings import Settings
from tests.bench import __main__ as bench
from tests.bench import floors, lists, posts, targets
from tests.bench.bodies import PLACE, USUAL_BODY
from tests.bench.filling import fill
from tests.bench.load import NO_WRK, SCRIPT, Load, Mix
from tests.bench.plan import Plan
from tests.bench.posts import Seen
from tests.bench.report import HEADINGS, Report, cells, write
from tests.bench.rows import Reached, Row, measured, missing
from tests.bench.targets import Of, Target
from tests.world import World

TARGETS = {name: value for name, value in vars(targets).items() if isinstance(value, Target)}
NO_WRK_PLAN = Plan(seconds=0.01, rounds=1, folder=Path(), engines=(), wrk=None)


def row(**fields: object) -> Row:
    return measured("a figure", "ms", **{"ours": [3.0], "floor": [2.0], "floor_name": "a floor", **fields})


@pytest.mark.parametrize("name", TARGETS)
def test_a_goal_asks_for_more_than_what_must_be(name: str) -> None:
    target = TARGETS[name]
    if target.must is not None and target.goal is not None:
        assert target.holds(target.goal, target.must)
        assert not target.holds(target.must, target.goal)


@pytest.mark.parametrize(
    ("figure", "more", "reached"),
    [
        (2.0, False, Reached.GOAL),
        (2.1, False, Reached.MUST),
        (4.0, False, Reached.MUST),
        (4.1, False, Reached.NEITHER),
        (4.1, True, Reached.GOAL),
        (1.9, True, Reached.NEITHER),
    ],
)
def test_a_bound_is_reached_where_the_figure_is_on_it(figure: float, more: bool, reached: Reached) -> None:
    bounds = {"must": 2.0, "goal": 4.0} if more else {"must": 4.0, "goal": 2.0}
    assert row(ours=[figure], target=Target(Of.FIGURE, **bounds, more=more)).reached is reached


def test_a_target_of_the_ratio_is_held_against_the_ratio() -> None:
    assert row(ours=[300.0], floor=[200.0], target=Target(Of.RATIO, 2.0, 1.0)).reached is Reached.MUST


def test_a_ratio_is_taken_within_a_round() -> None:
    assert row(ours=[1.0, 20.0, 300.0], floor=[1.0, 10.0, 100.0]).ratio == 2.0


def test_what_went_wrong_reaches_nothing_and_says_why() -> None:
    broken = row(target=Target(Of.FIGURE, 9.0, 8.0), broken="3 answers were no 2xx")
    assert (broken.reached, broken.note) == (Reached.BROKEN, "3 answers were no 2xx")


@pytest.mark.parametrize(
    ("load", "stored", "words"),
    [
        (Load(100, 0, 0, 1.0, 1.0, 1.0), 100, ""),
        (Load(100, 2, 0, 1.0, 1.0, 1.0), 98, "2 answers were no 2xx"),
        (Load(100, 0, 1, 1.0, 1.0, 1.0), 100, "1 connections broke"),
        (Load(100, 0, 0, 1.0, 1.0, 1.0), 99, "what was answered is not what is stored"),
        (Load(100, 0, 0, 1.0, 1.0, 1.0), 101, "what was answered is not what is stored"),
    ],
)
def test_a_load_is_broken_where_an_answer_was_refused_or_its_alert_is_not_stored(
    load: Load, stored: int, words: str
) -> None:
    seen, what = Seen(), ("SQLite", 1, Mix.DISTINCT)
    seen.loads[what].append(load)
    seen.stored[what].append((7, 7 + stored))
    assert seen.wrong(*what) == words


@pytest.mark.parametrize(
    "made",
    [row(), row(target=Target(Of.FIGURE, 2, 1), store="none"), missing("a figure", NO_WRK)],
    ids=["plain", "with target", "missing"],
)
def test_every_row_fills_the_columns_of_the_table(made: Row) -> None:
    shown = cells(made)
    assert len(shown) == len(HEADINGS)
    assert [text for text in shown if "|" in text or "None" in text] == []


def test_without_wrk_the_rows_that_need_it_say_so_by_their_names() -> None:
    rows = posts.measure(NO_WRK_PLAN)
    assert {(one.reached, one.note) for one in rows} == {(Reached.NOT_MEASURED, NO_WRK)}
    assert len({one.name for one in rows}) == len(rows) == len(list(posts.names()))


def test_a_figure_has_the_same_name_whether_it_is_measured_or_not() -> None:
    seen = Seen()
    for connections in posts.CONNECTIONS:
        for mix in Mix:
            for who in (*posts.FLOORS, *posts.ENGINES):
                seen.loads[who, connections, mix].append(Load(100, 0, 0, 1.0, 1.0, 1.0))
    for what in (posts.FLUSH, *posts.ENGINES):
        seen.commits[what].append(1.0)
    assert [one.name for one in posts._rows(seen)] == list(posts.names())


async def test_a_store_is_filled_to_its_size_and_one_in_ten_of_it_is_active(world: World, settings: Settings) -> None:
    await world.alert()
    await asyncio.to_thread(fill, settings.database_url, 41)
    totals = [(await world.get("/v1/incidents", **query))["total"] for query in ({}, {"active_only": True})]
    assert totals == [41, 5]
    assert [one["number"] for one in await world.incidents(active_only=True)] == [1, 11, 21, 31, 41]


async def test_the_raw_driver_is_asked_what_the_service_asks_of_active_incidents(
    world: World, settings: Settings, tmp_path: Path
) -> None:
    statements = await lists._statements(settings.database_url, tmp_path)
    asked = [text for text, _ in statements if "incidents" in text]
    assert len(asked) == 2
    assert [text for text in asked if "NOT IN ('Resolved', 'Closed')" not in text] == []


def test_the_load_leaves_as_much_room_for_a_number_as_it_writes() -> None:
    script = SCRIPT.read_text()
    assert USUAL_BODY.count(PLACE.encode()) == 1
    assert re.findall(r"%0(\d+)d", script) == re.findall(r"#before \+ (\d+) \+", script) == [str(len(PLACE))]


def test_every_floor_that_is_named_is_one_that_can_be_served() -> None:
    assert set(posts.FLOORS.values()) == set(floors.FLOORS)


def test_a_part_runs_and_is_written_down(tmp_path: Path) -> None:
    write(bench.measure(["decode"], Plan(0.001, 1, tmp_path, (), None)), tmp_path)
    read = msgspec.json.decode((tmp_path / "bench.json").read_bytes(), type=Report)
    assert [one.name.partition(":")[0] for one in read.rows] == ["decode the usual alert", "decode the densest body"]
    table = [line for line in (tmp_path / "bench.md").read_text().splitlines() if line.startswith("|")]
    assert {line.count("|") for line in table} == {len(HEADINGS) + 1}
