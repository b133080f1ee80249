"""Reading without the patterns for control characters is the same reading, and no way past them."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incident_manager.errors import RequestError
from incident_manager.schemas.alerts import AlertIn
from incident_manager.schemas.base import NO_CONTROL, NO_NUL
from incident_manager.schemas.decoding import decode, decode_quickly
from incident_manager.schemas.incidents import IncidentPatch
from incident_manager.schemas.patterns import without_patterns
from tests import make

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
FIELDS = st.fixed_dictionaries(
    {"title": TEXTS, "source": TEXTS},
    optional={
        "description": TEXTS,
        "labels": st.dictionaries(TEXTS, TEXTS, max_size=3),
        "affected_services": st.lists(TEXTS, max_size=3),
        "runbook_url": st.sampled_from(["https://a.example/b", "javascript:alert(1)", "ftp://a", None]),
        "links": st.lists(st.sampled_from(["https://a.example", {"href": "http://b"}, {"href": "c"}]), max_size=2),
        "severity": st.sampled_from(["P0", "P9"]),
        "occurred_at": st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01", None]),
        "colour": TEXTS,
    },
)


def reading(read: Any, body: bytes) -> Any:
    """Return what a body is read as, or what is wrong with it."""
    try:
        return msgspec.json.encode(read(body, AlertIn))
    except RequestError as error:
        return error.code, error.detail, error.extra


@given(FIELDS, st.booleans())
def test_whatever_comes_is_read_alike(fields: dict[str, Any], ascii_only: bool) -> None:
    body = json.dumps(fields, ensure_ascii=ascii_only).encode()
    assert reading(decode_quickly, body) == reading(decode, body)


@pytest.mark.parametrize("character", ["\x00", "\x1f", "\x7f", "\x85", "\x9f"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_control_character_is_seen_however_it_is_written(character: str, ascii_only: bool) -> None:
    body = json.dumps(make.alert(labels={"a": f"b{character}"}), ensure_ascii=ascii_only).encode()
    assert reading(decode_quickly, body)[0] == "VALIDATION_ERROR"


def test_what_is_read_is_of_the_type_and_keeps_its_defaults_and_bounds() -> None:
    read = decode_quickly(b'{"title": "t", "source": "s"}', AlertIn)
    assert isinstance(read, AlertIn)
    assert read.labels == {}
    assert read.labels is not decode_quickly(b'{"title": "t", "source": "s"}', AlertIn).labels


@pytest.mark.parametrize("kind", [AlertIn, IncidentPatch, list[AlertIn]])
def test_only_needless_patterns_are_left_out(kind: Any) -> None:
    schema = json.dumps(msgspec.json.schema(without_patterns(kind)))
    assert not any(json.dumps(pattern) in schema for pattern in (NO_NUL, NO_CONTROL))
    assert ("https?" in schema) == ("https?" in json.dumps(msgspec.json.schema(kind)))
