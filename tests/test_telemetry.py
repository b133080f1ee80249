"""Metrics by themselves: each moves by what happened, and no label takes what a caller sends."""

import asyncio
import time
from collections.abc import Mapping
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from incident_manager.db import Database, Session
from incident_manager.errors import Unavailable
from incident_manager.settings import Settings, load
from incident_manager.store import durability
from incident_manager.telemetry import Telemetry, named

P = "incident_manager_"


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry("1.2.3")


def value(telemetry: Telemetry, name: str, labels: Mapping[str, str] | None = None) -> float | None:
    return telemetry.registry.get_sample_value(f"{P}{name}", dict(labels or {}))


def labels_of(telemetry: Telemetry, label: str) -> set[str]:
    samples = [sample for metric in telemetry.registry.collect() for sample in metric.samples]
    return {sample.labels[label] for sample in samples if label in sample.labels}


def test_two_applications_share_nothing() -> None:
    one, other = Telemetry(), Telemetry()
    one.batch({("opened", "first_seen"): 1})
    assert value(other, "alerts_total", {"outcome": "opened", "reason": "first_seen"}) is None


def test_what_runs_is_told(telemetry: Telemetry) -> None:
    [build] = [metric for metric in telemetry.registry.collect() if metric.name == f"{P}build"]
    [sample] = build.samples
    assert (sample.name, sample.labels["version"], sample.value) == (f"{P}build_info", "1.2.3", 1)
    assert sample.labels.keys() == {"version", "python"}


def test_the_process_itself_is_measured(telemetry: Telemetry) -> None:
    assert b"process_cpu_seconds_total " in telemetry.exposition()
    assert b"process_resident_memory_bytes " in telemetry.exposition()


def test_every_metric_says_what_it_is_and_none_says_when_it_was_made(telemetry: Telemetry) -> None:
    telemetry.rejection("CONFLICT")
    ours = [metric for metric in telemetry.registry.collect() if metric.name.startswith(P) and metric.type != "info"]
    assert all(metric.documentation.endswith(" (this process)") for metric in ours)
    assert b"_created" not in telemetry.exposition()


@pytest.mark.parametrize(
    ("outcomes", "ratio"),
    [([], 0), (["opened"], 0), (["opened", "attached", "attached", "attached"], 0.75), (["resolved", "suppressed"], 0)],
)
def test_the_ratio_is_of_what_attached_to_what_fired(telemetry: Telemetry, outcomes: list[str], ratio: float) -> None:
    for outcome in outcomes:
        telemetry.batch({(outcome, "any"): 1})
    assert value(telemetry, "dedup_ratio") == ratio


def test_methods_and_routes_that_do_not_exist_share_one_name(telemetry: Telemetry) -> None:
    for number in range(50):
        telemetry.request(f"BREW{number}", "", 405, 0.001)
    assert labels_of(telemetry, "method") == {"other"}
    assert labels_of(telemetry, "route") == {"none"}
    assert value(telemetry, "requests_total", {"method": "other", "route": "none", "status": "405"}) == 50


def test_a_commit_that_fails_counts_too(telemetry: Telemetry) -> None:
    with pytest.raises(ConnectionError), telemetry.commit():
        raise ConnectionError
    assert value(telemetry, "commit_seconds_count") == 1


async def test_a_loop_that_is_held_up_shows_by_how_long(telemetry: Telemetry) -> None:
    watch = asyncio.create_task(telemetry.watch_loop(every=0.01))
    await asyncio.sleep(0)
    time.sleep(0.2)  # what holds it up  # noqa: ASYNC251
    await asyncio.sleep(0.01)  # a timer that is due after the watch's
    watch.cancel()
    assert value(telemetry, "event_loop_lag_seconds_sum") >= 0.15
    assert value(telemetry, "event_loop_lag_seconds_bucket", {"le": "0.1"}) == 0


def measured(database: Database) -> Telemetry:
    return database._telemetry


async def test_a_statement_bears_the_name_of_the_stores_function(database: Database) -> None:
    await database.read(durability.answers, tenant_id=None)
    await database.read(durability.answers, tenant_id=None)
    assert value(measured(database), "sql_seconds_count", {"statement": "durability.answers"}) == 2


async def test_what_is_not_the_stores_has_one_name(database: Database) -> None:
    async def elsewhere(session: Session) -> None:
        await session.scalar(text("SELECT 1"))
        await session.execute(text("SELECT 2"))

    await database.read(elsewhere, tenant_id=None)
    assert labels_of(measured(database), "statement") - {"begin"} == {"other"}
    assert value(measured(database), "sql_seconds_count", {"statement": "other"}) == 2


async def test_a_statement_that_fails_is_timed_too(database: Database) -> None:
    async def broken(session: Session) -> None:
        await session.execute(text("SELECT nothing FROM nowhere"))

    with pytest.raises(Exception, match="nowhere"):
        await database.read(broken, tenant_id=None)
    assert value(measured(database), "sql_seconds_count", {"statement": "other"}) == 1


async def test_a_name_lasts_as_long_as_its_statement() -> None:
    seen = []
    telemetry = Telemetry()

    async def run() -> None:
        context = SimpleNamespace()
        telemetry.statement_begins(None, None, "SELECT 1", (), context, False)
        seen.append(context.began[0])

    await named(run)()
    await run()
    assert seen == ["other", "flush"]


async def test_only_what_writes_commits(database: Database) -> None:
    await database.read(durability.answers, tenant_id=None)
    await database.transaction(durability.answers, tenant_id=None)
    assert value(measured(database), "commit_seconds_count") == 1


async def test_pools_show_who_works_and_who_waits(settings: Settings) -> None:
    few = load({"database.url": settings.database_url, "database.pool_size": 1})
    telemetry = Telemetry()
    database = Database(few.database_url, few.database, telemetry)
    pool = {"pool": "writer" if database.is_sqlite else "shared"}
    inside, leave = asyncio.Event(), asyncio.Event()

    async def stay(session: Session) -> None:
        await durability.answers(session)
        inside.set()
        await leave.wait()

    tasks = [asyncio.create_task(database.transaction(stay, tenant_id=None)) for _ in range(3)]
    await inside.wait()
    await asyncio.sleep(0)
    shown = [value(telemetry, f"pool_{name}", pool) for name in ("size", "in_use", "waiting")]
    leave.set()
    await asyncio.gather(*tasks)
    after = [value(telemetry, f"pool_{name}", pool) for name in ("size", "in_use", "waiting")]
    await database.close()
    assert (shown, after) == ([1, 1, 2], [1, 0, 0])


async def test_nobody_is_counted_as_waiting_after_a_failure() -> None:
    gone = Database("postgresql://127.0.0.1:1/n", load().database)
    with pytest.raises(Unavailable):
        await gone.read(durability.answers, tenant_id=None)
    assert value(measured(gone), "pool_waiting", {"pool": "shared"}) == 0
    await gone.close()
