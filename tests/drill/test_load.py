"""The drills' clients tell an answer that a service may give from one that it must not, and never give up on the first."""

import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.drill.deliveries import many, mixed, one
from tests.drill.load import BROKEN, Load, held
from tests.drill.servers import BATCH, Access
from tests.make import alert

WAYS = Access({"Authorization": "Bearer x"}, "/v1/integrations/generic/x", batches=True)
Script = tuple[int, dict[str, str], object] | None
STORED: Script = (201, {}, {"alert_id": "1"})
UNAVAILABLE: Script = (503, {"Retry-After": "1"}, {"code": "UNAVAILABLE"})
BARE: Script = (503, {}, {"code": "UNAVAILABLE"})
FAILED: Script = (500, {}, {"code": "INTERNAL_ERROR"})
REFUSED: Script = (422, {}, {"code": "VALIDATION_ERROR"})
GONE: Script = None  # the connection is closed without an answer


@contextmanager
def answering(*script: Script) -> Iterator[str]:
    """Serve what is to be answered, one after the other."""
    answers = iter(script)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if (answer := next(answers)) is None:
                self.close_connection = True
                return
            status, headers, body = answer
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(json.dumps(body)))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def posted(*script: Script) -> Load:
    """Post one alert, to a server that answers so."""
    with answering(*script) as url, Load([one(WAYS, "a", alert())], clients=1) as load:
        load.to(url)
        load.run_out()
    return load


@pytest.mark.parametrize(
    ("script", "wrong", "left"),
    [
        ([STORED], 0, 0),
        ([UNAVAILABLE, GONE, UNAVAILABLE, STORED], 0, 0),
        ([BARE, STORED], 1, 0),
        ([FAILED, STORED], 1, 0),
        ([REFUSED], 1, 1),
    ],
    ids=["stored", "in the end", "without Retry-After", "failed", "refused"],
)
def test_it_tries_until_that_is_settled_and_keeps_what_was_wrong(script: list[Script], wrong: int, left: int) -> None:
    load = posted(*script)
    assert len(load.seen) == len(script)
    assert (len(load.wrong), len(load.made - load.results.keys())) == (wrong, left)
    assert all(one.held for one in held("a", load)) is (wrong == left == 0)


def test_a_request_without_an_answer_is_seen_as_broken() -> None:
    assert [one.status for one in posted(GONE, STORED).seen] == [BROKEN, 201]


def test_each_alert_of_several_has_its_own_answer() -> None:
    alerts = {"a": alert(), "b": alert()}
    results = [{"alert_id": "1"}, {"alert_id": None, "status": "Rejected"}]
    with answering((200, {}, {"results": results})) as url, Load([many(WAYS, "batch", alerts)], clients=1) as load:
        load.to(url)
        load.run_out()
    assert load.answered == {"a": "1", "b": "b"}  # what was rejected is looked for under a name that no alert has


def test_no_name_comes_twice_and_every_form_comes() -> None:
    made = [*itertools.islice(mixed(WAYS, seed=1), 500)]
    names = [name for delivery in made for name in delivery.names]
    assert len(names) == len({*names})
    assert {delivery.path for delivery in made} == {"/v1/alerts", BATCH, WAYS.monitor}
