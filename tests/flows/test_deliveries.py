"""What monitors send to their addresses: who is let in, what is taken in, and what folds into what."""

import asyncio
import json
from datetime import datetime
from typing import Any

import httpx2
import pytest
from standardwebhooks.webhooks import Webhook

from incident_manager.rules.severity import from_foreign
from tests.monitors.payloads import Payload, payload, payloads, value
from tests.world import World

SECRET = "the-signing-secret"
LIMIT = 1024 * 1024
T1, T2, T3 = "2026-03-01T11:00:00Z", "2026-03-01T11:30:00Z", "2026-03-01T11:45:00Z"


async def address(world: World, monitor: str = "alertmanager", name: str = "am", **fields: Any) -> str:
    made = await world.post("/v1/integrations", {"name": name, "monitor": monitor} | fields, status=201)
    return str(made["url"])


async def sent(world: World, url: str, body: bytes, **headers: str) -> httpx2.Response:
    """Post as a monitor does: without a key of ours."""
    return await world.as_key(None).post(url, content=body, headers={"Content-Type": "application/json"} | headers)


async def results(world: World, url: str, *alerts: dict[str, Any]) -> list[dict[str, Any]]:
    """Post a group of Alertmanager's and return what became of each alert."""
    response = await sent(world, url, json.dumps({"version": "4", "status": "firing", "alerts": alerts}).encode())
    assert response.status_code == 200, response.text
    return list(response.json()["results"])


def firing(start: str = T1, **fields: Any) -> dict[str, Any]:
    return {"status": "firing", "fingerprint": "f", "labels": {"alertname": "Down"}, "startsAt": start} | fields


def resolved(end: str = T2, **fields: Any) -> dict[str, Any]:
    return firing(status="resolved", endsAt=end, **fields)


@pytest.mark.parametrize("given", payloads(), ids=str)
async def test_every_real_payload_is_taken_in_byte_for_byte(world: World, given: Payload) -> None:
    url = await address(world, given.monitor, "real")
    response = await sent(world, url, given.body, **given.headers)
    answer = response.json()
    assert (response.status_code, answer["accepted"], answer["cut"]) == (200, len(given.events), 0)
    alerts = [await world.get(f"/v1/alerts/{result['alert_id']}") for result in answer["results"]]
    for event, alert in zip(given.events, alerts, strict=True):
        assert alert["title"] == value(event, "title")
        assert alert["status"] == event["status"]
        assert alert["labels"] == value(event, "labels")
        assert (alert["source"], alert["fingerprint"][:2]) == ("real", "1:")
        if "severity_native" in event:
            assert alert["severity"] == from_foreign(value(event, "severity_native"), {})
        time = "resolved_time" if event["status"] == "resolved" else "event_time"
        assert datetime.fromisoformat(alert["occurred_at"]) == datetime.fromisoformat(value(event, time))


async def test_equal_labels_with_two_fingerprints_are_two_incidents(world: World) -> None:
    url = await address(world)
    response = await sent(world, url, payload("alertmanager", "v4-firing-two-alerts-empty-grouplabels").body)
    assert [result["status"] for result in response.json()["results"]] == ["Accepted", "Accepted"]
    assert len(await world.incidents()) == 2


async def test_a_group_may_fire_and_resolve_at_once(world: World) -> None:
    url = await address(world)
    body = payload("alertmanager", "v4-mixed-firing-and-resolved-no-version").body
    answered = (await sent(world, url, body)).json()["results"]
    assert [result["reason"] for result in answered] == ["first_seen", "nothing_open"]
    [incident] = await world.incidents()
    assert (incident["severity"], incident["state"], incident["title"]) == (
        "P0",
        "Detected",
        "API latency above threshold",
    )


async def test_an_incident_has_what_its_alert_had(world: World) -> None:
    url = await address(world)
    await sent(world, url, payload("alertmanager", "v3-firing-numeric-groupkey").body)
    [incident] = await world.incidents()
    assert incident["links"] == [
        {"href": "http://prometheus.host:9090/...", "text": "Source of the alert"},
        {"href": "http://alertmanager.host:9093", "text": "Alertmanager"},
    ]
    assert (incident["affected_resources"], incident["source"]) == (["System", "host2"], "am")


