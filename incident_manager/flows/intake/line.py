"""The line in which alerts wait for a commit: whatever came while the last one ran is the next one.

No timer, so nothing is added to the time of an alert that comes alone. An alert that waits too long, or finds too many before
it, is refused at once: its sender is told when to come again, and nothing is kept that nobody answers for.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from datetime import datetime
from typing import Final
from uuid import UUID

from loguru import logger

from incident_manager.errors import RequestError, Unavailable
from incident_manager.flows.intake.results import Result
from incident_manager.flows.intake.submissions import Submission
from incident_manager.store.intake import Credential

GROUP: Final = 500  # alerts a commit, where more wait; a parcel is never cut
LOOKED_AT_EVERY: Final = 0.25  # seconds between looks for who has waited too long


class Parcel:
    """What one request hands in: it is committed as a whole or not at all, and answered after that."""

    def __init__(
        self,
        submissions: Sequence[Submission],
        *,
        tenant_id: UUID,
        received_at: datetime,
        integration_id: UUID | None = None,
        credential: Credential | None = None,
    ) -> None:
        self.submissions: Final = submissions
        self.tenant_id: Final = tenant_id
        self.received_at: Final = received_at
        self.integration_id: Final = integration_id
        self.credential: Final = credential
        self.answer: Final[asyncio.Future[list[Result]]] = asyncio.get_running_loop().create_future()
        self.deadline = 0.0

    @property
    def size(self) -> int:
        """How much room it takes in line."""
        return max(1, len(self.submissions))

    def reply(self, results: list[Result]) -> None:
        """Answer whoever waits; a caller who has left, or was told that it took too long, hears nothing more."""
        if not self.answer.done():
            self.answer.set_result(results)

    def refuse(self, error: Exception) -> None:
        """Tell whoever waits that nothing of it was committed, or that nobody knows."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Refused(Exception):
    """Some parcels of a batch cannot be taken in, whatever the others are: the batch is tried again without them."""

    def __init__(self, errors: dict[Parcel, RequestError]) -> None:
        super().__init__(f"{len(errors)} refused")
        self.errors: Final = errors


Commit = Callable[[Sequence[Parcel]], Awaitable[None]]


class Line:
    """Parcels that wait, in lanes that commit side by side; those of one fingerprint keep to one lane and so to their order."""

    def __init__(self, commit: Commit, *, lanes: int, limit: int, seconds: float) -> None:
        self._commit: Final = commit
        self._lanes: Final[list[deque[Parcel]]] = [deque() for _ in range(lanes)]
        self._workers: Final[list[asyncio.Task[None] | None]] = [None] * lanes
        self._limit: Final = limit
        self._seconds: Final = seconds
        self._open: Final[set[Parcel]] = set()
        self._watch: asyncio.TimerHandle | None = None
        self.waiting = 0

    async def hand_in(self, parcel: Parcel) -> list[Result]:
        """Wait in line, and return the answers once they are committed. Whoever is cancelled meanwhile is committed or not.

        Raises Unavailable where too many wait, or for too long: then it may still be committed.
        """
        if self.waiting and self.waiting + parcel.size > self._limit:
            raise Unavailable("too many alerts wait to be stored; try again")
        self.waiting += parcel.size
        lane = hash(parcel.submissions[0].key) % len(self._lanes) if parcel.submissions else 0
        self._lanes[lane].append(parcel)
        self._mind(parcel)
        if self._workers[lane] is None:  # in a context of its own: what it logs is not of the request that came first
            self._workers[lane] = asyncio.create_task(self._work(lane), context=Context())
        try:
            return await parcel.answer
        finally:
            self._open.discard(parcel)

    async def drain(self) -> None:
        """Wait until nothing is left in line."""
        while running := [worker for worker in self._workers if worker is not None]:
            await asyncio.wait(running)
        if self._watch is not None:
            self._watch.cancel()

    async def _work(self, lane: int) -> None:
        try:
            while self._lanes[lane]:
                await self._settle(self._take(self._lanes[lane]))
        finally:
            self._workers[lane] = None

    def _take(self, waiting: deque[Parcel]) -> list[Parcel]:
        """Take the next batch out of the line, without those who were told that it took too long."""
        taken: list[Parcel] = []
        size = 0
        while waiting and (not taken or size + waiting[0].size <= GROUP):
            parcel = waiting.popleft()
            self.waiting -= parcel.size
            if not parcel.answer.done():
                taken.append(parcel)
                size += parcel.size
        return taken

    async def _settle(self, parcels: Sequence[Parcel]) -> None:
        """Commit a batch. What one of them cannot pass for, the others do not suffer: it is tried in smaller parts.

        1. Those who are refused by name are told; the others are tried again.
        2. Where the database does not answer, all are told.
        3. Anything else is the fault of one of them, or of this program: each half is tried by itself, down to one.
        """
        if not parcels:
            return
        try:
            await self._commit(parcels)
        except Refused as refused:
            for parcel, error in refused.errors.items():
                parcel.refuse(error)
            await self._settle([parcel for parcel in parcels if parcel not in refused.errors])
        except Unavailable as error:
            for parcel in parcels:
                parcel.refuse(error)
        except Exception as error:  # noqa: BLE001 - the fence: a lane goes on whatever an alert does to it
            if len(parcels) == 1:
                parcels[0].refuse(error)
                return
            logger.warning("batch tried again in halves", parcels=len(parcels), error=type(error).__name__)
            middle = len(parcels) // 2
            await self._settle(parcels[:middle])
            await self._settle(parcels[middle:])

    def _mind(self, parcel: Parcel) -> None:
        """Look after a parcel until it is answered: one timer for all, not one each."""
        loop = asyncio.get_running_loop()
        parcel.deadline = loop.time() + self._seconds
        self._open.add(parcel)
        if self._watch is None:
            self._watch = loop.call_later(LOOKED_AT_EVERY, self._look)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        for parcel in [parcel for parcel in self._open if parcel.deadline <= loop.time()]:
            parcel.refuse(Unavailable("the database takes too long; try again, best with an Idempotency-Key"))
        self._watch = loop.call_later(LOOKED_AT_EVERY, self._look) if self._open else None
