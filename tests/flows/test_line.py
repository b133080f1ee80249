"""The line before the commit: who shares one, who is refused, and what a failure does to the others."""

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import pytest

from incident_manager.errors import AuthenticationFailed, RequestError, Unavailable
from incident_manager.flows.intake.line import GROUP, Line, Parcel, Refused
from incident_manager.flows.intake.submissions import submit
from incident_manager.ids import new_id
from incident_manager.rules.access import Actor, ActorKind
from incident_manager.schemas.alerts import AlertFields
from incident_manager.settings import load
from tests.world import START

ACTOR = Actor(tenant_id=new_id(), kind=ActorKind.COMMAND_LINE, name="test")
ASKED_BY: ContextVar[str] = ContextVar("ASKED_BY", default="nobody")


class Commits:
    """What stands behind a line: notes each batch, and lets none end before it is told to."""

    def __init__(self) -> None:
        self.batches: list[str] = []
        self.errors: dict[str, Exception] = {}
        self.holds: str | None = None
        self.began, self.go = asyncio.Event(), asyncio.Event()

    async def __call__(self, parcels: Sequence[Parcel]) -> None:
        names = [title(parcel) for parcel in parcels]
        self.batches.append(" ".join(names))
        self.began.set()
        if self.holds is None or self.holds in names:
            await self.go.wait()
        if refused := {
            parcel: self.errors[name] for parcel, name in zip(parcels, names, strict=True) if name in self.errors
        }:
            raise self._raised(refused)
        for parcel in parcels:
            parcel.reply([])

    def _raised(self, refused: dict[Parcel, Any]) -> Exception:
        """Refuse by name what a caller did; raise as it is what else goes wrong."""
        error: Exception = next(iter(refused.values()))
        by_name = isinstance(error, RequestError) and not isinstance(error, Unavailable)
        return Refused(refused) if by_name else error


@pytest.fixture
def commits() -> Commits:
    return Commits()


@pytest.fixture
def line(commits: Commits) -> Line:
    return Line(commits, lanes=1, limit=1_000_000, seconds=60)


def parcel(name: str, size: int = 1) -> Parcel:
    alert = AlertFields(title=name, dedup_key=name)
    made = submit(alert, ACTOR, source="s", settings=load().dedup, received_at=START)
    return Parcel([made] * size, tenant_id=ACTOR.tenant_id, received_at=START)


def title(given: Parcel) -> str:
    return given.submissions[0].row.title


Waiting = dict[str, asyncio.Task[Any]]


def hand_in(line: Line, names: str, size: int = 1) -> Waiting:
    return {name: asyncio.create_task(line.hand_in(parcel(name, size))) for name in names.split()}


async def turn(times: int = 2) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


async def behind(line: Line, commits: Commits, names: str) -> Waiting:
    """Hand in `first`, and these once its commit runs."""
    waiting = hand_in(line, "first")
    await commits.began.wait()
    waiting |= hand_in(line, names)
    await turn()
    return waiting


async def outcomes(waiting: Waiting) -> dict[str, str]:
    """Return what each was told: nothing, or the kind of its error."""
    found = await asyncio.gather(*waiting.values(), return_exceptions=True)
    return {name: type(one).__name__ if one != [] else "" for name, one in zip(waiting, found, strict=True)}


async def test_who_comes_alone_is_committed_at_once(line: Line, commits: Commits) -> None:
    waiting = hand_in(line, "a")
    await turn()
    assert commits.batches == ["a"]
    commits.go.set()
    await waiting["a"]


async def test_what_comes_while_a_commit_runs_is_the_next_one(line: Line, commits: Commits) -> None:
    waiting = await behind(line, commits, "a b c")
    assert (commits.batches, line.waiting) == (["first"], 3)
    commits.go.set()
    assert set((await outcomes(waiting)).values()) == {""}
    assert (commits.batches, line.waiting) == (["first", "a b c"], 0)


async def test_nobody_is_answered_before_the_commit(line: Line, commits: Commits) -> None:
    waiting = await behind(line, commits, "a")
    assert not any(task.done() for task in waiting.values())
    commits.go.set()
    await outcomes(waiting)


async def test_a_commit_takes_so_many_alerts_and_no_parcel_is_cut(line: Line, commits: Commits) -> None:
    waiting = await behind(line, commits, "")
    for name, size in {"a": GROUP - 1, "b": 1, "c": 1, "d": GROUP + 1, "e": 1}.items():
        waiting |= hand_in(line, name, size)
    commits.go.set()
    await outcomes(waiting)
    assert commits.batches == ["first", "a b", "c", "d", "e"]


async def test_a_commit_runs_in_no_request_s_context(commits: Commits) -> None:
    async def look(parcels: Sequence[Parcel]) -> None:
        seen.append(ASKED_BY.get())
        await commits(parcels)

    seen: list[str] = []
    commits.go.set()
    ASKED_BY.set("the first of them")
    await Line(look, lanes=1, limit=9, seconds=60).hand_in(parcel("a"))
    assert seen == ["nobody"]