async def test_a_repeat_four_hours_later_is_counted_into_the_open_incident(world: World) -> None:
    url = await address(world)
    for _ in range(4):
        [answer] = await results(world, url, firing())
        world.forward(hours=4)
    assert (answer["status"], answer["reason"], answer["occurrences"]) == ("Duplicate", "while_open", 4)
    assert len(await world.incidents()) == 1


async def test_a_delivery_that_alertmanager_sends_again_counts_as_a_repeat(world: World) -> None:
    url, body = await address(world), payload("alertmanager", "v4-firing-two-alerts-empty-grouplabels").body
    for _ in range(2):
        response = await sent(world, url, body)
    assert [result["occurrences"] for result in response.json()["results"]] == [2, 2]


async def test_the_resolve_closes_and_the_next_firing_is_a_recurrence(world: World) -> None:
    url = await address(world)
    [first] = await results(world, url, firing(T1))
    [ended] = await results(world, url, resolved(T2))
    [again] = await results(world, url, firing(T3))
    assert (ended["incident_id"], ended["reason"]) == (first["incident_id"], "source_resolved")
    assert again["status"] == "Accepted"
    assert (await world.incident(again["incident_id"]))["recurrence_of_id"] == first["incident_id"]
    assert (await world.incident(first["incident_id"]))["state"] == "Resolved"


async def test_a_resolve_of_what_never_fired_opens_nothing(world: World) -> None:
    [answer] = await results(world, await address(world), resolved())
    assert (answer["status"], answer["reason"], answer["incident_id"]) == ("Accepted", "nothing_open", None)
    assert await world.incidents() == []


async def test_a_resolve_older_than_the_newest_firing_changes_nothing(world: World) -> None:
    url = await address(world)
    await results(world, url, firing(T3))
    [late] = await results(world, url, resolved(T2))
    assert late["reason"] == "out_of_order"
    assert (await world.incidents())[0]["state"] == "Detected"


async def test_an_alert_that_fires_on_after_its_resolve_opens_although_it_began_before(world: World) -> None:
    """Alertmanager resolves what its Prometheus no longer repeats; when Prometheus is back, the start is the old one."""
    url = await address(world)
    await results(world, url, firing(T1))
    await results(world, url, resolved(T2))
    [back] = await results(world, url, firing(T1))
    assert (back["status"], back["reason"]) == ("Accepted", "previous_ended")


async def test_a_watchdog_is_one_quiet_incident_for_ever(world: World) -> None:
    url = await address(world)
    watchdog = firing(labels={"alertname": "Watchdog", "severity": "none"})
    for _ in range(3):
        await results(world, url, watchdog)
        world.forward(days=1)
    [incident] = await world.incidents()
    assert (incident["severity"], incident["occurrences"]) == ("P4", 3)


async def test_the_same_message_to_two_integrations_is_two_incidents(world: World) -> None:
    one, other = await address(world, name="one"), await address(world, name="other")
    answers = [(await results(world, url, firing()))[0] for url in (one, other)]
    assert [answer["status"] for answer in answers] == ["Accepted", "Accepted"]
    assert {incident["source"] for incident in await world.incidents()} == {"one", "other"}
    await results(world, one, resolved())
    assert {each["source"]: each["state"] for each in await world.incidents()} == {
        "one": "Resolved",
        "other": "Detected",
    }


@pytest.mark.parametrize("fields", [{"dedup_key": "k"}, {}])
async def test_a_renamed_integration_keeps_its_open_incidents(world: World, fields: dict[str, str]) -> None:
    url = await address(world, "generic", "old")
    await sent(world, url, json.dumps({"title": "t"} | fields).encode())
    await world.http.patch("/v1/integrations/old", json={"name": "new"})
    heir = await address(world, "generic", "old")
    fired = await sent(world, heir, json.dumps({"title": "t"} | fields).encode())
    ended = await sent(world, url, json.dumps({"title": "t", "status": "resolved"} | fields).encode())
    assert [answer.json()["results"][0]["incident_number"] for answer in (fired, ended)] == [2, 1]
    assert [incident["resolution"]["resolved_by"] for incident in await world.incidents(states="Resolved")] == ["new"]


