"""Three processes are replaced one after the other under load, as an upgrade does: nobody is told an error.

Clients are not told that one is about to go, as behind a balancer that looks now and then; they try another one where it does
not take their request. What it took, it answers.
"""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

from tests.bench.engines import Engine
from tests.cli.processes import Server
from tests.drill.deliveries import mixed
from tests.drill.invariants import Invariant, none_of, within
from tests.drill.load import BROKEN, GOOD, PATIENCE, Load, held
from tests.drill.plan import Plan
from tests.drill.servers import Access, access, fleet, starting
from tests.drill.stored import looked_at
from tests.make import alert

EXIT_SECONDS = 10
UNDER_WAY = 4  # requests that are half sent when a process is told to stop
SETTLED_SECONDS = 0.3  # of load on a new process before the next one goes


class Rolled:
    """What became of the processes that went, and of what they had begun."""

    def __init__(self) -> None:
        self.exits: list[float] = []
        self.codes: list[int] = []
        self.told: dict[str, float] = {}  # when each was told to stop, by its address
        self.finished: dict[str, str] = {}  # alerts that were under way at that instant, by their names
        self.unfinished: list[str] = []


def run(plan: Plan) -> list[Invariant]:
    """Replace one process after the other as often as is wanted, then look into the database."""
    return [invariant for engine in plan.postgres for invariant in _on(engine, plan)]


def _on(engine: Engine, plan: Plan) -> Iterator[Invariant]:
    folder, drill, rolled = plan.folder / "rolling", "rolling", Rolled()
    folder.mkdir()
    with engine.database(folder) as url:
        with fleet(folder, url, plan.processes) as servers, ExitStack() as stack:
            ways = access(folder, servers[0])
            load = stack.enter_context(Load(mixed(ways, plan.seed), clients=plan.clients))
            load.to(*(server.url for server in servers))
            for number in range(plan.rolls):
                new = stack.enter_context(starting(folder, url)).wait_until_serving()
                load.to(*(server.url for server in (*servers, new)))
                _settle(load, new)
                _replace(servers.pop(0), ways, rolled, number)
                servers.append(new)
                load.to(*(server.url for server in servers))
            load.finish()
        yield from _seen(drill, load, rolled)
        yield from held(drill, load)
        yield from looked_at(drill, url, load.answered | rolled.finished)


def _settle(load: Load, new: Server) -> None:
    """Let the load run until a new process has its share of it."""
    host = urlsplit(new.url).netloc
    load.until(lambda: any(one.host == host for one in load.seen[-100:]), "the new process takes alerts")
    time.sleep(SETTLED_SECONDS)  # a span of load


def _replace(old: Server, ways: Access, rolled: Rolled, number: int) -> None:
    """Tell a process to stop while some requests to it are half sent, send the rest, and wait for its end."""
    with ExitStack() as stack:
        names = [f"under way {number}-{n}" for n in range(UNDER_WAY)]
        halves = {name: stack.enter_context(_half_sent(old, ways, name)) for name in names}
        rolled.told[urlsplit(old.url).netloc] = told = time.monotonic()
        old.process.terminate()
        time.sleep(0.2)  # it has seen the signal, and closed what rests
        for name, half in halves.items():
            try:
                half.sendall(_body(name))
                rolled.finished[name] = _result(half)["alert_id"]
            except (OSError, HTTPException, KeyError) as error:
                rolled.unfinished.append(f"{name}: {error!r}")
        rolled.codes.append(old.process.wait(timeout=3 * EXIT_SECONDS))
        rolled.exits.append(time.monotonic() - told)


def _half_sent(server: Server, ways: Access, name: str) -> socket.socket:
    """Send the head of a request, and wait until the server asks for its body."""
    where = urlsplit(server.url)
    connection = socket.create_connection((where.hostname, where.port), timeout=PATIENCE)
    lines = {"Host": where.netloc, "Content-Type": "application/json", "Content-Length": str(len(_body(name)))}
    lines |= {**ways.headers, "Idempotency-Key": name, "Expect": "100-continue"}
    head = "".join(f"{key}: {value}\r\n" for key, value in lines.items())
    connection.sendall(f"POST /v1/alerts HTTP/1.1\r\n{head}\r\n".encode())
    assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
    return connection


def _body(name: str) -> bytes:
    return json.dumps(alert(title="under way", description=name)).encode()


def _result(connection: socket.socket) -> dict[str, Any]:
    response = HTTPResponse(connection)
    response.begin()
    result: dict[str, Any] = json.loads(response.read())
    return result


def _seen(drill: str, load: Load, rolled: Rolled) -> Iterator[Invariant]:
    """Return what must hold of the processes besides what they stored."""
    begun = rolled.finished.keys() | set(rolled.unfinished)
    yield none_of(drill, "a request under way at the signal is answered", rolled.unfinished, len(begun))
    lost = [one for one in load.seen if one.status == BROKEN and one.began < rolled.told.get(one.host, 0.0)]
    yield none_of(drill, "what was sent before the signal is answered", lost, len(load.seen))
    failed = [one.status for one in load.seen if one.status not in {*GOOD, BROKEN}]
    yield none_of(drill, "nobody is told an error", failed, len(load.seen))
    yield within(drill, "a process that is told to stop ends", rolled.exits, EXIT_SECONDS)
    wrong = [code for code in rolled.codes if code]
    yield none_of(drill, "and its exit code is 0", wrong, len(rolled.codes))
