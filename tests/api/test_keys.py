"""API keys as a resource: made, shown once, changed, revoked."""

import asyncio
from typing import Any

import pytest

from incident_manager.rules.access import Role
from tests.flows.tables import rows
from tests.world import World

FIELDS: dict[str, Any] = {"name": "ci", "role": "ingest", "expires_at": "2026-04-01T00:00:00Z"}


async def made(world: World, **fields: Any) -> dict[str, Any]:
    return await world.post("/v1/keys", FIELDS | fields, status=201)


async def test_a_key_is_shown_once_and_every_field_comes_back(world: World) -> None:
    response = await world.http.post("/v1/keys", json=FIELDS)
    created = response.json()
    shown = await world.get(response.headers["Location"])
    assert {name: shown[name] for name in FIELDS} == FIELDS
    assert created == shown | {"key": created["key"]}
    assert "key" not in shown
    assert (await world.as_key(created["key"]).get("/v1/incidents")).status_code == 403


async def test_only_a_keyed_digest_is_stored(world: World) -> None:
    secret = (await made(world))["key"]
    stored = [
        str(row)
        for table in ("api_keys", "audit")
        for row in await rows(world.parts.database, f"SELECT * FROM {table}")
    ]
    assert not [row for row in stored if secret.split("_", 2)[2] in row]


async def test_keys_are_listed_in_the_order_they_were_made(world: World) -> None:
    for number in range(3):
        await made(world, name=f"k{number}")
    first = await world.get("/v1/keys", page_size=2)
    second = await world.get("/v1/keys", page_size=2, cursor=first["next_cursor"])
    names = [key["name"] for page in (first, second) for key in page["keys"]]
    assert (names, first["total"], second["next_cursor"]) == (["admin", "k0", "k1", "k2"], 4, None)


@pytest.mark.parametrize("by", ["id", "name"])
async def test_a_change_acts_on_the_next_request(world: World, by: str) -> None:
    created = await made(world)
    changed = (await world.http.patch(f"/v1/keys/{created[by]}", json={"role": "viewer"})).json()
    assert (changed["role"], changed["name"], changed["version"]) == ("viewer", "ci", 2)
    assert (await world.as_key(created["key"]).get("/v1/incidents")).status_code == 200


async def test_put_by_name_creates_once_and_then_replaces(world: World) -> None:
    first = await world.http.put("/v1/keys/ci", json=FIELDS)
    second = await world.http.put("/v1/keys/ci", json={"name": "ci", "role": "viewer"})
    third = await world.http.put("/v1/keys/ci", json={"name": "ci", "role": "viewer"})
    assert [response.status_code for response in (first, second, third)] == [201, 200, 200]
    assert "key" in first.json()
    assert "key" not in second.json()
    assert (second.json()["role"], second.json()["expires_at"]) == ("viewer", None)
    assert third.json()["version"] == second.json()["version"] == 2


async def test_put_of_an_unknown_id_or_another_name_is_not_found(world: World) -> None:
    for reference in ("other", "019a0000-0000-7000-8000-000000000000"):
        assert (await world.http.put(f"/v1/keys/{reference}", json=FIELDS)).status_code == 404


async def test_a_key_is_worthless_from_the_next_request_on(world: World) -> None:
    created = await made(world, role="viewer")
    client = world.as_key(created["key"])
    before = (await client.get("/v1/incidents")).status_code
    assert (await world.http.delete("/v1/keys/ci")).status_code == 204
    assert (before, (await client.get("/v1/incidents")).status_code) == (200, 401)
    assert (await world.get(f"/v1/keys/{created['id']}"))["revoked_at"] == "2026-03-01T12:00:00Z"