async def test_nobody_elses_alert_passes_for_an_integrations(world: World) -> None:
    url = await address(world, "generic", "gen")
    first = (await sent(world, url, b'{"title": "t", "dedup_key": "k"}')).json()["results"][0]
    second = await world.alert(source="gen", title="t", dedup_key="k")
    assert second["incident_id"] != first["incident_id"]


async def test_the_settings_of_an_integration_act(world: World) -> None:
    settings = {"dedup_mode": "window", "window_seconds": 60, "severity_map": {"page": "P4"}, "labels": {"team": "web"}}
    url = await address(world, **settings)
    paging = firing(labels={"alertname": "Down", "severity": "page", "team": "db"})
    reasons = []
    for seconds in (60, 61, 0):
        [answer] = await results(world, url, paging)
        reasons.append(answer["reason"])
        world.forward(seconds=seconds)
    assert reasons == ["first_seen", "within_window", "window_expired"]
    incident = await world.incident(answer["incident_id"])
    assert (incident["severity"], incident["labels"]["team"]) == ("P4", "web")


async def test_while_open_holds_alerts_without_an_identity_together_for_as_long_as_it_takes(world: World) -> None:
    url = await address(world, "generic", dedup_mode="while_open")
    for _ in range(2):
        answer = (await sent(world, url, b'{"title": "t"}')).json()["results"][0]
        world.forward(days=30)
    assert answer["reason"] == "while_open"


async def test_an_integration_shows_when_it_was_last_heard_of_and_how_much_it_brought(world: World) -> None:
    url = await address(world)
    await results(world, url, firing(), firing(fingerprint="g"))
    world.forward(minutes=5)
    await results(world, url)
    shown = await world.get("/v1/integrations/am")
    assert (shown["alerts_received"], shown["last_seen_at"], shown["version"]) == (2, "2026-03-01T12:05:00Z", 1)


async def test_what_is_too_much_is_cut_counted_and_taken(world: World) -> None:
    labels = {f"l{number:02}": "v" for number in range(64)} | {"severity": "critical", "alertname": "n"}
    alert = firing(labels=labels, annotations={"summary": "x" * 501}, generatorURL="/graph")
    body = json.dumps({"alerts": [alert]}).encode()
    answer = (await sent(world, await address(world), body)).json()
    stored = await world.get(f"/v1/alerts/{answer['results'][0]['alert_id']}")
    assert (len(stored["labels"]), len(stored["title"]), stored["severity"], stored["links"]) == (64, 500, "P0", [])
    assert answer["cut"] == 2 + 1 + 1


async def test_a_group_of_more_than_a_thousand_is_taken_in_whole_and_in_order(world: World) -> None:
    url = await address(world)
    alerts = [firing(fingerprint=str(number % 1_100)) for number in range(1_200)]
    answered = await results(world, url, *alerts)
    assert [result["occurrences"] for result in answered] == [1] * 1_100 + [2] * 100
    assert [result["incident_id"] for result in answered[1_100:]] == [
        result["incident_id"] for result in answered[:100]
    ]
    assert (await world.get("/v1/integrations/am"))["alerts_received"] == 1_200


@pytest.mark.parametrize(("length", "status"), [(LIMIT, 200), (LIMIT + 1, 413)])
async def test_a_delivery_is_a_mebibyte_at_most(world: World, length: int, status: int) -> None:
    body = json.dumps({"alerts": [firing()]}).encode()
    response = await sent(world, await address(world), body + b" " * (length - len(body)))
    assert response.status_code == status


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("application/json; charset=latin-1", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
    ],
)
async def test_a_monitor_sends_its_own_content_types(world: World, content_type: str, status: int) -> None:
    response = await sent(world, await address(world), b'{"alerts": []}', **{"Content-Type": content_type})
    assert response.status_code == status


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [(b"alerts", 400, None), (b"", 400, None), (b"{}", 422, "alerts"), (b"[]", 422, "")],
)
async def test_what_cannot_be_read_is_refused_and_not_heard_of(
    world: World, body: bytes, status: int, field: str | None
) -> None:
    response = await sent(world, await address(world), body)
    fields = [error["field"] for error in response.json().get("errors", [])]
    assert (response.status_code, fields) == (status, [] if field is None else [field])
    assert (await world.get("/v1/integrations/am"))["last_seen_at"] is None


