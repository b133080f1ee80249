"""Clients that never give up on an alert: they send it again until it is answered, so at the end all that were made are stored.

They run in a thread of their own, and write down what became of every request.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from tests.drill.client import NO_ANSWER, Answer, Client
from tests.drill.deliveries import Delivery
from tests.drill.invariants import Invariant, none_of

GOOD = {200, 201}
UNAVAILABLE, BROKEN, HUNG = 503, 0, -1
PATIENCE = 15  # seconds for an answer
IN_THE_END = 30  # seconds for what is still open when nothing new is made
PAUSE = 0.02  # seconds before it is tried again
LONGEST_ANSWER = 4.0  # seconds; that is intake.answer_seconds and one for two busy cores


class Seen(NamedTuple):
    """What became of a request; times are those of time.monotonic."""

    host: str
    path: str
    began: float
    ended: float
    status: int  # or BROKEN, HUNG


class Load:
    """Clients that post to the servers that they are told of, in turn; nobody posts before that."""

    def __init__(self, deliveries: Iterable[Delivery], *, clients: int) -> None:
        self.made: set[str] = set()
        self.results: dict[str, dict[str, Any]] = {}  # what was answered, by the names of the alerts
        self.seen: list[Seen] = []
        self.wrong: list[str] = []  # answers that nobody should get
        self._deliveries = iter(deliveries)
        self._hosts: tuple[str, ...] = ()
        self._turns = itertools.count()
        self._ending, self._end = False, float("inf")
        self._thread = ThreadPoolExecutor(1)
        self._done = self._thread.submit(lambda: asyncio.run(self._post(clients)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ending, self._end = True, min(self._end, time.monotonic())
        self._thread.shutdown()

    def to(self, *urls: str) -> None:
        """Post to these servers from now on; to none: wait for some."""
        self._hosts = tuple(urlsplit(url).netloc for url in urls)

    def finish(self) -> None:
        """Make no more alerts, and wait until those that were made are answered."""
        self._ending, self._end = True, time.monotonic() + IN_THE_END
        self._done.result()

    def run_out(self) -> None:
        """Wait until all deliveries are made and answered."""
        self._done.result()

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something that the clients will see."""
        end = time.monotonic() + IN_THE_END
        while not condition():
            if self._done.done():
                self._done.result()
            assert time.monotonic() < end, f"never happened: {what}"
            time.sleep(0.005)

    @property
    def answered(self) -> dict[str, str]:
        """The ids of the alerts, by their names."""
        return {name: result.get("alert_id") or name for name, result in self.results.items()}

    def times(self, *statuses: int, since: float = 0.0) -> Iterator[float]:
        """Return when requests ended that way, in order."""
        return (one.ended for one in tuple(self.seen) if one.status in statuses and one.ended >= since)

    async def _post(self, clients: int) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(self._post_on(Client()))

    async def _post_on(self, client: Client) -> None:
        while not self._ending and (delivery := next(self._deliveries, None)):
            self.made.update(delivery.names)
            settled = False
            while not settled and time.monotonic() < self._end:
                settled = await self._settled(client, delivery)
        client.leave()

    async def _settled(self, client: Client, delivery: Delivery) -> bool:
        """Try once, where there is a server, and say whether that settled it; after a pause if not."""
        status = await self._tried(client, delivery) if self._hosts else BROKEN
        if settled := status in GOOD or 400 <= status < 500:
            return settled
        await asyncio.sleep(PAUSE)
        return False

    async def _tried(self, client: Client, delivery: Delivery) -> int:
        host, began, status = self._hosts[next(self._turns) % len(self._hosts)], time.monotonic(), BROKEN
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await client.post(host, delivery.path, delivery.body, delivery.headers)
            status = answer.status
            self._keep(delivery, answer)
        except TimeoutError:
            status = HUNG
        except NO_ANSWER:
            pass
        self.seen.append(Seen(host, delivery.path, began, time.monotonic(), status))
        return status

    def _keep(self, delivery: Delivery, answer: Answer) -> None:
        if answer.status in GOOD:
            results = answer.body.get("results", [answer.body])
            self.results.update(zip(delivery.names, results, strict=True))
        elif answer.status != UNAVAILABLE or "retry-after" not in answer.headers:
            self.wrong.append(f"{answer.status} {answer.body}")


def held(drill: str, load: Load) -> list[Invariant]:
    """Return what must hold of every load, whatever is done to the service meanwhile."""
    left = sorted(load.made - load.results.keys())
    slow = [f"{one.ended - one.began:.2f} s, {one.status}" for one in load.seen if one.status != BROKEN and lasted(one)]
    return [
        none_of(drill, "every alert is answered with 2xx in the end", left, len(load.made)),
        none_of(drill, "no answer but 2xx, and 503 with Retry-After", load.wrong, len(load.seen)),
        none_of(drill, f"no answer takes longer than {LONGEST_ANSWER:g} s", slow, len(load.seen))._replace(timed=True),
    ]


def lasted(one: Seen) -> bool:
    """Say whether an answer took too long."""
    return one.ended - one.began > LONGEST_ANSWER
