"""What is logged: one line each, constant messages, the values of the request, and no secret by whatever way it comes."""

import asyncio
import io
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import msgspec
import pytest
from loguru import logger

from incident_manager import log
from tests.logs import restored
from tests.world import World

CANARY = "canary-5d41402abc4b2a76b9719d911017c592"
KEY = f"im_0123456789abcdef0123456789abcdef_{CANARY}"
Lines = Callable[[], list[str]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """The lines that were written since the last look; afterwards logging is as it was."""
    with restored():
        yield lambda: capsys.readouterr().err.splitlines()  # noqa: PLW0108 - the other form would look once, and now


@pytest.fixture
def objects(lines: Lines) -> Callable[[], list[dict[str, Any]]]:
    log.configure("info", "json")
    return lambda: [msgspec.json.decode(line) for line in lines()]


def test_json_is_an_object_a_line(objects: Callable[[], Any]) -> None:
    logger.info("incident opened", number=3, reason="first_seen")
    [found] = objects()
    assert found.pop("time").endswith("Z")
    assert found == {"level": "INFO", "message": "incident opened", "number": 3, "reason": "first_seen"}


def test_text_is_a_line_for_people(lines: Lines) -> None:
    log.configure("info", "text")
    logger.warning("incident opened", number=3, title="two words\nand a line", source="prometheus")
    [line] = lines()
    _, _, rest = line.partition("Z ")
    assert rest == 'WARNING incident opened number=3 title="two words\\nand a line" source=prometheus'


@pytest.mark.parametrize("layout", ["text", "json"])
def test_what_is_below_the_level_is_not_written(lines: Lines, layout: str) -> None:
    log.configure("warning", layout)
    logger.info("quiet")
    logging.getLogger("library").info("quiet")
    assert lines() == []


@pytest.mark.parametrize(
    "name",
    [
        *(
            "authorization",
            "Authorization",
            "cookie",
            "secret",
            "auth.secret",
            "signing_secret",
            "password",
            "db_passwd",
        ),
        *("token", "bot_token", "key", "api_key", "routing-key", "keys", "dsn", "credentials", "apiKey", "passphrase"),
    ],
)
def test_a_value_with_the_name_of_a_secret_is_hidden(objects: Callable[[], Any], name: str) -> None:
    logger.info("said", **{name: CANARY, "deep": {"er": [{name: {"still": CANARY}}]}})
    [found] = objects()
    assert (found[name], found["deep"]) == ("***", {"er": [{name: "***"}]})


SECRETS = [
    (f"key {KEY} sent", "key im_0123456789abcdef0123456789abcdef_*** sent"),
    (f"POST /v1/integrations/grafana/{CANARY}?x=1", "POST /v1/integrations/grafana/***?x=1"),
    (f"https://h:8080/v1/integrations/generic/{CANARY}", "https://h:8080/v1/integrations/generic/***"),
    (f"to postgresql://im:{CANARY}@db:5432/incidents", "to postgresql://im:***@db:5432/incidents"),
    (f"postgresql://im:p@ss/{CANARY}@db/incidents", "postgresql://im:***@db/incidents"),
    (f"Authorization: Bearer {CANARY}", "Authorization: Bearer ***"),
    (f"{{'authorization': 'Basic {CANARY}'}}", "{'authorization': 'Basic ***'}"),
    (f"signed with whsec_{CANARY}=", "signed with whsec_***"),
    (f"xoxb-{CANARY} is refused", "xoxb-*** is refused"),
    (f"https://hooks.slack.com/services/T0/B0/{CANARY}", "https://hooks.slack.com/services/***"),
    (f"GET /x?access_token={CANARY}&page=2", "GET /x?access_token=***&page=2"),
    (f'{{"password": "{CANARY}", "name": "a"}}', '{"password": "***", "name": "a"}'),
    (f"host=db password={CANARY} user=im", "host=db password=*** user=im"),
]


@pytest.mark.parametrize(("text", "shown"), SECRETS)
def test_a_secret_in_a_text_is_hidden_and_what_it_is_stays(objects: Callable[[], Any], text: str, shown: str) -> None:
    logger.info("said", text=text, inside=[{"text": text}])
    [found] = objects()
    assert (found["text"], found["inside"]) == (shown, [{"text": shown}])


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T12:00:00Z",
        "/v1/incidents/01a21260-5754-7361-92fe-c9e6831a6031/acknowledge",
        "/v1/integrations/prod-grafana",
        "https://example.com:8080/path?page=2",
        "the key is not valid",
        "person@example.com",
        "im_port",
    ],
)
def test_what_is_no_secret_stays(objects: Callable[[], Any], text: str) -> None:
    logger.info("said", text=text, key_id="7", monitor="generic", tokens_left_at="x")
    [found] = objects()
    assert (found["text"], found["key_id"], found["monitor"]) == (text, "7", "generic")


