"""The server is killed at any instant under load: what it answered with 2xx is there, once, whole and in its incident.

Clients never give up on an alert: they send it again under its Idempotency-Key until it is answered, so at the end of a run
as many alerts must be stored as were made.
"""

import itertools
import json
import random
import signal
import threading
import time
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.cli.processes import started
from tests.drill.invariants import Invariant, none_of
from tests.drill.plan import Plan
from tests.drill.stored import looked_at
from tests.make import alert

CLIENTS = 8
PROBLEMS = 40  # few enough that most alerts are repeats; every hundred alerts of a client there are others
LONGEST_LIFE = 0.5  # seconds of load before a kill
WINDOW = {"dedup__window_seconds": "86400"}  # longer than any run: one problem is one incident
PATIENCE = 30  # seconds for a server to come, and for an alert to be answered


class Load:
    """Clients that post to whichever server is up, and what they were told."""

    def __init__(self, seed: int) -> None:
        self.made: set[str] = set()
        self.answered: dict[str, str] = {}  # the id of each alert by its Idempotency-Key
        self.refused: list[str] = []
        self.broken = 0  # requests that a kill left without an answer
        self._up, self._ending = threading.Event(), threading.Event()
        self._host, self._headers = "", {"Authorization": ""}
        self._clients = [
            threading.Thread(target=self._post_on, args=(number, random.Random(f"{seed} {number}")), daemon=True)
            for number in range(CLIENTS)
        ]
        for client in self._clients:
            client.start()

    def to(self, url: str, key: str) -> None:
        """Post to this server from now on."""
        self._host = urlsplit(url).netloc
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._up.set()

    def away(self) -> None:
        """Say that the server is about to go: who finds it gone waits for the next one."""
        self._up.clear()

    def finish(self) -> None:
        """Make no more alerts, and wait until those that were made are answered."""
        self._ending.set()
        for client in self._clients:
            client.join(timeout=PATIENCE)

    def _post_on(self, number: int, chosen: random.Random) -> None:
        wanted = (
            (f"{number}-{sent}", alert(title=f"problem {chosen.randrange(PROBLEMS)} of {sent // 100}"))
            for sent in itertools.count()
        )
        key, body = next(wanted)
        while self._up.wait(PATIENCE) and not (self._ending.is_set() and key in self.answered):
            with (
                suppress(ConnectionError, HTTPException),
                closing(HTTPConnection(self._host, timeout=PATIENCE)) as server,
            ):
                while key not in self.answered:
                    self.made.add(key)
                    self._post(server, key, body)
                    if not self._ending.is_set():
                        key, body = next(wanted)
                continue
            self.broken += 1

    def _post(self, server: HTTPConnection, key: str, body: dict[str, Any]) -> None:
        server.request("POST", "/v1/alerts", json.dumps(body), {**self._headers, "Idempotency-Key": key})
        answer = server.getresponse()
        said = json.loads(answer.read())
        if answer.status not in {200, 201}:
            self.refused.append(f"{answer.status} {said}")
        self.answered[key] = said.get("alert_id", key)


def run(plan: Plan) -> list[Invariant]:
    """Kill the server of each engine as often as is wanted, then look into its database."""
    found = []
    for engine in plan.engines:
        folder, drill = plan.folder / f"kills-{engine.name}", f"kills {engine.name}"
        with engine.database(folder) as url:
            load = under_fire(folder, url, plan)
            left = sorted(load.made - load.answered.keys())
            found += [
                Invariant(drill, "kills leave requests without an answer", load.broken > 0, f"{load.broken} requests"),
                none_of(drill, "every alert is answered with 2xx in the end", [*load.refused, *left], len(load.made)),
                *looked_at(drill, url, load.answered),
            ]
    return found


def under_fire(folder: Path, url: str, plan: Plan) -> Load:
    """Start and kill a server again and again under load; the last one is left alone until all is answered."""
    load, instants = Load(plan.seed), random.Random(plan.seed)
    for kill in range(plan.kills + 1):
        with started(folder, "--port", "0", "--data-dir", "data", database__url=url, **WINDOW) as server:
            server.wait_until_serving()
            load.to(server.url, (folder / "data/admin.key").read_text().strip())
            if kill == plan.kills:
                load.finish()
            else:
                time.sleep(instants.uniform(0, LONGEST_LIFE))
                load.away()
                server.stop(signal.SIGKILL)
    return load
