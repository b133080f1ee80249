"""Keys that were checked within the last minute, so that intake need not ask the database first who calls.

It asks in its own transaction instead: a caller from here brings a credential, and if the key was revoked or changed meanwhile,
by whichever process, the alert is not taken in (flows/intake/transaction.py). Whoever is not here is checked as anybody is.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from incident_manager.flows.access import Caller

HELD_FOR: Final = timedelta(minutes=1)  # then the next use is recorded, and the key checked in full
LIMIT: Final = 10_000


class _Held(NamedTuple):
    caller: Caller
    until: datetime


class Keyring:
    """Callers by the digest of the header that they send: what is held is no key."""

    def __init__(self) -> None:
        self._held: Final[dict[bytes, _Held]] = {}

    def find(self, authorization: bytes, now: datetime) -> Caller | None:
        """Return who sends this header, where that was checked lately."""
        held = self._held.get(_digest(authorization))
        if held is None:
            return None
        if held.until <= now:
            self.forget(authorization)
            return None
        return held.caller

    def remember(self, authorization: bytes, caller: Caller, now: datetime) -> None:
        """Hold on to a caller who was just checked; of too many the oldest goes."""
        until = now + HELD_FOR if caller.expires_at is None else min(now + HELD_FOR, caller.expires_at)
        if len(self._held) >= LIMIT:
            self._held.pop(next(iter(self._held)))
        self._held[_digest(authorization)] = _Held(caller, until)

    def forget(self, authorization: bytes) -> None:
        """Let go of a caller."""
        self._held.pop(_digest(authorization), None)


def _digest(authorization: bytes) -> bytes:
    return hashlib.sha256(authorization).digest()
