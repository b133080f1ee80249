"""The short way in answers as the framework's does, whatever is sent, and is taken by what is in order."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec
import pytest

from incident_manager.errors import Unavailable
from incident_manager.flows import access
from incident_manager.flows.units import Units
from incident_manager.rules.access import Role
from incident_manager.settings import Settings
from tests import make
from tests.api.test_metrics import moving
from tests.sql import recording
from tests.world import START, World, running

JSON = {"Content-Type": "application/json"}
FULL = make.alert(
    description="99 % \u2028 é",
    severity="P1",
    alert_type="Data",
    external_id="d-1",
    dedup_key="k",
    labels={"a": "b"},
    annotations={"c": "d"},
    affected_services=["db"],
    runbook_url="https://runbooks.example/1",
    links=["https://a.example", {"href": "https://b.example", "text": "b"}],
    occurred_at="2026-03-01T11:59:00.5+02:00",
)
COUNTED = ("requests_total", "alerts_total", "rejections_total")
ALIKE = ("content-type", "retry-after", "www-authenticate", "access-control-allow-origin", "vary", "allow")
IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


class Case(NamedTuple):
    """A request: what differs from a plain one."""

    name: str
    body: bytes = json.dumps(make.alert()).encode()
    headers: Mapping[str, str | None] = {}
    key: str = "ingest"
    query: bytes = b""
    pieces: int = 1
    twice: tuple[tuple[str, str], ...] = ()


def case(name: str, body: object, **more: Any) -> Case:
    return Case(name, json.dumps(body).encode(), **more)


IN_ORDER = [
    Case("the least"),
    Case("the least again"),
    case("all there is", FULL),
    case("the same delivery", FULL | {"title": "worded anew"}),
    case("acknowledged", make.alert(status="acknowledged")),
    case("resolved", make.alert(status="resolved")),
    case("nothing to resolve", make.alert(title="x", status="resolved")),
    Case("an idempotency key", headers={"Idempotency-Key": "a"}),
    Case("the same once more", headers={"Idempotency-Key": "a"}),
    case("with another body", make.alert(title="b"), headers={"Idempotency-Key": "a"}),
    Case("the longest key", headers={"Idempotency-Key": "k" * 255}),
    Case("a key beyond ASCII", headers={"Idempotency-Key": "clé"}),
    Case("an id of its own", headers={"X-Request-Id": "mine-1"}),
    Case("an unsafe id", headers={"X-Request-Id": "mine 1"}),
    Case("a charset", headers={"Content-Type": "Application/JSON; Charset=UTF-8"}),
    Case("another role", key="responder"),
]
OTHERS = [
    Case("in pieces", pieces=7),
    Case("no length", headers={"Content-Length": None}, pieces=2),
    Case("no JSON", b"{"),
    Case("no UTF-8", b'{"source":"\xff"}'),
    Case("a mark before it", b"\xef\xbb\xbf{}"),
    Case("a key twice", b'{"source":"a","title":"b","title":"c"}'),
    Case("nothing", b""),
    case("a list", [make.alert()]),
    case("an unknown field", make.alert(colour="red")),
    case("a wrong type", make.alert(title=1)),
    case("a field missing", {"source": "a"}),
    Case("as large as may be", b" " * (256 * 1024 - 60) + json.dumps(make.alert(title="x" * 8)).encode()),
    Case("too large", b" " * 256 * 1024 + b"{}"),
    Case("another type", headers={"Content-Type": "text/plain"}),
    Case("no type", headers={"Content-Type": None}),
    Case("another charset", headers={"Content-Type": "application/json; charset=latin-1"}),
    Case("compressed", headers={"Content-Encoding": "gzip"}),
    Case("not compressed", headers={"Content-Encoding": "identity"}),
    Case("no key", headers={"Authorization": None}),
    Case("a wrong key", key="wrong"),
    Case("a viewer's", key="viewer"),
    Case("an empty idempotency key", headers={"Idempotency-Key": ""}),
    Case("one too long", headers={"Idempotency-Key": "k" * 256}),
    Case("a query", query=b"colour=red"),
    Case("two keys", twice=(("Authorization", "Bearer im_wrong"),)),
    Case("two idempotency keys", headers={"Idempotency-Key": "b"}, twice=(("Idempotency-Key", "c"),)),
    Case("two types", twice=(("Content-Type", "text/plain"),)),
    Case("two lengths", twice=(("Content-Length", "9"),)),
]


class Answer(NamedTuple):
    """What came back; `body` without ids, which are always others."""

    status: int
    headers: dict[str, str]
    body: str


class Sender:
    """A tenant's monitors: they send bodies in one piece, as servers hand on what is small; httpx says that more may come."""

    def __init__(self, world: World, keys: Mapping[str, str]) -> None:
        self.world, self.keys = world, keys

    async def send(self, case: Case) -> Answer:
        headers = JSON | {"Authorization": f"Bearer {self.keys[case.key]}", "Content-Length": str(len(case.body))}
        given = [*case.twice, *(headers | dict(case.headers)).items()]
        scope: dict[str, Any] = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST"}
        scope |= {"path": "/v1/alerts", "raw_path": b"/v1/alerts", "query_string": case.query, "root_path": ""}
        scope |= {"scheme": "http", "server": ("127.0.0.1", 8080), "client": ("127.0.0.1", 1)}
        scope["headers"] = [
            (name.lower().encode(), value.encode("latin-1")) for name, value in given if value is not None
        ]
        size = len(case.body) // case.pieces + 1
        pieces = [case.body[start : start + size] for start in range(0, max(1, len(case.body)), size)]
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            piece = pieces.pop(0) if pieces else b""
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.world.app(scope, receive, send)
        start, *rest = sent
        told = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        body = b"".join(one.get("body", b"") for one in rest)
        assert told["content-length"] == str(len(body))
        return Answer(start["status"], told, IDS.sub("<id>", body.decode()))


