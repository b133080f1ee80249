"""Who may what: every route of the application, called by everybody there is."""

from datetime import timedelta

import msgspec
import pytest
from litestar import Controller, get

from incident_manager import app
from incident_manager.errors import StartRefused
from incident_manager.rules.access import Policy, Role
from incident_manager.settings import Settings
from tests.api.answers import refused
from tests.api.routes import ROUTES, names, table, things
from tests.world import START, World, running

ALLOWED = {
    Role.ADMIN: {Policy.METRICS, Policy.INGEST, Policy.READ, Policy.ACT, Policy.ADMINISTER},
    Role.RESPONDER: {Policy.METRICS, Policy.INGEST, Policy.READ, Policy.ACT},
    Role.VIEWER: {Policy.METRICS, Policy.READ},
    Role.INGEST: {Policy.METRICS, Policy.INGEST},
}
OPEN = {Policy.PUBLIC, Policy.OWN_KEY}
GUARDED = set(Policy) - OPEN
FORGED = "im_0123456789abcdef0123456789abcdef_" + "x" * 43
NOBODY = ["none", "malformed", "unknown", "wrong secret", "cut short", "expired", "revoked", "basic"]


async def credentials(world: World, who: str) -> str | None:
    """Return the Authorization header of somebody without a valid key."""
    key = await world.key(Role.ADMIN, expires_at=START + timedelta(hours=1))
    if who == "expired":
        world.forward(hours=1)
    if who == "revoked":
        (await world.http.delete(f"/v1/keys/{key.split('_')[1]}")).raise_for_status()
    return {
        "none": None,
        "malformed": "Bearer im_x",
        "unknown": f"Bearer {FORGED}",
        "wrong secret": f"Bearer {key[:-1]}{'A' if key[-1] != 'A' else 'E'}",
        "cut short": f"Bearer {key[:-1]}",
        "basic": f"Basic {key}",
    }.get(who, f"Bearer {key}")


async def walk(world: World, headers: dict[str, str]) -> dict[str, int]:
    """Call every route, on things that exist, and return how each answered."""
    made = await things(world)
    caller = world.as_key(None)
    statuses = {}
    for route in ROUTES:
        response = await caller.request(route.method, made.path(route), json=made.body(route), headers=headers)
        statuses[route.name] = response.status_code
    return statuses


def test_every_route_is_in_the_table_with_its_policy(settings: Settings) -> None:
    assert dict(table(app.create_app(settings))) == {route.name: route.policy for route in ROUTES}


@pytest.mark.parametrize("who", NOBODY)
async def test_nobody_without_a_valid_key_gets_anywhere_but_where_all_may(world: World, who: str) -> None:
    header = await credentials(world, who)
    statuses = await walk(world, {"Authorization": header} if header else {})
    assert {name for name, status in statuses.items() if status == 401} == names(*GUARDED)


@pytest.mark.parametrize("role", Role)
async def test_each_role_does_what_it_may_and_nothing_else(world: World, role: Role) -> None:
    statuses = await walk(world, {"Authorization": f"Bearer {await world.key(role)}"})
    assert {name for name, status in statuses.items() if status == 403} == names(*GUARDED - ALLOWED[role])
    assert 401 not in statuses.values()


async def test_what_an_admin_asks_of_things_that_exist_is_done(world: World) -> None:
    statuses = await walk(world, {"Authorization": f"Bearer {world.admin_key}"})
    assert {name: status for name, status in statuses.items() if status >= 300} == {"GET /schema/{path}": 404}


async def test_what_is_public_without_a_key_is_served(world: World) -> None:
    statuses = await walk(world, {})
    served = {name for name, status in statuses.items() if status == 200}
    assert served == names(*OPEN) - {"GET /schema/{path}"}


class Undeclared(Controller):
    path = "/v1/undeclared"

    @get()
    async def show(self) -> None:
        """Say nothing."""


def test_a_route_without_a_policy_stops_the_start(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "CONTROLLERS", (*app.CONTROLLERS, Undeclared))
    with pytest.raises(StartRefused, match="GET /v1/undeclared declares no policy"):
        app.create_app(settings)


async def test_a_revoked_key_fails_on_the_very_next_request(world: World) -> None:
    key = await world.key(Role.VIEWER)
    caller = world.as_key(key)
    before = await caller.get("/v1/incidents")
    await world.http.delete(f"/v1/keys/{key.split('_')[1]}")
    assert (before.status_code, (await caller.get("/v1/incidents")).status_code) == (200, 401)


async def test_a_key_ends_in_the_instant_that_it_names(world: World) -> None:
    caller = world.as_key(await world.key(Role.VIEWER, expires_at=START + timedelta(seconds=2)))
    world.forward(seconds=1)
    before = await caller.get("/v1/incidents")
    world.forward(seconds=1)
    assert (before.status_code, (await caller.get("/v1/incidents")).status_code) == (200, 401)


async def test_the_last_use_of_a_key_is_known_to_the_minute(world: World) -> None:
    key = await world.key(Role.VIEWER)
    used = []
    for seconds in (0, 59, 1):
        world.forward(seconds=seconds)
        await world.as_key(key).get("/v1/incidents")
        used.append((await world.get(f"/v1/keys/{key.split('_')[1]}"))["last_used_at"])
    assert used == ["2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z", "2026-03-01T12:01:00Z"]


async def test_the_scheme_is_read_in_any_case(world: World) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        headers = {"Authorization": f"{scheme} {world.admin_key}"}
        assert (await world.as_key(None).get("/v1/incidents", headers=headers)).status_code == 200


def without_keys(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, auth=msgspec.structs.replace(settings.auth, enabled=False))


async def test_without_keys_this_machine_is_served(settings: Settings) -> None:
    async with running(without_keys(settings)) as world:
        for host in ("127.0.0.1:8080", "localhost", "localhost:99", "[::1]:8080", "127.8.9.1", "LOCALHOST"):
            response = await world.as_key(None).get("/v1/incidents", headers={"Host": host})
            assert response.status_code == 200, host


async def test_without_keys_a_name_from_elsewhere_is_refused(settings: Settings) -> None:
    hosts = ("rebound.example:8080", "127.0.0.1.example", "10.0.0.1", "localhost.example")
    headers = [{"Host": host} for host in hosts] + [{"Origin": origin} for origin in ("https://a.example", "null")]
    async with running(without_keys(settings)) as world:
        for header in headers:
            response = await world.as_key(None).post("/v1/incidents/1/acknowledge", headers=header)
            refused(response, 403, "AUTHORIZATION_ERROR")


async def test_without_keys_what_comes_over_a_network_is_refused(settings: Settings) -> None:
    async with running(without_keys(settings)) as world:
        caller = world.as_key(None)
        caller.base_url = "http://10.0.0.7:8080"
        response = await caller.get("/v1/incidents", headers={"Host": "localhost"})
    refused(response, 403, "AUTHORIZATION_ERROR")


async def test_without_keys_changes_are_written_down_as_anonymous(settings: Settings) -> None:
    async with running(without_keys(settings)) as world:
        caller = world.as_key(None)
        number = (await caller.post("/v1/alerts", json={"source": "a", "title": "b"})).json()["incident_number"]
        await caller.post(f"/v1/incidents/{number}/acknowledge")
        entry = (await caller.get("/v1/audit")).json()["audit"][0]
    assert (entry["actor"], entry["actor_kind"], entry["action"]) == ("anonymous", "system", "acknowledge")
