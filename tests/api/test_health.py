"""Health: public, honest about the database, and quiet about everything else."""

import msgspec

from incident_manager.settings import Settings
from tests.api.outage import cut_off
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
