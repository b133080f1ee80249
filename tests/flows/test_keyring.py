"""Keys that were checked lately: held for a minute or until they expire, let go when told to, and never as they are."""

from datetime import datetime, timedelta

import pytest

from incident_manager.flows import keyring as module
from incident_manager.flows.access import Caller, make_token
from incident_manager.flows.keyring import HELD_FOR, Keyring
from incident_manager.ids import new_id
from incident_manager.rules.access import Actor, ActorKind, Role
from incident_manager.store.intake import Credential
from tests.world import START

HEADER = f"Bearer {make_token(new_id())}".encode()


def caller(expires_at: datetime | None = None) -> Caller:
    actor = Actor(tenant_id=new_id(), kind=ActorKind.KEY, name="k", id=new_id())
    return Caller(actor, Role.INGEST, Credential(actor.tenant_id, new_id(), 1), expires_at, use_is_due=False)


def holding(*headers: bytes) -> Keyring:
    keyring = Keyring()
    for header in headers:
        keyring.remember(header, caller(), START)
    return keyring


@pytest.mark.parametrize(
    ("lives", "held"),
    [
        (None, HELD_FOR),
        (timedelta(hours=1), HELD_FOR),
        (HELD_FOR, HELD_FOR),
        (timedelta(seconds=7), timedelta(seconds=7)),
    ],
)
def test_a_caller_is_held_for_a_minute_and_never_beyond_the_key_s_expiry(
    lives: timedelta | None, held: timedelta
) -> None:
    keyring, known = Keyring(), caller(START + lives if lives else None)
    keyring.remember(HEADER, known, START)
    moments = (START, START + held - timedelta(microseconds=1), START + held)
    assert [keyring.find(HEADER, now) for now in moments] == [known, known, None]


def test_asking_does_not_hold_a_caller_any_longer_and_a_new_check_does() -> None:
    keyring = holding(HEADER)
    keyring.find(HEADER, START + HELD_FOR / 2)
    assert keyring.find(HEADER, START + HELD_FOR) is None
    keyring.remember(HEADER, caller(), START + HELD_FOR)
    assert keyring.find(HEADER, START + HELD_FOR * 1.5)


def test_only_the_very_same_header_finds_a_caller() -> None:
    keyring, others = holding(HEADER), [HEADER[:-1], HEADER + b" ", HEADER.lower(), b""]
    assert [keyring.find(other, START) for other in others] == [None] * 4


def test_whoever_is_forgotten_is_not_found_and_the_others_are() -> None:
    keyring = holding(HEADER, b"other")
    for _ in range(2):
        keyring.forget(HEADER)
    assert (keyring.find(HEADER, START), keyring.find(b"other", START) is None) == (None, False)


def test_of_too_many_the_one_that_was_checked_longest_ago_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 3)
    keyring = holding(b"a", b"b", b"c", b"a", b"d")
    assert [name for name in (b"a", b"b", b"c", b"d") if keyring.find(name, START)] == [b"a", b"c", b"d"]


def test_a_key_is_not_in_what_is_held() -> None:
    secret = HEADER.decode().rpartition("_")[2]
    assert secret not in repr(vars(holding(HEADER)))
