"""Metrics of one application, as Prometheus counts: what each means, and when it moves.

Every label's values are a closed set (methods, routes, codes, verdicts, functions of the store), never what a caller sends. A
process counts for itself: where several share a port, each scrape meets one of them.
"""

import asyncio
import functools
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from inspect import currentframe
from time import perf_counter
from types import FrameType
from typing import Any, Final, ParamSpec, TypeVar, cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.process_collector import ProcessCollector

P = ParamSpec("P")
T = TypeVar("T")
Method = TypeVar("Method", bound=Callable[..., Any])

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
LOOP_WATCHED_EVERY: Final = 0.5  # seconds
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER: Final = "other"
_SCOPE: Final = " (this process)"
_NO_ROUTE: Final = "none"
_STORE: Final = "incident_manager.store."
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_PREFIX: Final = "incident_manager"

_statement: ContextVar[str] = ContextVar("statement", default="flush")  # what a session writes of itself has no name

# Beside each metric stands another one of when it began; when the process did is a metric of its own.
disable_created_metrics()  # type: ignore[no-untyped-call] # the library leaves out that it returns None


class Telemetry:
    """The metrics of one application, in a registry of their own."""

    def __init__(self, version: str = "") -> None:
        self.registry: Final = CollectorRegistry()
        self._requests: Final = self._counter(
            "requests", "Requests answered, by route template; 499: the caller left", "method", "route", "status"
        )
        self._request_seconds: Final = self._histogram(
            "request_seconds", "Time from a request's first byte to the end of its answer", "method", "route"
        )
        self._rejections: Final = self._counter("rejections", "Requests refused, by the code of the problem", "reason")
        self._alerts: Final = self._counter(
            "alerts", "Alerts committed, by what was done with them and why", "outcome", "reason"
        )
        self._commits: Final = self._histogram("commit_seconds", "Time that a commit took, failed ones too")
        self._statements: Final = self._histogram(
            "sql_seconds", "Time that a statement took, by the store's function that runs it", "statement"
        )
        # Kept, since finding the labels' own metric costs as much as all the rest.
        self._request_kinds: Final = cache(
            lambda method, route, status: (
                self._requests.labels(method, route, status).inc,
                self._request_seconds.labels(method, route).observe,
            )
        )
        self._alert_kinds: Final = cache(lambda outcome, reason: self._alerts.labels(outcome, reason).inc)
        self._statement_kinds: Final = cache(lambda name: self._statements.labels(name).observe)
        self._loop_lag: Final = self._histogram(
            "event_loop_lag_seconds",
            f"How late the event loop ran what was due, looked at every {LOOP_WATCHED_EVERY} s",
        )
        self._pools: Final = {
            name: self._gauge(f"pool_{name}", words, "pool")
            for name, words in {
                "size": "Database connections that a pool may hold",
                "in_use": "Database connections in use",
                "waiting": "Units of work that wait for a connection, for their turn to write, or for another try",
            }.items()
        }
        self._batches: Final = Histogram(
            f"{_PREFIX}_intake_batch_alerts",
            f"Alerts that shared a commit{_SCOPE}",
            registry=self.registry,
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000),
        )
        self._waiting: Final = self._gauge("intake_waiting", "Alerts that wait in line for a commit to begin")
        self._firing: Final = {"opened": 0, "attached": 0}
        ratio = "Share of firing alerts that attached to an open incident, since the start"
        self._gauge("dedup_ratio", ratio).set_function(self._dedup_ratio)
        info = Info(f"{_PREFIX}_build", "What is running", registry=self.registry)
        info.info({"version": version, "python": platform.python_version()})
        ProcessCollector(registry=self.registry)

    def exposition(self) -> bytes:
        """Return everything in Prometheus's text format, version 0.0.4."""
        return generate_latest(self.registry)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; `route` is the template of its address, empty where no route matched."""
        count, observe = self._request_kinds(method if method in METHODS else OTHER, route or _NO_ROUTE, status)
        count()
        observe(seconds)

    def rejection(self, code: str) -> None:
        """Count a request that was refused."""
        self._rejections.labels(code).inc()

    def batch(self, alerts: Mapping[tuple[str, str], int]) -> None:
        """Count a commit of intake: how many alerts shared it, by what was done with them and why."""
        self._batches.observe(sum(alerts.values()))
        for (outcome, reason), number in alerts.items():
            self._alert_kinds(outcome, reason)(number)
            if outcome in self._firing:
                self._firing[outcome] += number

    def line(self, look: Callable[[], int]) -> None:
        """Show how many alerts wait whenever somebody asks."""
        self._waiting.set_function(look)

    @contextmanager
    def commit(self) -> Iterator[None]:
        """Time a commit."""
        began = perf_counter()
        try:
            yield
        finally:
            self._commits.observe(perf_counter() - began)

    def pool(self, name: str, look: Callable[[], tuple[int, int, int]]) -> None:
        """Show a pool as it is whenever somebody asks; `look` returns its size, connections in use, and units of work."""
        self._pools["size"].labels(name).set_function(lambda: look()[0])
        self._pools["in_use"].labels(name).set_function(lambda: look()[1])
        self._pools["waiting"].labels(name).set_function(lambda: max(0, look()[2] - look()[1]))

    def statement_begins(self, _connection: object, _cursor: object, statement: str, *more: Any) -> None:
        """Note when a statement begins, where its end finds it; SQLAlchemy's event `before_cursor_execute`."""
        name = "begin" if statement.startswith("BEGIN") else _statement.get()
        more[1].began = name, perf_counter()

    def statement_ends(self, _connection: object, _cursor: object, _statement: str, *more: Any) -> None:
        """Time a statement; SQLAlchemy's event `after_cursor_execute`."""
        self._statement_took(more[1])

    def statement_fails(self, failure: Any) -> None:
        """Time a statement that failed: one that ran into its limit must show; SQLAlchemy's event `handle_error`."""
        if failure.execution_context is not None:
            self._statement_took(failure.execution_context)

    async def watch_loop(self, every: float = LOOP_WATCHED_EVERY) -> None:
        """Measure, for as long as it runs, how late the loop comes back to what is due."""
        while True:
            due = perf_counter() + every
            await asyncio.sleep(every)
            self._loop_lag.observe(max(0.0, perf_counter() - due))

    def statement(self, name: str, seconds: float) -> None:
        """Time a statement, by the store's function that it is of."""
        self._statement_kinds(name)(seconds)

    def _statement_took(self, context: Any) -> None:
        name, began = context.began
        self.statement(name, perf_counter() - began)

    def _dedup_ratio(self) -> float:
        attached, opened = self._firing["attached"], self._firing["opened"]
        return attached / (attached + opened) if attached + opened else 0.0

    def _counter(self, name: str, words: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", f"{words}{_SCOPE}", labels, registry=self.registry)

    def _histogram(self, name: str, words: str, *labels: str) -> Histogram:
        return Histogram(f"{_PREFIX}_{name}", f"{words}{_SCOPE}", labels, registry=self.registry, buckets=_BUCKETS)

    def _gauge(self, name: str, words: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", f"{words}{_SCOPE}", labels, registry=self.registry)


def named(method: Method) -> Method:
    """Return a session's method such that the statements it runs bear the name of the store's function that calls it."""

    @functools.wraps(method)
    async def call(*arguments: Any, **keywords: Any) -> Any:
        token = _statement.set(_name(currentframe()))
        try:
            return await method(*arguments, **keywords)
        finally:
            _statement.reset(token)

    return cast("Method", call)


def _name(frame: FrameType | None) -> str:
    """Return `alerts.insert_alerts` for the store's function that called, and one word for all who are not the store.

    A session's method may call another one of its own: the statement keeps the name that it has.
    """
    caller = frame.f_back if frame else None
    module = caller.f_globals["__name__"] if caller else ""
    if module.startswith("sqlalchemy."):
        return _statement.get()
    if caller is None or not module.startswith(_STORE):
        return OTHER
    return f"{module.removeprefix(_STORE)}.{caller.f_code.co_qualname.partition('.<locals>')[0]}"
