"""Two tenants with the same data: neither sees, finds or changes anything of the other's."""

import re
from typing import Any

import pytest

from incident_manager.rules.access import Policy, Role
from incident_manager.store import incident_lists
from tests import make
from tests.api.answers import fields
from tests.api.routes import ROUTES, Things, things
from tests.sql import Recorded, recording
from tests.world import World

TENANT_TABLES = [
    "alerts",
    "api_keys",
    "audit",
    "dedup_keys",
    "idempotency_keys",
    "incidents",
    "integrations",
    "timeline",
]
# By a key's id and by an integration's digest, before the tenant is known; see tests/house/test_calls.py.
WITHOUT_A_TENANT = ("api_keys.id = ", "integrations.key_digest = ")
QUERIES = [
    "labels=team:db",
    "sources=prometheus",
    "services=disk",
    "q=disk",
    "states=Detected",
    "active_only=true",
    "sort=number",
]
LISTS = ["/v1/alerts", "/v1/incidents", "/v1/integrations", "/v1/keys", "/v1/audit"]


class Neighbours:
    """A, the tenant of the start, and B, with mirrored data: the same titles, names and numbers."""

    def __init__(self, a: World, b: World, of_a: Things, of_b: Things) -> None:
        self.a, self.b, self.of_a, self.of_b = a, b, of_a, of_b


@pytest.fixture
async def neighbours(world: World) -> Neighbours:
    other = World(world.app, world.clock, await world.key(Role.ADMIN, await world.tenant("b")))
    return Neighbours(world, other, await things(world), await things(other))


def of(texts: str, thing: Things) -> list[str]:
    """Return which ids of a tenant's things stand in a text."""
    ids = [thing.incident["id"], thing.alert_id, thing.integration["id"], thing.key["id"]]
    return [found for found in ids if found in texts]


async def everything(world: World) -> list[Any]:
    """Return all that a tenant can read of itself, but for when its keys were used."""
    read = [await world.get(path) for path in LISTS]
    for key in read[3]["keys"]:
        key["last_used_at"] = None
    return [*read, *[await world.timeline(one["id"]) for one in read[1]["incidents"]]]


async def test_no_address_of_another_tenant_leads_anywhere(neighbours: Neighbours) -> None:
    statuses = {}
    for route in ROUTES:
        if "{" in route.path and route.policy not in {Policy.PUBLIC, Policy.OWN_KEY}:
            path = neighbours.of_a.path(route)
            response = await neighbours.b.http.request(route.method, path, json=neighbours.of_a.body(route))
            statuses[route.name] = response.status_code
            assert not of(response.json()["detail"], neighbours.of_a)
    assert set(statuses.values()) == {404}


async def test_nothing_that_another_tenant_tries_changes_anything(neighbours: Neighbours) -> None:
    before = await everything(neighbours.a)
    for route in ROUTES:
        if route.policy is not Policy.OWN_KEY:
            await neighbours.b.http.request(route.method, neighbours.of_a.path(route), json=neighbours.of_a.body(route))
    assert await everything(neighbours.a) == before


async def test_an_incident_number_means_the_callers_own(neighbours: Neighbours) -> None:
    assert neighbours.of_a.incident["number"] == neighbours.of_b.incident["number"]
    found = await neighbours.b.incident(neighbours.of_a.incident["number"])
    assert found["id"] == neighbours.of_b.incident["id"]


async def test_no_filter_reaches_over(neighbours: Neighbours) -> None:
    own = {incident["number"]: incident["id"] for incident in await neighbours.b.incidents()}
    for query in QUERIES:
        page = (await neighbours.b.http.get(f"/v1/incidents?{query}")).json()
        found = {incident["number"]: incident["id"] for incident in page["incidents"]}
        assert found.items() <= own.items(), query
        assert (found[1], page["total"]) == (neighbours.of_b.incident["id"], len(found)), query


async def test_no_list_holds_anything_of_the_other(neighbours: Neighbours) -> None:
    for path in LISTS:
        text = (await neighbours.b.http.get(path)).text
        assert of(text, neighbours.of_b), path
        assert not of(text, neighbours.of_a), path


