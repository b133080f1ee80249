"""Integrations as a resource: made, shown, listed, changed, deleted; and what monitors there are."""

import asyncio
import re
from typing import Any

import pytest

from incident_manager.monitors import MONITORS
from incident_manager.rules.access import Role
from tests.flows.tables import rows
from tests.world import World

FIELDS: dict[str, Any] = {
    "name": "prod.alerts_1-a",
    "monitor": "generic",
    "severity_map": {"Meltdown": "P0"},
    "dedup_mode": "while_open",
    "window_seconds": 60,
    "labels": {"team": "web"},
    "signing_secret": "the-signing-secret",
}
SECRET = FIELDS["signing_secret"]
UNKNOWN = "019a0000-0000-7000-8000-000000000000"


async def made(world: World, **fields: Any) -> dict[str, Any]:
    return await world.post("/v1/integrations", {"name": "gen", "monitor": "generic"} | fields, status=201)


async def test_every_field_comes_back_and_the_key_is_shown_once(world: World) -> None:
    response = await world.http.post("/v1/integrations", json=FIELDS)
    created = response.json()
    shown = await world.get(response.headers["Location"])
    assert {name: shown[name] for name in FIELDS} == FIELDS | {"signing_secret": "***"}
    assert created == shown | {"key": created["key"], "url": created["url"]}
    assert re.fullmatch(r"[A-Za-z0-9]{32}", created["key"])
    assert created["url"] == f"http://127.0.0.1:8080/v1/integrations/generic/{created['key']}"
    assert (shown["signed"], shown["alerts_received"], shown["last_seen_at"]) == (True, 0, None)


async def test_what_is_left_out_has_its_default(world: World) -> None:
    shown = await world.get(f"/v1/integrations/{(await made(world))['id']}")
    defaults = {"severity_map": {}, "dedup_mode": None, "window_seconds": None, "labels": {}, "signing_secret": None}
    assert {name: shown[name] for name in defaults} == defaults
    assert shown["signed"] is False


async def test_neither_key_nor_secret_is_stored_as_it_is(world: World) -> None:
    created = await made(world, **FIELDS)
    await world.http.patch("/v1/integrations/prod.alerts_1-a", json={"signing_secret": "the-next-secret"})
    stored = [
        str(row)
        for table in ("integrations", "audit")
        for row in await rows(world.parts.database, f"SELECT * FROM {table}")
    ]
    assert not [row for row in stored for secret in (created["key"], SECRET, "the-next-secret") if secret in row]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "a b"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": ""}, "name"),
        ({"name": "019a0000-0000-7000-8000-000000000000"}, "name"),
        ({"name": "019A0000000070008000000000000000"}, "name"),
        ({"monitor": "carrier-pigeon"}, "monitor"),
        ({"severity_map": {"x": "P9"}}, "severity_map"),
        ({"dedup_mode": "sometimes"}, "dedup_mode"),
        ({"window_seconds": 0}, "window_seconds"),
        ({"labels": {"a": 1}}, "labels"),
        ({"signing_secret": "short"}, "signing_secret"),
        ({"signing_secret": "***"}, "signing_secret"),
        ({"key": "mine"}, "key"),
    ],
)
async def test_what_does_not_fit_is_refused_by_its_field(world: World, fields: dict[str, Any], field: str) -> None:
    response = await world.http.post("/v1/integrations", json={"name": "n", "monitor": "generic"} | fields)
    assert response.status_code == 422
    [error] = response.json()["errors"]
    assert error["field"].removesuffix("[]") == field


async def test_a_name_is_taken_once(world: World) -> None:
    await made(world)
    await made(world, name="other")
    again = await world.http.post("/v1/integrations", json={"name": "gen", "monitor": "alertmanager"})
    renamed = await world.http.patch("/v1/integrations/other", json={"name": "gen"})
    assert [(each.status_code, each.json()["code"]) for each in (again, renamed)] == [(409, "CONFLICT")] * 2


