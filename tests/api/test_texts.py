"""Texts of every kind through every text field of every write: taken and given back as they are, or refused."""

import json
from typing import Any

import pytest

from tests import make
from tests.api.answers import fields
from tests.world import World

COMMON = {
    "tab and line feed": "a\tb\nc\r\nd",
    "control characters": "a\x01\x07\x08\x0b\x1b\x1f\x7fb",
    "C1 control characters": "a\x80\x85\x9fb",
    "ANSI escapes": "\x1b[31mred\x1b[0m \x1b]0;title\x07",
    "bidi": "\u202eabc\u202c \u2066x\u2069 \u200f",
    "right to left": "שלום العالم",
    "emoji": "🔥 👩‍🚒 🏴󠁧󠁢󠁥󠁮󠁧󠁿 ❤️",
    "zero width": "a\u200bb\u200dc\ufeffd\u2060e",
    "combining storm": "Z" + "\u0310\u0337\u0361" * 40,
    "composed and decomposed": "\u00e9 e\u0301 \ufb01",
    "four bytes": "\U0001f600\U00020000\U0010fffd",
    "noncharacters": "\ufffe\uffff\U0001fffe",
    "replacement": "\ufffd",
    "separators": "a\u2028b\u2029c\u00a0d\u3000e",
    "only spaces": "   ",
    "spaces around": "  a  ",
    "quotes and backslashes": "\"'`\\ \\u0041 \\x00 %00 %s {x} {{x}} ${x} $1 ; -- /* */",
    "markup": "<script>alert(1)</script> &amp; ]]>",
    "json": '{"a": [1, null]}',
    "case": "ß \u0130 \u0131 \u212a \u01c6",
    "numbers": "1e400 NaN 007",
}
REFUSED = {"NUL": '"a\\u0000b"', "lone surrogate": '"a\\ud800b"', "other half": '"\\udfffa"'}
CONTROL = {"tab and line feed", "control characters", "C1 control characters", "ANSI escapes"}


async def test_an_alert_comes_back_as_it_was_sent(world: World) -> None:
    for name, text in COMMON.items():
        sent: dict[str, Any] = dict.fromkeys(("source", "title", "description", "external_id", "dedup_key"), text)
        sent |= {"affected_services": [text], "links": [{"href": "https://a.example/", "text": text}]}
        answer = await world.post("/v1/alerts", sent, status=201)
        shown = await world.get(f"/v1/alerts/{answer['alert_id']}")
        assert {field: shown[field] for field in sent} == sent, name


async def test_an_incident_comes_back_as_it_was_sent(world: World) -> None:
    for name, text in COMMON.items():
        sent = {"source": text, "title": text, "description": text, "assignees": [text], "affected_resources": [text]}
        opened = await world.post("/v1/incidents", make.incident(**sent), status=201)
        shown = await world.incident(opened["id"])
        assert {field: shown[field] for field in sent} == sent, name


async def test_what_is_done_to_an_incident_comes_back_as_sent(world: World) -> None:
    for name, text in COMMON.items():
        number = (await world.alert(title=name))["incident_number"]
        path = f"/v1/incidents/{number}"
        acknowledged = await world.post(f"{path}/acknowledge", {"by": text})
        await world.post(f"{path}/notes", {"content": text})
        ended = await world.post(f"{path}/resolve", {"resolved_by": text, "notes": text, "root_cause": text})
        await world.post(f"{path}/reopen", {"reason": text})
        changed = (await world.http.patch(path, json={"title": text + "!", "actor": text})).json()
        last = {event["type"]: event for event in await world.timeline(number)}
        texts = [acknowledged["acknowledged_by"], last["note"]["description"], last["reopened"]["reason"]]
        texts += [ended["resolution"][field] for field in ("resolved_by", "notes", "root_cause")]
        assert texts == [text] * 6, name
        assert (changed["title"], last["changed"]["actor"]) == (text + "!", text), name


async def test_labels_and_annotations_take_any_text_without_control_characters(world: World) -> None:
    for name, text in COMMON.items():
        for field in ("labels", "annotations"):
            response = await world.http.post("/v1/alerts", json=make.alert(title=name, **{field: {text: text}}))
            if name in CONTROL:
                assert fields(response) == [field]
            else:
                alert = await world.get(f"/v1/alerts/{response.json()['alert_id']}")
                assert alert[field] == {text: text}, name


async def test_a_text_is_found_again_by_every_filter_that_it_can_be_in(world: World) -> None:
    for name, text in COMMON.items():
        value = "plain" if name in CONTROL else text.replace(":", "")
        wanted = make.incident(source=text, assignees=[text], affected_resources=[text], labels={name: value})
        incident = await world.post("/v1/incidents", wanted, status=201)
        for query in ({"sources": text}, {"assignees": text}, {"services": text}, {"labels": f"{name}:{value}"}):
            assert [one["id"] for one in await world.incidents(**query)] == [incident["id"]], (name, query)


@pytest.mark.parametrize("name", REFUSED)
async def test_what_cannot_be_stored_is_refused_in_every_text_field(world: World, name: str) -> None:
    number = (await world.alert())["incident_number"]
    writes: dict[str, dict[str, Any]] = {
        "/v1/alerts": make.alert(description="", external_id="", dedup_key="", labels={}, affected_services=[]),
        "/v1/incidents": make.incident(description="", labels={}, assignees=[], affected_resources=[]),
        f"/v1/incidents/{number}/acknowledge": {"by": ""},
        f"/v1/incidents/{number}/notes": {"content": ""},
        f"/v1/incidents/{number}/resolve": {"resolved_by": "a", "notes": "", "root_cause": ""},
        f"/v1/incidents/{number}/reopen": {"reason": ""},
    }
    for path, body in writes.items():
        for field, value in body.items():
            hole = {list: ["HOLE"], dict: {"HOLE": "HOLE"}}.get(type(value), "HOLE")
            valid = {key: other for key, other in body.items() if other}
            content = json.dumps(valid | {field: hole}).replace('"HOLE"', REFUSED[name])
            response = await world.http.post(path, content=content, headers={"Content-Type": "application/json"})
            assert response.status_code in {400, 422}, (path, field)
    assert len(await world.incidents()) == 1
