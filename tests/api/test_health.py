"""Health: public, honest about the database, and quiet about everything else."""

import asyncio
import shutil
from typing import NamedTuple

import msgspec
import pytest
import sqlalchemy as sa

from incident_manager import migrate
from incident_manager.api import health
from incident_manager.settings import Settings
from tests.api.outage import cut_off
from tests.api.stalling import stalled
from tests.postgres import execute
from tests.world import World, running

PATHS = ["/health", "/health/live", "/health/ready"]


async def test_all_is_well(world: World) -> None:
    world.forward(seconds=90.5)
    health = (await world.as_key(None).get("/health")).json()
    assert health.pop("version")
    assert health == {
        "status": "healthy",
        "uptime_seconds": 90.5,
        "checks": {"database": {"status": "healthy", "detail": ""}},
    }


async def test_each_question_is_answered_without_a_key(world: World) -> None:
    for path in PATHS:
        response = await world.as_key(None).get(path)
        assert (response.status_code, response.json()["status"]) == (200, "healthy")


async def test_without_its_database_it_lives_and_is_not_ready(settings: Settings) -> None:
    async with cut_off(settings) as world:
        answers = {path: await world.as_key(None).get(path) for path in PATHS}
    assert [answer.status_code for answer in answers.values()] == [503, 200, 503]
    for path in ("/health", "/health/ready"):
        assert answers[path].json()["checks"]["database"]["status"] == "unhealthy"
        assert answers[path].headers["retry-after"] == "1"
        assert answers[path].headers["content-type"] == "application/json"


async def test_what_was_weak_at_the_start_degrades_and_still_serves(settings: Settings) -> None:
    async with running(settings) as world:
        parts = world.parts
        object.__setattr__(parts, "weaknesses", ("PostgreSQL's fsync is off",))
        response = await world.as_key(None).get("/health")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["checks"]["database"]["detail"] == "PostgreSQL's fsync is off"


async def test_health_tells_nothing_of_addresses_or_secrets(settings: Settings) -> None:
    known = msgspec.structs.replace(settings.auth, secret="canary-0123456789-abcdefghijklmnop")
    async with cut_off(msgspec.structs.replace(settings, auth=known)) as world:
        text = (await world.as_key(None).get("/health")).text
    assert "canary" not in text
    assert "sqlite" not in text
    assert "postgres" not in text.lower().replace("postgresql's", "")


async def looked_at(world: World) -> tuple[int, str, str]:
    response = await world.as_key(None).get("/health")
    check = response.json()["checks"]["database"]
    assert response.json()["status"] == check["status"]
    return response.status_code, check["status"], check["detail"]


async def test_a_database_that_hangs_is_told_while_it_does_and_by_one_look_at_once(settings: Settings) -> None:
    """Where a look had no limit of its own, the database's would end it, in other words and much later."""
    async with stalled(settings) as (world, _):
        answers = await asyncio.gather(*(looked_at(world) for _ in range(20)))
        at_work = world.parts.database._readers.pool.checkedout()
        live = await world.as_key(None).get("/health/live")
    assert set(answers) == {(503, "unhealthy", "the database does not answer within 2 s")}
    assert (1 <= at_work <= 2, live.status_code) == (True, 200)


async def test_a_database_that_answers_again_is_seen_at_once(settings: Settings) -> None:
    async with stalled(settings) as (world, resume):
        hanging = await looked_at(world)
        resume()
        again = await looked_at(world)
    assert (hanging[0], again[0]) == (503, 200)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_writer_that_is_busy_for_long_degrades_and_does_not_end_service(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "LOOK_SECONDS", 0.3)
    async with running(settings) as world, world.parts.database._write_turn:
        code, status, detail = await looked_at(world)
    assert (code, status) == (200, "degraded")
    assert "writer has been busy" in detail


class Usage(NamedTuple):
    free: int


@pytest.mark.parametrize(("mebibytes", "status"), [(511, "degraded"), (512, "healthy")])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_disk_that_runs_full_degrades(
    world: World, monkeypatch: pytest.MonkeyPatch, mebibytes: int, status: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(mebibytes * 1024**2))
    detail = "511 MiB of disk are left for the database" if status == "degraded" else ""
    assert await looked_at(world) == (200, status, detail)


async def change(world: World, statement: str) -> None:
    async with world.parts.database.engine.connect() as connection:
        await connection.exec_driver_sql(statement)
        await connection.commit()


async def test_a_schema_of_another_version_degrades(world: World) -> None:
    await change(world, "UPDATE alembic_version SET version_num = 'newer'")
    detail = f"the schema is at version newer, this program needs {migrate.head()}"
    assert await looked_at(world) == (200, "degraded", detail)


@pytest.mark.parametrize("statement", ["DROP TABLE alembic_version", "DELETE FROM alembic_version"])
async def test_a_database_without_our_tables_cannot_serve(world: World, statement: str) -> None:
    await change(world, statement)
    assert await looked_at(world) == (503, "unhealthy", "the database has no tables of this program")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_postgresql_that_takes_no_writes_cannot_serve(world: World, database_url: str) -> None:
    name = sa.make_url(database_url).database
    await execute(database_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await world.parts.database.engine.dispose()
    assert await looked_at(world) == (503, "unhealthy", "the database takes no writes")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_durability_that_is_lost_while_it_runs_degrades(world: World, database_url: str) -> None:
    await execute(database_url, f"ALTER DATABASE {sa.make_url(database_url).database} SET synchronous_commit = off")
    await world.parts.database.engine.dispose()
    assert await looked_at(world) == (200, "degraded", "PostgreSQL's synchronous_commit is off")