class Known(Sender):
    """Senders whose keys are checked first, as far as they are valid."""

    async def prepare(self) -> None:
        for key in self.keys.values():
            await self.world.as_key(key).get("/metrics")


class Unknown(Sender):
    """Senders whose keys nobody has checked lately: they take the framework's way."""

    async def prepare(self) -> None:
        self.world.parts.keyring._held.clear()


class Both(NamedTuple):
    """Two tenants that are alike, of which one is known."""

    short: Known
    long: Unknown


async def keys_of(world: World, units: Units) -> dict[str, str]:
    keys = {str(role): await world.key(role, units) for role in Role}
    return keys | {"wrong": access.make_token(units.actor.tenant_id)}


async def both_of(world: World) -> Both:
    tenants = [await keys_of(world, await world.tenant(name)) for name in ("short", "long")]
    return Both(Known(world, tenants[0]), Unknown(world, tenants[1]))


@pytest.fixture
async def both(world: World) -> Both:
    return await both_of(world)


def shown(answer: Answer) -> tuple[Any, ...]:
    """Return what both ways must have in common; the caller's own request id, too."""
    own = answer.headers["x-request-id"]
    return (answer.status, answer.body, IDS.sub("<id>", own), [answer.headers.get(name) for name in ALIKE])


async def test_every_request_is_answered_and_counted_alike_on_both_ways(both: Both) -> None:
    for case in (*IN_ORDER, *OTHERS):
        short, long = [await told(sender, case) for sender in both]
        assert short == long, case.name


async def told(sender: Known | Unknown, case: Case) -> tuple[tuple[Any, ...], object]:
    """Return an answer, and what moved of the metrics, but for the look at them."""
    await sender.prepare()
    async with moving(sender.world) as moved:
        answer = await sender.send(case)
    counts = {name: moved.all(name) for name in COUNTED}
    counts["requests_total"].pop(("GET", "/metrics", "200"))
    return shown(answer), counts


async def test_what_is_in_order_is_let_in_without_a_look_at_its_key(both: Both) -> None:
    for case in IN_ORDER:
        looks = []
        for sender in both:
            await sender.prepare()
            with recording(sender.world.parts.database) as statements:
                await sender.send(case)
            looks.append(sum("api_keys.digest" in text for text in statements.texts))
        assert looks == [0, 1], case.name


@pytest.mark.parametrize("ends", ["revoked", "expired"])
async def test_a_key_that_ends_after_it_was_known_is_refused_alike(world: World, ends: str) -> None:
    units = await world.units()
    key = await world.key(Role.INGEST, units, expires_at=START + timedelta(seconds=30))
    sender, plain = Sender(world, {"ingest": key}), Case("plain")
    assert [(await sender.send(plain)).status for _ in range(2)] == [201, 200]
    if ends == "revoked":
        [made] = [one for one in (await world.get("/v1/keys"))["keys"] if one["role"] == "ingest"]
        assert (await world.http.delete(f"/v1/keys/{made['id']}")).is_success
    else:
        world.forward(seconds=30)
    short, again = [await sender.send(plain) for _ in range(2)]
    world.parts.keyring._held.clear()
    long = await sender.send(plain)
    assert shown(short) == shown(again) == shown(long)
    assert short.status == 401
    assert (await world.incident(1))["occurrences"] == 2


@pytest.mark.parametrize("error", [Unavailable("the database does not answer; try again"), LookupError("no")])
async def test_what_goes_wrong_behind_it_is_told_and_counted_alike(both: Both, error: Exception) -> None:
    async def fail(_steps: object) -> None:
        raise error

    direct = both.short.world.parts.database._direct
    direct.run = fail
    short, long = [await told(sender, Case("plain")) for sender in both]
    del direct.run
    assert short == long
    assert short[0][0] == (503 if isinstance(error, Unavailable) else 500)


@pytest.fixture
async def open_world(settings: Settings) -> AsyncIterator[World]:
    """A service that pages of one origin may call."""
    server = msgspec.structs.replace(settings.server, cors_origins=["https://desk.example"])
    async with running(msgspec.structs.replace(settings, server=server)) as started:
        yield started


@pytest.mark.parametrize("origin", ["https://desk.example", "https://other.example"])
async def test_pages_of_other_origins_are_told_the_same(open_world: World, origin: str) -> None:
    both = await both_of(open_world)
    page, answers = Case("of a page", headers={"Origin": origin}), []
    for sender in both:
        await sender.prepare()
        answers.append(await sender.send(page))
    short, long = answers
    assert shown(short) == shown(long)
    assert (short.status, short.headers["vary"]) == (201, "Origin")
    assert short.headers.get("access-control-allow-origin") == (origin if "desk" in origin else None)


async def test_without_keys_everybody_takes_the_framework_s_way(settings: Settings) -> None:
    closed = msgspec.structs.replace(settings.auth, enabled=False)
    async with running(msgspec.structs.replace(settings, auth=closed)) as world:
        sender = Sender(world, {"ingest": "none"})
        assert [(await sender.send(Case("plain"))).status for _ in range(2)] == [201, 200]
        evil = Case("of a page", headers={"Origin": "https://evil.example"})
        assert (await sender.send(evil)).status == 403
