"""Words of title and description: the same answer from FTS5 and from tsvector, whatever is asked and whatever is stored."""

import pytest

from tests import make
from tests.world import World

TEXTS = {
    1: "Disk is FULL on db-1.example.com (98.5 %)",
    2: "ÄRGER mit der Straße: Überlauf",
    3: "queue_depth > 10,000; see https://runbooks.example.com/queue/depth?id=7",
    4: "недоступен сервер 数据库错误",
    5: "ops@example.com: v1.2.3-rc4 failed 12abc 5e3 0x7f",
    6: "don't \"panic\" O'Brien\\n <b>bold</b> & co",
}
FOUND = [
    ("disk", {1}),
    ("DISK full", {1}),
    ("full disk", {1}),
    ("dis", {1}),
    ("isk", set()),
    ("example", {1, 3, 5}),
    ("db-1", {1}),
    ("db-2", set()),
    ("98.5", {1}),
    ("98.5 %", {1}),
    ("%", set()),
    ("!!! ...", set()),
    ("ärger", {2}),
    ("über", {2}),
    ("straße", {2}),
    ("queue", {3}),
    ("depth queue", {3}),
    ("queue_depth", {3}),
    ("10,000", {3}),
    ("https://runbooks.example.com/queue", {3}),
    ("сервер", {4}),
    ("НЕДОСТУПЕН", {4}),
    ("数据库", {4}),
    ("v1.2.3-rc4", {5}),
    ("12abc", {5}),
    ("5e3", {5}),
    ("0x7f", {5}),
    ("ops@example.com", {5}),
    ("don't", {6}),
    ("o'brien", {6}),
    ('"panic"', {6}),
    ("bold co", {6}),
    ("disk OR queue", set()),
    ("disk NOT full", set()),
    ("disk*", {1}),
    ("title:disk", set()),
    ("(disk", {1}),
    ("disk & full | x", set()),
    ("full:*", {1}),
    ("\u0301", set()),
    ("𞤀", set()),
    ("😀", set()),
    ("\u200b", set()),
]


@pytest.fixture
async def texts(world: World) -> World:
    for number, text in TEXTS.items():
        title, _, rest = text.partition(" ")
        await world.post("/v1/incidents", make.incident(title=f"{number:03} {title}", description=rest), status=201)
    return world


async def found(world: World, q: str) -> set[int]:
    page = await world.get("/v1/incidents", q=q)
    assert page["total"] == len(page["incidents"])
    return {incident["number"] for incident in page["incidents"]}


async def test_both_engines_find_the_same_words(texts: World) -> None:
    assert {q: await found(texts, q) for q, _ in FOUND} == dict(FOUND)


async def test_what_is_changed_is_found_by_its_new_words_only(texts: World) -> None:
    (await texts.http.patch("/v1/incidents/1", json={"title": "Memory is scarce"})).raise_for_status()
    (await texts.http.patch("/v1/incidents/2", json={"description": "nichts"})).raise_for_status()
    asked = ("disk", "scarce", "full", "straße", "nichts", "ärger")
    assert [await found(texts, q) for q in asked] == [set(), {1}, {1}, set(), {2}, {2}]


async def test_a_change_of_something_else_leaves_the_words(texts: World) -> None:
    (await texts.http.patch("/v1/incidents/1", json={"severity": "P0"})).raise_for_status()
    assert await found(texts, "disk") == {1}


async def test_words_go_with_the_other_filters(texts: World) -> None:
    (await texts.http.patch("/v1/incidents/3", json={"severity": "P0"})).raise_for_status()
    page = await texts.get("/v1/incidents", q="example", severities="P0")
    assert [incident["number"] for incident in page["incidents"]] == [3]


async def test_a_text_without_an_end_is_taken_and_its_other_words_are_found(world: World) -> None:
    endless = "x" * 32_000
    await world.post("/v1/incidents", make.incident(description=f"{endless} needle"), status=201)
    assert await found(world, "needle") == {1}