async def test_a_revoked_key_gives_its_name_free_and_cannot_be_changed(world: World) -> None:
    created = await made(world)
    for _ in range(2):
        await world.http.delete(f"/v1/keys/{created['id']}")
    assert (await world.http.patch(f"/v1/keys/{created['id']}", json={"role": "admin"})).status_code == 409
    assert (await made(world))["id"] != created["id"]
    assert len([entry for entry in (await world.get("/v1/audit"))["audit"] if entry["action"] == "revoke"]) == 1


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (FIELDS | {"name": "admin"}, 409, None),
        (FIELDS | {"name": "a b"}, 422, "name"),
        (FIELDS | {"name": "x" * 101}, 422, "name"),
        (FIELDS | {"name": "019a0000-0000-7000-8000-000000000000"}, 422, "name"),
        (FIELDS | {"role": "root"}, 422, "role"),
        (FIELDS | {"expires_at": "2026-03-01T12:00:00Z"}, 422, "expires_at"),
        (FIELDS | {"expires_at": "2026-04-01T00:00:00"}, 422, "expires_at"),
        (FIELDS | {"digest": "x"}, 422, "digest"),
        ({"name": "ci"}, 422, "role"),
    ],
)
async def test_what_is_refused_names_its_field(world: World, body: Any, status: int, field: str | None) -> None:
    answer = await world.post("/v1/keys", body, status=status)
    assert [error["field"] for error in answer.get("errors", [])] == ([field] if field else [])


async def test_a_name_that_is_taken_is_refused_on_change_too(world: World) -> None:
    await made(world)
    assert (await world.http.patch("/v1/keys/ci", json={"name": "admin"})).status_code == 409
    assert (await world.http.patch("/v1/keys/ci", json={"name": "ci"})).json()["version"] == 1


async def test_a_stale_copy_is_refused(world: World) -> None:
    created = await made(world)
    stale = {"If-Match": '"1"'}
    await world.http.patch(f"/v1/keys/{created['id']}", json={"role": "viewer"}, headers=stale)
    refused = [
        await world.http.patch("/v1/keys/ci", json={"role": "admin"}, headers=stale),
        await world.http.put("/v1/keys/ci", json=FIELDS, headers=stale),
        await world.http.delete("/v1/keys/ci", headers=stale),
        await world.http.put("/v1/keys/new", json=FIELDS | {"name": "new"}, headers=stale),
    ]
    assert {response.status_code for response in refused} == {412}
    assert (await world.get("/v1/keys/ci"))["role"] == "viewer"


async def test_of_many_that_make_one_name_at_once_one_succeeds(world: World) -> None:
    responses = await asyncio.gather(*(world.http.post("/v1/keys", json=FIELDS) for _ in range(8)))
    assert sorted(response.status_code for response in responses) == [201] + [409] * 7


async def test_of_many_that_apply_one_name_at_once_one_creates_and_the_others_find_it(world: World) -> None:
    responses = await asyncio.gather(*(world.http.put("/v1/keys/ci", json=FIELDS) for _ in range(8)))
    assert sorted(response.status_code for response in responses) == [200] * 7 + [201]


async def test_a_name_that_python_would_read_as_an_id_is_found(world: World) -> None:
    name = "a_" * 15 + "aa"
    await made(world, name=name)
    assert (await world.get(f"/v1/keys/{name}"))["name"] == name


async def test_every_change_is_on_the_audit_without_the_key(world: World) -> None:
    secret = (await made(world))["key"]
    await world.http.patch("/v1/keys/ci", json={"role": "viewer"})
    await world.http.delete("/v1/keys/ci")
    entries = (await world.get("/v1/audit"))["audit"][:3]
    assert [(entry["action"], entry["actor"], entry["resource"]) for entry in entries] == [
        (action, "admin", "key") for action in ("revoke", "update", "create")
    ]
    assert (entries[1]["before"], entries[1]["after"]) == ({"role": "ingest"}, {"role": "viewer"})
    assert secret not in str(entries)


async def test_a_keys_last_use_is_noted_once_a_minute(world: World) -> None:
    client = world.as_key(await world.key(Role.VIEWER))
    seen = []
    for _ in range(4):
        await client.get("/v1/incidents")
        seen.append((await world.get("/v1/keys"))["keys"][-1]["last_used_at"])
        world.forward(seconds=30)
    assert seen == ["2026-03-01T12:00:00Z"] * 2 + ["2026-03-01T12:01:00Z"] * 2