async def test_only_the_address_itself_lets_in(world: World) -> None:
    url = await address(world)
    key = url.rpartition("/")[2]
    wrong = [key.swapcase(), key[:-1], f"{key}a", "a" * 5_000, world.admin_key]
    paths = [f"/v1/integrations/alertmanager/{each}" for each in wrong]
    paths += [f"/v1/integrations/generic/{key}", f"/v1/integrations/carrier-pigeon/{key}", "/v1/integrations/a/b"]
    for path in paths:
        response = await sent(world, path, b'{"alerts": []}')
        assert (response.status_code, response.json()["code"]) == (401, "AUTHENTICATION_ERROR"), path
        assert response.json()["detail"] == "the key in the address is not valid"


async def test_a_wrong_key_is_refused_before_anything_else_is_looked_at(world: World) -> None:
    response = await sent(world, f"/v1/integrations/alertmanager/{'a' * 32}", b"x", **{"Content-Type": "text/plain"})
    assert response.status_code == 401


@pytest.mark.parametrize("authorization", ["Bearer nonsense", "Basic nonsense", "Bearer im_0_0"])
async def test_without_a_signing_secret_an_authorization_header_does_not_count(
    world: World, authorization: str
) -> None:
    response = await sent(world, await address(world), b'{"alerts": []}', Authorization=authorization)
    assert response.status_code == 200


async def test_with_a_signing_secret_alertmanager_must_send_it(world: World) -> None:
    url = await address(world, signing_secret=SECRET)
    given = [{}, {"Authorization": "Bearer another-secret"}, {"Authorization": f"Bearer {SECRET}"}]
    answers = [await sent(world, url, b'{"alerts": []}', **headers) for headers in given]
    assert [answer.status_code for answer in answers] == [401, 401, 200]


async def test_with_a_signing_secret_a_generic_delivery_must_be_signed_over_its_very_bytes(world: World) -> None:
    url, body = await address(world, "generic", signing_secret=SECRET), '{"title": "t"}'
    now = world.clock.now()
    headers = {"webhook-id": "m", "webhook-timestamp": str(int(now.timestamp()))}
    headers["webhook-signature"] = Webhook(SECRET.encode()).sign("m", now, body)
    good, changed = (
        await sent(world, url, body.encode(), **headers),
        await sent(world, url, b'{"title":"t"}', **headers),
    )
    unsigned = await sent(world, url, body.encode())
    world.forward(seconds=301)
    late = await sent(world, url, body.encode(), **headers)
    assert [each.status_code for each in (good, changed, unsigned, late)] == [200, 401, 401, 401]
    assert (await world.get("/v1/integrations/am"))["alerts_received"] == 1


async def test_an_external_id_names_a_delivery_within_its_integration_and_status(world: World) -> None:
    one, other = await address(world, "generic", "one"), await address(world, "generic", "other")
    body = {"title": "t", "external_id": "e"}
    posts = [(one, body), (one, body | {"title": "u"}), (other, body), (one, body | {"status": "resolved"})]
    answers = [(await sent(world, url, json.dumps(each).encode())).json()["results"][0] for url, each in posts]
    assert answers[1] == answers[0]
    assert answers[2]["status"] == "Accepted"
    assert answers[3]["reason"] == "source_resolved"
    assert [incident["occurrences"] for incident in await world.incidents()] == [1, 1]


@pytest.mark.parametrize("header", ["Idempotency-Key", "webhook-id"])
async def test_a_delivery_of_a_known_id_gets_its_first_answer_and_counts_once(world: World, header: str) -> None:
    url, body = await address(world, "generic"), b'[{"title": "t"}, {"title": "t"}, {"title": "u"}]'
    first = await sent(world, url, body, **{header: "m1"})
    repeats = await asyncio.gather(*(sent(world, url, body, **{header: "m1"}) for _ in range(8)))
    assert [repeat.json() for repeat in repeats] == [first.json()] * 8
    assert sorted(incident["occurrences"] for incident in await world.incidents()) == [1, 2]
    assert (await sent(world, url, b'{"title": "v"}', **{header: "m1"})).status_code == 422
    assert (await sent(world, url, body, **{header: "m2"})).json()["results"][0]["occurrences"] == 3
