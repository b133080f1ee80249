"""What is refused before or while a body becomes a struct."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incident_manager.errors import FieldError, MalformedRequest, RequestError, ValidationFailed
from incident_manager.schemas.alerts import AlertIn
from incident_manager.schemas.decoding import DEPTH_LIMIT, VALUES_LIMIT, decode, field_error

MEBIBYTE = 1024 * 1024
ANY = dict[str, Any]


def keys(count: int, value: str = "0") -> bytes:
    return ("{" + ",".join(f'"{number:x}":{value}' for number in range(count)) + "}").encode()


def nested(levels: int) -> bytes:
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


MALFORMED = {
    "nothing": b"",
    "only spaces": b" \n ",
    "no JSON": b"{",
    "two documents": b"{}{}",
    "33 deep": nested(33),
    "33 arrays deep": b"[" * 33 + b"]" * 33,
    "1,000 deep": nested(1_000),
    "500,000 deep": b"[" * 500_000,
    "a mebibyte of keys": keys(111_000),
    "900,000 keys": keys(900_000),
    "one value too many": b'{"a":[' + b"0," * (VALUES_LIMIT - 1) + b"0]}",
    "a key twice": b'{"a":1,"a":1}',
    "a key twice inside": b'{"a":{"b":1,"c":2,"b":3}}',
    "a key twice, once escaped": b'{"a":1,"\\u0061":1}',
    "5,000 digits": b'{"a":' + b"9" * 5_000 + b"}",
    "2^64": b'{"a":18446744073709551616}',
    "below -2^63": b'{"a":-9223372036854775809}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "-Infinity": b'{"a":-Infinity}',
    "a byte order mark": b'\xef\xbb\xbf{"a":1}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "UTF-16 without a mark": '{"a":1}'.encode("utf-16-le"),
    "UTF-32": '{"a":1}'.encode("utf-32"),
    "invalid UTF-8": b'{"a":"\xff"}',
    "a cut-off UTF-8 sequence": b'{"a":"\xe2\x82"}',
    "an overlong UTF-8 sequence": b'{"a":"\xc0\xaf"}',
    "a raw surrogate": b'{"a":"\xed\xa0\x80"}',
    "half of a pair": b'{"a":"\\ud800"}',
    "the other half": b'{"a":"\\udc00"}',
    "a pair the wrong way around": b'{"a":"\\ude00\\ud83d"}',
    "half of a pair in a key": b'{"\\ud800":1}',
    "a raw NUL": b'{"a":"\x00"}',
    "a raw line feed": b'{"a":"\n"}',
    "single quotes": b"{'a':1}",
    "a comment": b'{"a":1}//x',
    "a comma too many": b'{"a":1,}',
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_json_within_the_bounds_is_refused(name: str) -> None:
    with pytest.raises(MalformedRequest):
        decode(MALFORMED[name], ANY)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (nested(33), "nested deeper than 32"),
        (keys(VALUES_LIMIT + 1), "more than 50,000 values"),
        (b'{"a":1,"a":1}', 'the key "a" stands twice'),
        (b'{"a":-9223372036854775809}', "beyond 64 bits"),
        (b'{"a":NaN}', "it holds NaN"),
        (b'{"a":"\\ud800"}', "half of a surrogate pair"),
        (b'{"a":"\xff"}', "not UTF-8: byte 6"),
    ],
)
def test_the_refusal_says_what_it_was(body: bytes, message: str) -> None:
    with pytest.raises(MalformedRequest, match=message):
        decode(body, ANY)


@pytest.mark.parametrize(
    "body",
    [
        nested(DEPTH_LIMIT),
        b'{"a":[' + b"0," * (VALUES_LIMIT - 2) + b"0]}",
        b'{"a":18446744073709551615}',
        b'{"a":-9223372036854775808}',
        b'{"a":"\\ud83d\\ude00"}',
        b'{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}',
        b'{"a":"' + b"," * 100_000 + b'"}',
        b'{"a":"' + b'\\"' * 100_000 + b'"}',
        b'{"a\\\\":"\\\\","b":"\\\\\\"{[,"}',
        b' {"a" : 1e3 , "b":-0.5}\n',
    ],
)
def test_what_is_within_the_bounds_is_read_as_it_is(body: bytes) -> None:
    assert decode(body, ANY) == json.loads(body)


@given(st.dictionaries(st.text(), st.recursive(st.text() | st.integers(-9, 9) | st.none(), st.lists, max_leaves=8)))
def test_any_json_is_read_as_any_reader_does(value: dict[str, Any]) -> None:
    for ascii_only in (True, False):
        assert decode(json.dumps(value, ensure_ascii=ascii_only).encode(), ANY) == value


DENSE = {
    "keys": keys(VALUES_LIMIT + 1),
    "empty objects": b'{"a":[' + b"{}," * (VALUES_LIMIT // 2 + 1) + b"{}]}",
    "a mebibyte of keys": keys(111_000),
    "a mebibyte of brackets": b"[" * MEBIBYTE,
    "a mebibyte of quotes": b'"' * MEBIBYTE,
    "a mebibyte of empty texts": b'{"a":[' + b'"",' * (MEBIBYTE // 3) + b'""]}',
}


@pytest.mark.parametrize("name", DENSE)
def test_what_is_denser_than_a_real_body_is_refused_before_anything_is_made_of_it(name: str) -> None:
    """What is within the bound takes 25 ms at most, without the tracing that tests run under: it is no figure for a test."""
    with pytest.raises(MalformedRequest, match=f"more than {VALUES_LIMIT:,} values"):
        decode(DENSE[name], ANY)


# As dense as the bounds allow, or dense in what they do not count; how long these take is a figure of `make bench`.
WITHIN = {
    "keys and texts": keys(VALUES_LIMIT - 1, '"0"'),
    "256 KiB of keys": keys(29_610),
    "a mebibyte of backslashes": b'"' + b"\\" * MEBIBYTE,
    "a mebibyte of escapes": b'{"a":"' + b"\\n" * (MEBIBYTE // 2) + b'"}',
    "a mebibyte of digits": b'{"a":' + b"9" * MEBIBYTE + b"}",
}


@pytest.mark.parametrize("name", WITHIN)
def test_what_is_dense_and_not_counted_is_read_as_any_reader_does_or_refused_by_an_error_of_ours(name: str) -> None:
    try:
        read = decode(WITHIN[name], ANY)
    except RequestError:
        return
    assert read == json.loads(WITHIN[name])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"source": "a"}, "title"),
        ({"source": "a", "title": None}, "title"),
        ({"source": "a", "title": ["b"]}, "title"),
        ({"source": "a", "title": ""}, "title"),
        ({"source": "a", "title": "x" * 501}, "title"),
        ({"source": "a", "title": "b", "labels": []}, "labels"),
        ({"source": "a", "title": "b", "labels": {"k": 1}}, "labels[]"),
        ({"source": "a", "title": "b", "labels": {"": "v"}}, "labels"),
        ({"source": "a", "title": "b", "affected_services": ["x", 2]}, "affected_services[1]"),
        ({"source": "a", "title": "b", "links": [{"href": "javascript:alert(1)"}]}, "links[0].href"),
        ({"source": "a", "title": "b", "links": [{"href": "https://a", "rel": 1}]}, "links[0].rel"),
        ({"source": "a", "title": "b", "severity": "P9"}, "severity"),
        ({"source": "a", "title": "b", "occurred_at": "2026-01-01T00:00:00"}, "occurred_at"),
        ({"source": "a", "title": "b", "occurred_at": 1}, "occurred_at"),
        ({"source": "a", "title": "b", "colour": "red"}, "colour"),
        ([], ""),
        (None, ""),
        ("text", ""),
    ],
)
def test_what_has_another_shape_is_refused_by_field(body: object, field: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        decode(json.dumps(body).encode(), AlertIn)
    assert [error.field for error in caught.value.errors] == [field]


@pytest.mark.parametrize("text", ["a\x00b", "\x00", "a\x00"])
@pytest.mark.parametrize("field", ["source", "title", "description", "external_id", "dedup_key"])
def test_no_text_holds_a_nul(field: str, text: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        decode(json.dumps({"source": "a", "title": "b", field: text}).encode(), AlertIn)
    assert caught.value.errors == (
        FieldError(field, "holds characters that are not allowed here, or is not of the expected form"),
    )


def test_a_sentence_without_a_path_is_kept() -> None:
    assert field_error("Something else") == FieldError("", "something else")