async def test_of_many_who_take_a_name_at_once_one_gets_it(world: World) -> None:
    body = {"name": "gen", "monitor": "generic"}
    answers = await asyncio.gather(*(world.http.post("/v1/integrations", json=body) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert (await world.get("/v1/integrations"))["total"] == 1


async def test_a_list_is_by_name_in_pages_and_by_monitor(world: World) -> None:
    for name, monitor in (("c", "generic"), ("a", "generic"), ("b", "alertmanager")):
        await made(world, name=name, monitor=monitor)
    first = await world.get("/v1/integrations", page_size=2)
    second = await world.get("/v1/integrations", page_size=2, cursor=first["next_cursor"])
    some = await world.get("/v1/integrations", monitor="generic")
    names = [[each["name"] for each in page["integrations"]] for page in (first, second, some)]
    assert names == [["a", "b"], ["c"], ["a", "c"]]
    assert [page["total"] for page in (first, second, some)] == [3, 3, 2]
    assert second["next_cursor"] is None


async def test_a_cursor_is_worth_nothing_under_another_filter_and_an_unknown_monitor_is_refused(world: World) -> None:
    for name in ("a", "b"):
        await made(world, name=name)
    cursor = (await world.get("/v1/integrations", page_size=1))["next_cursor"]
    for query in ({"cursor": cursor, "monitor": "generic"}, {"monitor": "carrier-pigeon"}):
        assert (await world.http.get("/v1/integrations", params=query)).status_code == 422


@pytest.mark.parametrize("by", ["id", "name"])
async def test_a_patch_changes_what_it_names(world: World, by: str) -> None:
    created = await made(world, **FIELDS)
    response = await world.http.patch(f"/v1/integrations/{created[by]}", json={"window_seconds": None, "labels": {}})
    changed = response.json()
    assert {name: changed[name] for name in FIELDS} == FIELDS | {
        "window_seconds": None,
        "labels": {},
        "signing_secret": "***",
    }
    assert (changed["version"], response.headers["ETag"]) == (2, '"2"')


async def test_put_by_name_creates_once_and_then_replaces(world: World) -> None:
    bare = {"name": FIELDS["name"], "monitor": "generic"}
    path = f"/v1/integrations/{FIELDS['name']}"
    answers = [await world.http.put(path, json=body) for body in (FIELDS, bare, bare)]
    assert [answer.status_code for answer in answers] == [201, 200, 200]
    assert ["key" in answer.json() for answer in answers] == [True, False, False]
    assert (answers[1].json()["labels"], answers[1].json()["signed"]) == ({}, False)
    assert [answer.json()["version"] for answer in answers] == [1, 2, 2]


async def test_of_many_who_apply_the_same_at_once_one_creates_and_the_others_find_it(world: World) -> None:
    body = {"name": "gen", "monitor": "generic"}
    answers = await asyncio.gather(*(world.http.put("/v1/integrations/gen", json=body) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]


async def test_what_is_read_can_be_applied_again_and_keeps_the_secret(world: World) -> None:
    created = await made(world, **FIELDS)
    read = await world.get("/v1/integrations/prod.alerts_1-a")
    response = await world.http.put("/v1/integrations/prod.alerts_1-a", json={name: read[name] for name in FIELDS})
    assert (response.status_code, response.json()["version"]) == (200, 1)
    unsigned = await world.http.post(created["url"], json={"title": "t"})
    assert unsigned.status_code == 401


async def test_a_put_cannot_make_another_monitor_of_it_nor_reach_what_is_not_there(world: World) -> None:
    await made(world)
    body = {"name": "gen", "monitor": "alertmanager"}
    assert (await world.http.put("/v1/integrations/gen", json=body)).status_code == 422
    for reference in ("other", UNKNOWN):
        assert (await world.http.put(f"/v1/integrations/{reference}", json=body)).status_code == 404


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_a_change_of_another_version_is_refused(world: World, method: str) -> None:
    await made(world)
    body = {"PUT": {"name": "gen", "monitor": "generic", "labels": {"a": "b"}}, "PATCH": {"labels": {"a": "b"}}}
    answers = [
        await world.http.request(method, "/v1/integrations/gen", json=body.get(method), headers={"If-Match": tag})
        for tag in ('"7"', '"1"')
    ]
    assert answers[0].status_code == 412
    assert answers[1].is_success


async def test_a_name_that_only_looks_like_an_id_to_python_is_a_name(world: World) -> None:
    name = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_a"
    created = await made(world, name=name)
    assert (await world.get(f"/v1/integrations/{name}"))["id"] == created["id"]


async def test_what_is_deleted_is_gone_and_its_name_is_free(world: World) -> None:
    first = await made(world)
    assert (await world.http.delete("/v1/integrations/gen")).status_code == 204
    for reference in ("gen", first["id"]):
        assert (await world.http.get(f"/v1/integrations/{reference}")).status_code == 404
    assert (await world.http.post(first["url"], json={"title": "t"})).status_code == 401
    assert (await made(world))["id"] != first["id"]


async def test_every_change_is_audited_by_whom_and_what(world: World) -> None:
    created = await made(world, signing_secret=SECRET)
    await world.http.patch("/v1/integrations/gen", json={"signing_secret": "the-next-secret", "labels": {"a": "b"}})
    await world.http.delete("/v1/integrations/gen")
    entries = (await world.get("/v1/audit"))["audit"]
    found = [entry for entry in entries if entry["resource_id"] == created["id"]]
    assert [(entry["action"], entry["actor"]) for entry in found] == [
        ("delete", "admin"),
        ("update", "admin"),
        ("create", "admin"),
    ]
    assert found[1]["before"] == {"labels": {}, "signing_secret": "***"}
    assert found[1]["after"] == {"labels": {"a": "b"}, "signing_secret": "*** (another)"}


async def test_another_tenant_sees_and_changes_nothing(world: World) -> None:
    created = await made(world)
    stranger = world.as_key(await world.key(Role.ADMIN, await world.tenant("other")))
    assert (await stranger.get("/v1/integrations")).json()["total"] == 0
    for reference in ("gen", created["id"]):
        path = f"/v1/integrations/{reference}"
        answers = [await stranger.get(path), await stranger.delete(path), await stranger.patch(path, json={})]
        assert [answer.status_code for answer in answers] == [404] * 3
    taken = await stranger.post("/v1/integrations", json={"name": "gen", "monitor": "generic"})
    assert taken.status_code == 201


@pytest.mark.parametrize(
    ("role", "read", "write"),
    [("admin", 200, 201), ("responder", 200, 403), ("viewer", 200, 403), ("ingest", 403, 403)],
)
async def test_who_may_read_and_who_may_write(world: World, role: str, read: int, write: int) -> None:
    client = world.as_key(await world.key(Role(role)))
    listed = [(await client.get(path)).status_code for path in ("/v1/integrations", "/v1/monitors")]
    posted = await client.post("/v1/integrations", json={"name": "n", "monitor": "generic"})
    assert (listed, posted.status_code) == ([read, read], write)


async def test_every_monitor_says_what_to_paste_on_its_side(world: World) -> None:
    monitors = (await world.get("/v1/monitors"))["monitors"]
    assert [monitor["name"] for monitor in monitors] == sorted(MONITORS)
    assert all("{url}" in monitor["setup"] and monitor["title"] for monitor in monitors)


@pytest.mark.parametrize(
    ("monitor", "given", "warned"),
    [
        ("generic", {"window_seconds": 60}, False),
        ("generic", {"window_seconds": 60, "dedup_mode": "while_open"}, True),
        ("alertmanager", {"window_seconds": 60}, True),
        ("alertmanager", {"window_seconds": 60, "dedup_mode": "window"}, False),
        ("alertmanager", {"dedup_mode": "while_open"}, False),
    ],
)
async def test_a_window_that_no_alert_is_measured_by_is_flagged(
    world: World, monitor: str, given: dict[str, Any], warned: bool
) -> None:
    made = await world.post("/v1/integrations", {"name": "flagged", "monitor": monitor, **given}, status=201)
    assert bool(made["warnings"]) is warned
    assert (await world.get("/v1/integrations/flagged"))["warnings"] == made["warnings"]