@pytest.mark.parametrize("layout", ["text", "json"])
def test_an_exception_is_told_with_its_causes_and_without_secrets(lines: Lines, layout: str) -> None:
    log.configure("info", layout)
    local = CANARY  # a value of a variable, which a trace must not show
    try:
        try:
            raise ConnectionError(  # noqa: TRY301 - a cause that another error has
                f"postgresql://im:{local}@db/incidents does not answer"
            )
        except ConnectionError as error:
            raise ValueError(f"with {KEY}") from error
    except ValueError:
        logger.exception("request failed")
    written = "\n".join(lines())
    assert "ConnectionError: postgresql://im:***@db/incidents does not answer" in written
    assert "ValueError: with im_0123456789abcdef0123456789abcdef_***" in written
    assert "test_log.py" in written
    assert CANARY not in written


def test_what_libraries_log_comes_the_same_way(objects: Callable[[], Any]) -> None:
    logging.getLogger("some.library").error("called %s", f"https://a:{CANARY}@b/")
    [found] = objects()
    found.pop("time")
    expected = {"level": "ERROR", "message": "library", "logger": "some.library", "text": "called https://a:***@b/"}
    assert found == expected


@pytest.mark.parametrize("arguments", [("a",), (), ({"other": 1},)])
def test_a_record_whose_arguments_do_not_fit_is_told_without_them(
    objects: Callable[[], Any], arguments: tuple[Any, ...]
) -> None:
    root = logging.getLogger()
    root.handlers[:] = [
        handler for handler in root.handlers if "pytest" not in type(handler).__module__
    ]  # it would fail
    logging.getLogger("some.library").error("called %(name)d", *arguments)
    assert [found["text"] for found in objects()] == ["called %(name)d"]


def test_all_that_a_request_logs_bears_its_values_and_nothing_after_it(objects: Callable[[], Any]) -> None:
    async def deep() -> None:
        log.bind(incident_id="7")
        logger.info("inside")

    async def request() -> None:
        with log.bound(request_id="r1"):
            await asyncio.create_task(deep())
            logger.info("before the answer")
        logger.info("after")

    asyncio.run(request())
    shown = [(found["message"], found.get("request_id"), found.get("incident_id")) for found in objects()]
    assert shown == [("inside", "r1", "7"), ("before the answer", "r1", "7"), ("after", None, None)]


def test_requests_at_the_same_time_keep_their_values_apart(objects: Callable[[], Any]) -> None:
    async def request(number: int, turn: asyncio.Barrier) -> None:
        with log.bound(request_id=number):
            log.bind(incident_id=number)
            await turn.wait()
            logger.info("said", number=number)

    async def both() -> None:
        turn = asyncio.Barrier(2)
        await asyncio.gather(request(1, turn), request(2, turn))

    asyncio.run(both())
    assert all(found["request_id"] == found["incident_id"] == found["number"] for found in objects())


def test_outside_of_a_request_nothing_is_bound(objects: Callable[[], Any]) -> None:
    log.bind(incident_id="7")
    logger.info("said")
    assert "incident_id" not in objects()[0]


def test_values_do_not_take_the_place_of_time_level_or_message(objects: Callable[[], Any]) -> None:
    logger.bind(level="none", time="never").info("said")
    [found] = objects()
    assert (found["level"], found["level_"], found["time_"]) == ("INFO", "none", "never")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (b"a body", "<6 bytes>"),
        ("half a pair \ud800", "half a pair \\ud800"),
        (2**100, 2**100),
        (float("nan"), None),
        ({1: (True, None)}, {"1": [True, None]}),
        ([[[[[[[["deep"]]]]]]]], [[[[[["[['deep']]"]]]]]]),
        (ValueError("x"), "x"),
    ],
)
def test_any_value_can_be_logged(objects: Callable[[], Any], value: object, shown: object) -> None:
    logger.info("said", value=value)
    assert objects()[0]["value"] == shown


class Gone(io.StringIO):
    def write(self, _text: str) -> int:
        raise BrokenPipeError


def test_a_reader_that_has_gone_away_stops_nothing(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    log.configure("info", "text")
    monkeypatch.setattr(sys, "stderr", Gone())
    logger.info("said")
    monkeypatch.undo()
    logger.info("said again")
    assert [line.partition("INFO")[2].strip() for line in lines()] == ["said again"]


async def test_a_storm_writes_two_lines_an_alert_at_most_and_a_repeat_none(
    world: World, objects: Callable[[], Any]
) -> None:
    for number in range(200):
        await world.alert(title=f"problem {number % 20}", labels={"pod": f"p{number}"})
    found = objects()
    assert [line["message"] for line in found] == ["incident opened"] * 20
    assert all(line["incident_id"] and line["alert_id"] and line["request_id"] for line in found)


async def test_what_a_request_logs_has_its_id_and_what_it_is_about(world: World, objects: Callable[[], Any]) -> None:
    await world.alert()
    async with world.parts.database.engine.connect() as connection:
        await connection.exec_driver_sql("ALTER TABLE timeline RENAME TO moved")
        await connection.commit()
    await world.http.get("/v1/incidents/1/timeline", headers={"X-Request-Id": "mine"})
    failed = objects()[-1]
    assert (failed["message"], failed["request_id"], failed["reference"]) == ("request failed", "mine", "1")
