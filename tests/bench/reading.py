"""What people read of a large store, question by question, and an acknowledgement: beside the same SQL, and a small store."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from tests.bench import servers
from tests.bench.asking import Request, Statements, answer, by_driver, over_http, percentile, statements
from tests.bench.engines import Engine
from tests.bench.large import Large, enlarge, sized
from tests.bench.plan import Plan
from tests.bench.rows import Row, measured
from tests.bench.servers import Served
from tests.bench.shapes import ACTIVE_EVERY, ACTIVE_NEWEST, COMMON, RARE
from tests.bench.targets import LIST_GROWTH, LIST_RAW, READ_MILLISECONDS

SMALL: Final = 10_000
OURS, RAW = "ours", "the same SQL by the raw driver"
LIST, ALERTS, TIMELINE = "/v1/incidents", "/v1/incidents/2/alerts", "/v1/incidents/3/timeline"
GROWING = {"newest 20": LIST, "newest 20 active": f"{LIST}?active_only=true"}
ACKNOWLEDGE: Final = "acknowledge"
SIMPLE = {
    **GROWING,
    "list by severity": f"{LIST}?sort=severity",
    "list by last update": f"{LIST}?sort=-updated_at",
    "filter: state": f"{LIST}?states=Investigating",
    "filter: severity": f"{LIST}?severities=P0",
    "filter: source": f"{LIST}?sources=zabbix",
    "filter: source without any": f"{LIST}?sources=nobody",
    "filter: type": f"{LIST}?types=Security",
    "filter: service": f"{LIST}?services=service-7",
    "filter: label": f"{LIST}?labels=instance:host-77",
    "filter: common label": f"{LIST}?labels=cluster:prod-3",
    "filter: assignee": f"{LIST}?assignees=person-3",
    "search: common word": f"{LIST}?q={COMMON}",
    "search: rare word": f"{LIST}?q={RARE}",
    "search: common word, active": f"{LIST}?q={COMMON}&active_only=true",
    "one by number": f"{LIST}/777",
    "timeline, first page": TIMELINE,
    "alerts of one, first page": ALERTS,
}


class Question(NamedTuple):
    """What is asked again and again, and what the database is sent for it."""

    requests: Iterator[Request]
    statements: Statements


class Store(NamedTuple):
    """A filled database, the server over it, and what is asked there."""

    size: Large
    url: str
    served: Served
    questions: dict[str, Question]


class Seen:
    """The milliseconds of each round, by who answered, the question, and how much is stored."""

    def __init__(self) -> None:
        self._times: dict[tuple[str, str, Large], list[list[float]]] = defaultdict(list)

    def add(self, who: str, question: str, size: Large, times: list[float]) -> None:
        self._times[who, question, size].append(times)

    def of(self, who: str, question: str, size: Large, part: float) -> list[float]:
        """Return the time that so many parts of each round keep within."""
        return [percentile(times, part) for times in self._times[who, question, size]]


def measure(plan: Plan) -> list[Row]:
    """Measure each engine, in rounds of the raw driver and the service, question by question."""
    return [row for engine in plan.engines for row in _of_engine(plan, engine)]


def _of_engine(plan: Plan, engine: Engine) -> list[Row]:
    seen = Seen()
    with ExitStack() as stack:
        small, large = (stack.enter_context(_store(plan, engine, sized(size))) for size in (SMALL, plan.incidents))
        for _ in range(plan.rounds):
            for store, names in ((small, GROWING), (large, large.questions)):
                for name in names:
                    _ask(seen, store, name, plan.seconds / 8)
        rows = [row for name in large.questions for row in _rows(seen, f"{name}, {engine.name}", name, large.size)]
    return rows + [_growth(seen, f"{name}, {engine.name}", name, small.size, large.size) for name in GROWING]


def _ask(seen: Seen, store: Store, name: str, seconds: float) -> None:
    question = store.questions[name]
    seen.add(RAW, name, store.size, by_driver(store.url, question.statements, seconds))
    seen.add(OURS, name, store.size, over_http(store.served, question.requests, seconds))


def _rows(seen: Seen, title: str, name: str, size: Large) -> Iterator[Row]:
    for part, word, target in ((0.99, "p99", READ_MILLISECONDS), (0.5, "p50", LIST_RAW)):
        yield measured(
            f"{title}, {word}",
            "ms",
            ours=seen.of(OURS, name, size, part),
            floor=seen.of(RAW, name, size, part),
            floor_name=RAW,
            target=target,
            store=str(size),
            note="its floor is rolled back, not committed" if name == ACKNOWLEDGE else "",
        )


def _growth(seen: Seen, title: str, name: str, small: Large, large: Large) -> Row:
    return measured(
        f"{title}, {large.incidents:,} against {small.incidents:,}",
        "ms",
        ours=seen.of(OURS, name, large, 0.5),
        floor=seen.of(OURS, name, small, 0.5),
        floor_name=f"of {small.incidents:,}",
        target=LIST_GROWTH,
        store=str(large),
    )


@contextmanager
def _store(plan: Plan, engine: Engine, size: Large) -> Iterator[Store]:
    """Make, fill and serve a database of a size."""
    folder = plan.folder / f"read-{engine.name}-{size.incidents}"
    with engine.database(folder) as url:
        with servers.ours(folder, url) as first:
            live_once(first)
        enlarge(url, size)
        with servers.ours(folder, url) as served:
            again = served._replace(key=first.key)  # it is told at the first start only
            yield Store(size, url, again, questions(url, folder, again, size))


def live_once(served: Served) -> None:
    """Let an incident go its usual way; it is what a store is made of."""
    body = {
        "source": "prometheus",
        "title": "Disk is full",
        "description": "It has 8.21 % left and loses 2 GiB an hour.",
    }
    for request in (
        Request("/v1/alerts", body),
        Request("/v1/alerts", body),
        Request(f"{LIST}/1/acknowledge", {"by": "ada"}),
        Request(f"{LIST}/1/resolve", {"resolved_by": "ada", "notes": "Grew the disk."}),
    ):
        answer(served, request)


def questions(url: str, folder: Path, served: Served, size: Large) -> dict[str, Question]:
    """Return all questions, the deep pages among them, ready to be asked."""
    asked = {name: [Request(path)] for name, path in SIMPLE.items()}
    asked["one by id"] = [Request(f"{LIST}/{answer(served, Request(f'{LIST}/777'))['id']}")]
    deepest = min(size.incidents // 200, 10_000)
    asked["deep page"] = [_after(served, LIST, f"page={deepest}&page_size=100", 1)]
    asked["timeline, deep page"] = [_after(served, TIMELINE, "page_size=100", size.long // 120)]
    asked["alerts of one, deep page"] = [_after(served, ALERTS, "page_size=100", size.long // 120)]
    active = range(size.incidents + 1, max(2, size.incidents + 1 - ACTIVE_NEWEST), -ACTIVE_EVERY)
    asked[ACKNOWLEDGE] = [Request(f"{LIST}/{number}/acknowledge", {}) for number in active]
    return {
        name: Question(itertools.cycle(requests), asyncio.run(statements(url, folder, requests[-1])))
        for name, requests in asked.items()
    }


def _after(served: Served, path: str, query: str, pages: int) -> Request:
    """Return the request for what follows so many pages of a list, the first of them asked for by a query."""
    cursor = answer(served, Request(f"{path}?{query}"))["next_cursor"]
    for _ in range(pages - 1):
        cursor = answer(served, Request(f"{path}?page_size=100&cursor={cursor}"))["next_cursor"]
    return Request(f"{path}?cursor={cursor}")
