"""Who was checked within the last minute, so that intake need not ask the database first who calls.

It asks in its own transaction instead: whoever is let in from here brings a credential, and if the key was revoked or changed
meanwhile, by whichever process, nothing is taken in (flows/intake/transaction.py). Whoever is not here is checked in full.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

HELD_FOR: Final = timedelta(minutes=1)  # then the next use is recorded, and the key checked in full
LIMIT: Final = 10_000


class Expiring(Protocol):
    """Somebody who may be let in until then; None: until further notice."""

    @property
    def expires_at(self) -> datetime | None:
        """The end of it."""
        ...


T = TypeVar("T", bound=Expiring)


class _Held(NamedTuple, Generic[T]):
    who: T
    until: datetime


class Keyring(Generic[T]):
    """Those who were checked, by the digest of the secret that they bring: what is held is no key."""

    def __init__(self) -> None:
        self._held: Final[dict[bytes, _Held[T]]] = {}

    def find(self, secret: bytes, now: datetime) -> T | None:
        """Return who brings this secret, where that was checked lately."""
        held = self._held.get(_digest(secret))
        if held is None:
            return None
        if held.until <= now:
            self.forget(secret)
            return None
        return held.who

    def remember(self, secret: bytes, who: T, now: datetime) -> None:
        """Hold on to somebody who was just checked; of too many the oldest goes."""
        until = now + HELD_FOR if who.expires_at is None else min(now + HELD_FOR, who.expires_at)
        self.forget(secret)
        if len(self._held) >= LIMIT:
            self._held.pop(next(iter(self._held)))
        self._held[_digest(secret)] = _Held(who, until)

    def forget(self, secret: bytes) -> None:
        """Let go of somebody."""
        self._held.pop(_digest(secret), None)


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
