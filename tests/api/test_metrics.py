"""Metrics as Prometheus reads them: each moves by the right amount when its cause happens, and only then."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from incident_manager import errors
from incident_manager.rules.access import Role
from incident_manager.rules.dedup import Reason, Verdict
from incident_manager.settings import Settings
from tests import make
from tests.api.answers import refused
from tests.api.outage import cut_off
from tests.api.routes import ROUTES, things
from tests.world import World, running

P = "incident_manager_"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scrape(world: World) -> Samples:
    response = await world.http.get("/metrics")
    assert response.status_code == 200, response.text
    families = parse(response.text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


class Moved:
    """By how much samples moved between two looks."""

    def __init__(self) -> None:
        self.before: Samples = {}
        self.after: Samples = {}

    def by(self, name: str, **labels: str) -> float:
        key = (f"{P}{name}", frozenset(labels.items()))
        return self.after.get(key, 0) - self.before.get(key, 0)

    def all(self, name: str) -> dict[tuple[str, ...], float]:
        """Return what moved of a metric, by the values of its labels in the order of their names."""
        moved = {
            tuple(value for _, value in sorted(labels)): self.after[full, labels] - self.before.get((full, labels), 0)
            for full, labels in self.after
            if full == f"{P}{name}"
        }
        return {labels: amount for labels, amount in moved.items() if amount}


@asynccontextmanager
async def moving(world: World) -> AsyncIterator[Moved]:
    moved = Moved()
    moved.before = await scrape(world)
    yield moved
    moved.after = await scrape(world)


async def test_it_is_prometheus_text(world: World) -> None:
    response = await world.http.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert {family.name for family in parse(response.text)} >= {f"{P}requests", f"{P}build_info", "process_cpu_seconds"}


@pytest.mark.parametrize("role", Role)
async def test_a_key_of_any_role_reads_them(world: World, role: Role) -> None:
    assert (await world.as_key(await world.key(role)).get("/metrics")).status_code == 200


async def test_nobody_else_does(world: World) -> None:
    refused(await world.as_key(None).get("/metrics"), 401, "AUTHENTICATION_ERROR")


async def test_where_they_are_public_everybody_does(settings: Settings) -> None:
    public = msgspec.structs.replace(settings, metrics=msgspec.structs.replace(settings.metrics, public=True))
    async with running(public) as world:
        assert (await world.as_key(None).get("/metrics")).status_code == 200
        refused(await world.as_key(None).get("/v1/alerts"), 401, "AUTHENTICATION_ERROR")


async def test_requests_are_counted_by_template_and_status(world: World) -> None:
    number = (await world.alert())["incident_number"]
    async with moving(world) as moved:
        for path in (f"/v1/incidents/{number}", f"/v1/incidents/{number}", "/v1/incidents/77", "/nowhere/7"):
            await world.http.get(path)
        await world.http.delete("/v1/alerts")
    assert moved.all("requests_total") == {
        ("GET", "/v1/incidents/{reference}", "200"): 2,
        ("GET", "/v1/incidents/{reference}", "404"): 1,
        ("GET", "none", "404"): 1,
        ("DELETE", "none", "405"): 1,
        ("GET", "/metrics", "200"): 1,
    }


async def test_requests_are_timed(world: World) -> None:
    async with moving(world) as moved:
        await world.alert()
        await world.alert()
    assert moved.by("request_seconds_count", method="POST", route="/v1/alerts") == 2
    assert 0 < moved.by("request_seconds_sum", method="POST", route="/v1/alerts") < 60
    assert moved.by("request_seconds_bucket", method="POST", route="/v1/alerts", le="+Inf") == 2


async def test_alerts_are_counted_by_what_was_done_and_why(world: World) -> None:
    async with moving(world) as moved:
        for status in ("firing", "firing", "firing", "acknowledged", "resolved", "resolved"):
            await world.alert(status=status)
        await world.alert(status="acknowledged", title="other")
    assert moved.all("alerts_total") == {
        ("opened", "first_seen"): 1,
        ("attached", "within_window"): 2,
        ("acknowledged", "source_acknowledged"): 1,
        ("resolved", "source_resolved"): 1,
        ("no_effect", "nothing_open"): 2,
    }
    assert moved.by("dedup_ratio") == pytest.approx(2 / 3)


async def test_an_alert_delivered_again_is_counted_as_such(world: World) -> None:
    async with moving(world) as moved:
        for _ in range(3):
            await world.alert(external_id="once")
    assert moved.all("alerts_total") == {("opened", "first_seen"): 1, ("repeated", "repeated"): 2}


async def test_a_delivery_counts_each_of_its_alerts(world: World) -> None:
    made = await world.post("/v1/integrations", {"name": "gen", "monitor": "generic"}, status=201)
    body = [{"title": "t", "dedup_key": "k"} for _ in range(5)]
    async with moving(world) as moved:
        await world.post(f"/v1/integrations/generic/{made['key']}", body)
    assert moved.all("alerts_total") == {("opened", "first_seen"): 1, ("attached", "while_open"): 4}
    assert moved.by("requests_total", method="POST", route="/v1/integrations/{monitor}/{key}", status="200") == 1


async def test_an_alert_that_is_refused_is_no_alert(world: World) -> None:
    async with moving(world) as moved:
        await world.http.post("/v1/alerts", json={"title": "without a source"})
    assert moved.all("alerts_total") == {}


async def test_a_commit_is_timed(world: World) -> None:
    await world.alert()  # takes a block of incident numbers, and notes the key's use
    async with moving(world) as moved:
        await world.alert()
        await world.get("/v1/incidents")
    assert moved.by("commit_seconds_count") == 1
    assert moved.by("commit_seconds_sum") > 0


async def test_statements_are_timed_by_name(world: World) -> None:
    await world.alert()
    async with moving(world) as moved:
        await world.alert()
        await world.get("/v1/incidents/1")
    counts = {name: amount for (name,), amount in moved.all("sql_seconds_count").items()}
    written = "intake.alerts" if world.parts.database.is_sqlite else "intake.write"
    assert {name: counts.get(name) for name in ("intake.lock", written, "incidents.get")} == {
        "intake.lock": 1,
        written: 1,
        "incidents.get": 1,
    }
    assert counts["access.find_key"] == 2  # an alert brings its key along, into its own transaction
    assert "other" not in counts


def _refusals(world: World, viewer: str, ingest_body: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    as_viewer = {"Authorization": f"Bearer {viewer}"}
    yield "AUTHENTICATION_ERROR", {"method": "GET", "url": "/v1/alerts", "headers": {"Authorization": "Bearer x"}}
    yield "AUTHORIZATION_ERROR", {"method": "POST", "url": "/v1/alerts", "json": make.alert(), "headers": as_viewer}
    yield "NOT_FOUND", {"method": "GET", "url": "/v1/incidents/77"}
    yield "METHOD_NOT_ALLOWED", {"method": "DELETE", "url": "/v1/alerts"}
    yield "PAYLOAD_TOO_LARGE", {"method": "POST", "url": "/v1/alerts", "content": ingest_body}
    yield "UNSUPPORTED_MEDIA_TYPE", {"method": "POST", "url": "/v1/alerts", "content": b"<a/>"}
    yield "MALFORMED_REQUEST", {"method": "POST", "url": "/v1/alerts", "content": b"{"}
    yield "VALIDATION_ERROR", {"method": "POST", "url": "/v1/alerts", "json": {}}
    yield "CONFLICT", {"method": "POST", "url": "/v1/incidents", "json": make.incident()}
    yield "INVALID_STATE_TRANSITION", {"method": "POST", "url": "/v1/incidents/1/close"}
    yield "VERSION_CONFLICT", {"method": "PATCH", "url": "/v1/incidents/1", "json": {"title": "t"}}


async def test_refusals_are_counted_by_their_code(world: World) -> None:
    await world.post("/v1/incidents", make.incident(), status=201)
    viewer = await world.key(Role.VIEWER)
    json, xml = {"Content-Type": "application/json"}, {"Content-Type": "text/xml"}
    more = {"UNSUPPORTED_MEDIA_TYPE": xml, "VERSION_CONFLICT": {"If-Match": '"77"'}}
    asked = dict(_refusals(world, viewer, b" " * 300_000))
    async with moving(world) as moved:
        for code, request in asked.items():
            headers = more.get(code, json if "content" in request else {}) | request.pop("headers", {})
            assert (await world.http.request(**request, headers=headers)).json()["code"] == code
    assert moved.all("rejections_total") == {(code,): 1 for code in asked}


async def test_the_database_that_is_gone_is_counted_too(settings: Settings) -> None:
    public = msgspec.structs.replace(settings, metrics=msgspec.structs.replace(settings.metrics, public=True))
    async with cut_off(public) as world, moving(world) as moved:
        await world.http.get("/v1/incidents")
    assert moved.all("rejections_total") == {("UNAVAILABLE",): 1}
    assert moved.by("requests_total", method="GET", route="/v1/incidents", status="503") == 1


async def test_pools_and_the_loop_and_the_build_are_there(world: World) -> None:
    found = await scrape(world)
    names = {name for name, _ in found}
    pools = {dict(labels)["pool"] for name, labels in found if name == f"{P}pool_size"}
    assert names >= {f"{P}pool_in_use", f"{P}pool_waiting", f"{P}event_loop_lag_seconds_count", f"{P}build_info"}
    assert pools == ({"writer", "readers"} if world.parts.database.is_sqlite else {"shared"})


async def test_what_callers_send_makes_no_label(world: World) -> None:
    await things(world)
    for number in range(20):
        word = f"canary{number}"
        await world.alert(source=word, title=word, labels={word: word}, dedup_key=word)
        caller = world.as_key(word)
        for path in (f"/{word}", f"/v1/incidents/{word}", f"/v1/alerts?{word}=1", f"/v1/integrations/{word}/{word}"):
            await caller.get(path, headers={"X-Request-Id": word, "User-Agent": word})
        await caller.request(word.upper(), "/v1/alerts")
        await caller.post(f"/v1/integrations/generic/{word}", json={})
    text = (await world.http.get("/metrics")).text
    assert "canary" not in text.lower()


BOUNDS: Mapping[str, frozenset[str]] = {
    "method": frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"}),
    "route": frozenset({route.path for route in ROUTES} | {"none"}),
    "outcome": frozenset({*Verdict, "repeated"}),
    "pool": frozenset({"writer", "readers", "shared"}),
}
REASONS = {
    "alerts_total": {*Reason, "repeated"},
    "rejections_total": {kind.code for kind in vars(errors).values() if hasattr(kind, "code")},
}


async def test_every_label_stays_within_its_set(world: World) -> None:
    made = await things(world)
    for route in ROUTES:
        for caller in (world.http, world.as_key(None)):
            await caller.request(route.method, made.path(route), json=made.body(route))
    found = await scrape(world)
    for name, labels in found:
        for label, value in labels:
            if label == "reason":
                assert value in REASONS[name.removeprefix(P)]
            elif label in BOUNDS:
                assert value in BOUNDS[label], name
    statements = {dict(labels)["statement"] for _, labels in found if "statement" in dict(labels)}
    assert all(name in {"begin", "flush"} or name.count(".") >= 1 for name in statements), statements
    assert {label for _, labels in found for label, _ in labels} <= BOUNDS.keys() | {
        *("reason", "status", "statement", "le", "version", "python")
    }