async def test_a_cursor_of_another_tenant_is_none(neighbours: Neighbours) -> None:
    for number in range(2):
        await neighbours.a.alert(title=f"another {number}")
        await neighbours.a.alert(affected_services=["disk"])
        await neighbours.a.post("/v1/integrations", {"name": f"more-{number}", "monitor": "generic"}, status=201)
    for path in (*LISTS, "/v1/incidents/1/timeline", "/v1/incidents/1/alerts"):
        cursor = (await neighbours.a.get(path, page_size=1))["next_cursor"]
        assert cursor, path
        assert fields(await neighbours.b.http.get(path, params={"page_size": 1, "cursor": cursor})) == ["cursor"], path


async def test_the_same_alert_opens_an_incident_in_each(world: World) -> None:
    other = World(world.app, world.clock, await world.key(Role.ADMIN, await world.tenant("b")))
    answers = [await one.alert(dedup_key="k", external_id="7") for one in (world, other)]
    assert [answer["http_status"] for answer in answers] == [201, 201]
    await other.alert(dedup_key="k", status="resolved")
    assert (await world.incident(answers[0]["incident_id"]))["state"] == "Detected"


async def test_an_idempotency_key_is_the_tenants_own(world: World) -> None:
    other = World(world.app, world.clock, await world.key(Role.ADMIN, await world.tenant("b")))
    headers = {"Idempotency-Key": "same"}
    answers = [
        (await one.http.post("/v1/alerts", json=make.alert(title=title), headers=headers)).status_code
        for one, title in ((world, "one"), (other, "another"))
    ]
    assert answers == [201, 201]


async def test_a_monitors_address_leads_into_its_own_tenant(neighbours: Neighbours) -> None:
    key = neighbours.of_a.integration["key"]
    before = await everything(neighbours.b)
    await neighbours.b.post(f"/v1/integrations/generic/{key}", {"title": "from a monitor"})
    assert await everything(neighbours.b) == before
    assert {one["title"] for one in await neighbours.a.incidents()} == {
        "Disk is full",
        "Disk is slow",
        "from a monitor",
    }


# Statements that serve all tenants at once: the tenant is a column of the rows that they are given.
GIVEN = re.compile(r"json_each\(|json_to_recordset\(")


def joins_by_tenant(text: str) -> bool:
    """Say whether every tenant's table in a statement is inserted into, or bound by its tenant to what is given."""
    tables = re.findall(
        rf"\b(?:FROM|JOIN|UPDATE)\s+({'|'.join(TENANT_TABLES)})\b(?:\s+(?:AS\s+)?(?!SET|WHERE|ON)(\w+))?", text
    )
    names = {alias or table for table, alias in tables}
    return all(
        re.search(rf"(?:\b{name}\.tenant_id =|\({name}\.tenant_id,|= {name}\.tenant_id\b)", text) for name in names
    )


def without_the_predicate(recorded: Recorded) -> list[str]:
    """Return statements that read or change a tenant's table and do not say whose rows they mean."""
    found = [text for text in recorded.texts if GIVEN.search(text) and not joins_by_tenant(text)]
    for text in recorded.texts:
        if GIVEN.search(text):
            continue
        for table in set(re.findall(r"\b(?:FROM|JOIN|UPDATE|INTO)\s+(\w+)", text)) & set(TENANT_TABLES):
            named = "tenant_id" if text.startswith("INSERT") else rf"\b{table}\.tenant_id = (\?|\$\d)"
            if not re.search(named, text) and not any(known in text for known in WITHOUT_A_TENANT):
                found.append(text)
    return found


async def test_every_statement_names_the_tenant(neighbours: Neighbours, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incident_lists, "COUNT_LIMIT", 1)
    with recording(neighbours.a.parts.database) as recorded:
        for route in ROUTES:
            await neighbours.a.http.request(route.method, neighbours.of_a.path(route), json=neighbours.of_a.body(route))
        await neighbours.a.alert(dedup_key="k", external_id="1")
        await neighbours.a.alert(dedup_key="k", external_id="1")
        await neighbours.a.alert(dedup_key="k", status="acknowledged")
        await neighbours.a.alert(dedup_key="k", status="resolved")
        await neighbours.a.get("/v1/incidents?labels=a:b&services=c&assignees=d&q=e&page=1&sort=severity")
    touched = {table for text in recorded.texts for table in TENANT_TABLES if re.search(rf"\b{table}\b", text)}
    assert touched == set(TENANT_TABLES)
    assert without_the_predicate(recorded) == []