async def test_where_too_many_wait_the_next_is_refused_at_once(commits: Commits) -> None:
    line = Line(commits, lanes=1, limit=3, seconds=60)
    waiting = await behind(line, commits, "a b c")
    with pytest.raises(Unavailable, match="too many"):
        await line.hand_in(parcel("d"))
    commits.go.set()
    await outcomes(waiting)
    assert commits.batches == ["first", "a b c"]
    await line.hand_in(parcel("e"))


async def test_a_parcel_beyond_the_limit_goes_where_nobody_waits_and_only_there(commits: Commits) -> None:
    line = Line(commits, lanes=1, limit=3, seconds=60)
    waiting = await behind(line, commits, "") | hand_in(line, "big", 10)
    await turn()
    with pytest.raises(Unavailable, match="too many"):
        await line.hand_in(parcel("bigger", 11))
    commits.go.set()
    await outcomes(waiting)
    assert commits.batches == ["first", "big"]


async def test_a_caller_who_leaves_before_the_commit_begins_is_left_out(line: Line, commits: Commits) -> None:
    waiting = await behind(line, commits, "a b c")
    waiting["b"].cancel()
    commits.go.set()
    assert await outcomes(waiting) == {"first": "", "a": "", "b": "CancelledError", "c": ""}
    assert (commits.batches, line.waiting) == (["first", "a c"], 0)


async def test_a_caller_who_leaves_while_the_commit_runs_is_committed_with_the_others(
    line: Line, commits: Commits
) -> None:
    waiting = hand_in(line, "a b c")
    await commits.began.wait()
    waiting["b"].cancel()
    commits.errors["c"] = LookupError()  # so that those whose commit has begun are tried once more, by halves
    commits.go.set()
    assert await outcomes(waiting) == {"a": "", "b": "CancelledError", "c": "LookupError"}
    assert commits.batches == ["a b c", "a", "b c", "b", "c"]


@pytest.mark.parametrize("poisoned", ["a", "d", "h"])
async def test_what_cannot_be_committed_fails_alone(line: Line, commits: Commits, poisoned: str) -> None:
    commits.errors[poisoned] = LookupError()
    waiting = await behind(line, commits, "a b c d e f g h")
    commits.go.set()
    assert [name for name, told in (await outcomes(waiting)).items() if told] == [poisoned]
    assert len(commits.batches) == 1 + 7  # of 8: the whole, and twice three halvings


async def test_a_line_goes_on_after_a_failure(line: Line, commits: Commits) -> None:
    commits.errors["a"] = LookupError()
    commits.go.set()
    assert await outcomes(hand_in(line, "a")) == {"a": "LookupError"}
    assert await outcomes(hand_in(line, "b")) == {"b": ""}


async def test_who_is_refused_by_name_is_told_and_the_others_are_tried_again_together(
    line: Line, commits: Commits
) -> None:
    commits.errors = dict.fromkeys("ad", AuthenticationFailed("the key is not valid"))
    waiting = await behind(line, commits, "a b c d")
    commits.go.set()
    told = await outcomes(waiting)
    assert [name for name in told if told[name] == "AuthenticationFailed"] == ["a", "d"]
    assert commits.batches == ["first", "a b c d", "b c"]


async def test_where_the_database_does_not_answer_all_are_told_and_nothing_is_halved(
    line: Line, commits: Commits
) -> None:
    commits.errors["b"] = Unavailable("the database does not answer")
    waiting = await behind(line, commits, "a b c")
    commits.go.set()
    assert await outcomes(waiting) == {"first": ""} | dict.fromkeys("abc", "Unavailable")
    assert commits.batches == ["first", "a b c"]


async def test_whoever_waits_too_long_is_told_and_is_not_committed_later(commits: Commits) -> None:
    line = Line(commits, lanes=1, limit=9, seconds=0)
    waiting = await behind(line, commits, "a")
    assert await outcomes(waiting) == {"first": "Unavailable", "a": "Unavailable"}
    commits.go.set()
    await line.drain()
    assert (commits.batches, line.waiting) == (["first"], 0)


async def test_a_fingerprint_keeps_its_order_while_other_lanes_go_on(commits: Commits) -> None:
    line = Line(commits, lanes=4, limit=1_000, seconds=60)
    commits.holds = "k"
    waiting = hand_in(line, "k")
    await commits.began.wait()
    repeats, others = [hand_in(line, "k") for _ in range(3)], hand_in(line, " ".join("abcdefghijlmnop"))
    await asyncio.wait(others.values(), return_when=asyncio.FIRST_COMPLETED)
    assert [batch for batch in commits.batches if "k" in batch] == ["k"]
    commits.go.set()
    for one in (waiting, *repeats, others):
        assert set((await outcomes(one)).values()) == {""}
    assert [batch.count("k") for batch in commits.batches if "k" in batch] == [1, 3]


async def test_draining_waits_for_all_that_is_in_line(line: Line, commits: Commits) -> None:
    waiting = await behind(line, commits, "a b")
    drained = asyncio.create_task(line.drain())
    await turn(5)
    assert not drained.done()
    commits.go.set()
    await drained
    assert (commits.batches, line.waiting) == (["first", "a b"], 0)
    await outcomes(waiting)


async def test_an_empty_line_is_drained_at_once(line: Line) -> None:
    await line.drain()
