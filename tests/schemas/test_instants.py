"""Instants of inputs: brought to UTC, and refused by name where UTC has no year for them."""

from datetime import UTC, datetime

import msgspec
import pytest

from incident_manager.errors import ValidationFailed
from incident_manager.schemas.access import KeyIn, KeyPatch
from incident_manager.schemas.alerts import AlertIn
from incident_manager.schemas.base import Instant
from incident_manager.schemas.decoding import decode

INPUTS: dict[type[msgspec.Struct], dict[str, str]] = {
    AlertIn: {"source": "s", "title": "t"},
    KeyIn: {"name": "n", "role": "viewer"},
    KeyPatch: {},
}
INSTANTS = [
    (kind, field.name)
    for kind in INPUTS
    for field in msgspec.structs.fields(kind)
    if Instant in getattr(field.type, "__args__", ())
]


def body(kind: type[msgspec.Struct], name: str, moment: str) -> bytes:
    return msgspec.json.encode(INPUTS[kind] | {name: moment})


def test_every_input_with_an_instant_is_looked_at() -> None:
    assert [(kind.__name__, name) for kind, name in INSTANTS] == [
        ("AlertIn", "occurred_at"),
        ("KeyIn", "expires_at"),
        ("KeyPatch", "expires_at"),
    ]


@pytest.mark.parametrize(("kind", "name"), INSTANTS)
def test_an_instant_is_brought_to_utc(kind: type[msgspec.Struct], name: str) -> None:
    read = getattr(decode(body(kind, name, "2026-03-01T12:00:00+02:00"), kind), name)
    assert (read, read.tzinfo) == (datetime(2026, 3, 1, 10, tzinfo=UTC), UTC)


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00"])
@pytest.mark.parametrize(("kind", "name"), INSTANTS)
def test_one_beyond_the_calendar_is_refused_by_its_name(kind: type[msgspec.Struct], name: str, moment: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        decode(body(kind, name, moment), kind)
    assert [error.field for error in refused.value.errors] == [name]
