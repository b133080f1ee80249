"""From the bytes of a body to a struct: the one reading of JSON, with its bounds.

A decoder takes what it can; a service says what it takes. Refused here, before or while decoding: bytes that are no UTF-8,
a nesting beyond 32, more than 50,000 values, a key given twice in one object (RFC 8259, 4, leaves its meaning open), numbers
beyond 64 bits, NaN.

The body is read twice: by json.loads, whose hooks see what msgspec passes over, and by msgspec into the struct. A 1 MiB body of
the densest kind (`{},{},..`) held up all other requests for 86 ms that way; the bound on values makes that 25 ms at most, and
what has fewer is as fast as it was. A usual alert is looked at without json.loads (0.01 ms instead of 0.03).
"""

import functools
import itertools
import json
import re
from collections.abc import Hashable
from typing import Any, Final, TypeVar, cast

import msgspec

from incident_manager.errors import FieldError, MalformedRequest, ValidationFailed
from incident_manager.schemas.patterns import without_patterns

DEPTH_LIMIT: Final = 32
VALUES_LIMIT: Final = 50_000
_INTEGER_RANGE: Final = range(-(2**63), 2**64)
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_STEP: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_PLAIN_BYTES: Final = 8 * 1024
_CONTROL: Final = re.compile(rb"[\x00-\x1f]")  # what may stand between values, but not in strings
_ODD: Final = re.compile(rb"[\x00-\x1f\x7f\\\xc2]")  # what may be a control character of either block, or escape one
_NUMBER: Final = re.compile(rb"[0-9]")
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_PATH: Final = re.compile(r"^(?P<what>.*?)(?: - at `(?P<key>key` in `)?\$(?P<path>.*)`)?$", re.DOTALL)
_FIELD: Final = re.compile(r"field `(?P<name>[^`]*)`")

T = TypeVar("T")


def decode(body: bytes, to: type[T]) -> T:
    """Read a JSON body as `to`.

    Raises MalformedRequest for what is not JSON within the bounds above, ValidationFailed (naming the field) for JSON of
    another shape.
    """
    _check_text(body)
    return _decode(body, to)


def decode_quickly(body: bytes, to: type[T]) -> T:
    """Read a JSON body as `decode` does; what it returns is a `to`, but may be of a class of its own below that."""
    _check_text(body)
    return _decode(body, to if _ODD.search(body) else without_patterns(to))


def _decode(body: bytes, to: type[T]) -> T:
    try:
        decoded: T = _decoder(cast(Hashable, to)).decode(body)
    except msgspec.ValidationError as error:
        raise ValidationFailed([field_error(str(error))]) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        why = "it holds half of a surrogate pair" if _SURROGATE.search(body) else error
        raise MalformedRequest(f"the body is not JSON: {why}") from error
    return decoded


def decode_items(body: bytes, to: type[T], limit: int) -> list[T | FieldError]:
    """Read a JSON array of 1 to `limit` items, each by itself: as `to`, or what is wrong with it.

    Raises as `decode` does for what is no such array.
    """
    items = decode(body, list[msgspec.Raw])
    if not 1 <= len(items) <= limit:
        raise ValidationFailed.of("", f"expected an array of 1 to {limit:,} items, got {len(items):,}")
    kind = to if _ODD.search(body) else without_patterns(to)
    return [_item(item, kind) for item in items]


def _item(item: msgspec.Raw, to: type[T]) -> T | FieldError:
    try:
        decoded: T = _decoder(cast(Hashable, to)).decode(item)
    except msgspec.ValidationError as error:
        return field_error(str(error))
    return decoded


@functools.cache
def _decoder(to: Hashable) -> msgspec.json.Decoder[Any]:
    """Return the decoder of a type; making one costs far more than using it."""
    return msgspec.json.Decoder(cast(Any, to))


def field_error(text: str) -> FieldError:
    """Make msgspec's sentence (what - at `$.path`) a field and a message that does not show regular expressions."""
    match = _PATH.match(text)
    what, path = (match["what"], match["path"] or "") if match else (text, "")
    if named := _FIELD.search(what):
        path = f"{path}.{named['name']}"
    if match and match["key"]:
        what = f"key: {what}"
    if "matching regex" in what:
        what = "holds characters that are not allowed here, or is not of the expected form"
    return FieldError(path.replace("[...]", "[]").lstrip("."), what[:1].lower() + what[1:])


def _check_text(body: bytes) -> None:
    if not body.strip():
        raise MalformedRequest("the body is empty; JSON is expected")
    structure = _structure(body)
    if sum(map(structure.count, (b",", b"[", b"{"))) > VALUES_LIMIT:
        raise MalformedRequest(f"the body holds more than {VALUES_LIMIT:,} values")
    if _depth(structure) > DEPTH_LIMIT:
        raise MalformedRequest(f"the body is nested deeper than {DEPTH_LIMIT}")
    if _is_plain(body, structure):
        return
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedRequest(f"the body is not UTF-8: byte {error.start}") from error
    try:
        json.loads(text, object_pairs_hook=_unique, parse_int=_bounded_integer, parse_constant=_no_constant)
    except ValueError as error:
        raise MalformedRequest(f"the body is not JSON: {error}") from error


def _structure(body: bytes) -> bytes:
    """Return a body without what stands in its strings: without escapes, every second piece between quotes is outside.

    Not by a regular expression: a megabyte of escapes or of empty strings took one 30 to 50 ms, and takes this 3.
    """
    plain = body.replace(rb"\\", b"").replace(rb"\"", b"")
    if plain.count(b'"') > 4 * VALUES_LIMIT:  # a key and a value for each, two quotes around either
        raise MalformedRequest(f"the body holds more than {VALUES_LIMIT:,} values")
    return b"".join(plain.split(b'"')[::2])


def _is_plain(body: bytes, structure: bytes) -> bool:
    """Say whether a body is a small one, without numbers, in whose objects no key stands twice; False: look closer.

    As most alerts are. As many colons outside of strings as there are keys after decoding: none was dropped.
    """
    if len(body) > _PLAIN_BYTES or _CONTROL.search(body) or _NUMBER.search(structure):
        return False
    try:
        return _members([msgspec.json.decode(body)]) == structure.count(b":")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def _members(value: Any) -> int:
    """Return how many members all objects of a decoded body have."""
    inner, count = (value.values(), len(value)) if type(value) is dict else (value, 0)
    for one in inner:
        if type(one) is dict or type(one) is list:  # most are texts, and are asked the least
            count += _members(one)
    return count


def _depth(structure: bytes) -> int:
    """Return how deep arrays and objects nest."""
    brackets = structure.translate(None, _NOT_BRACKETS)
    return max(itertools.accumulate(map(_STEP.__getitem__, brackets)), default=0)


def _unique(pairs: list[tuple[str, Any]]) -> None:
    """Look at the keys of an object, and return nothing, so that no tree is built of a body that is only looked at."""
    if len({key for key, _ in pairs}) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise MalformedRequest(f"the key {json.dumps(twice[:100])} stands twice in one object")


def _bounded_integer(digits: str) -> int:
    if len(digits) > 20 or int(digits) not in _INTEGER_RANGE:  # noqa: PLR2004 - 2**64 has 20 digits
        raise MalformedRequest("a number is beyond 64 bits")
    return 0


def _no_constant(name: str) -> None:
    raise MalformedRequest(f"the body is not JSON: it holds {name}")
