"""The fingerprint says which alerts are about the same problem.

Form: `1:` and the hex SHA-256 (FIPS 180-4) of a JSON array in UTF-8. JSON quotes its strings, so no two different lists of
texts share an encoding, as they would when joined by a separator. Texts are brought to Unicode NFC (UAX 15) first: the same
word typed on two systems is one problem. Case, space and punctuation count. The number in front changes when this page does.
"""

import hashlib
import unicodedata
from collections.abc import Iterable
from typing import Final

import msgspec

from incident_manager.rules.incident_type import IncidentType

VERSION: Final = "1"


def of_text(source: str, kind: IncidentType, title: str, services: Iterable[str]) -> str:
    """Return the fingerprint of an alert without an identity of its own; order and repeats of `services` do not count."""
    return _digest([_nfc(source), kind.value, _nfc(title), sorted({_nfc(name) for name in services})])


def of_dedup_key(source: str, dedup_key: str) -> str:
    """Return the fingerprint of an alert that brings its own identity; titles and services may change freely."""
    return _digest([_nfc(source), _nfc(dedup_key)])


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _digest(parts: list[str | list[str]]) -> str:
    return f"{VERSION}:{hashlib.sha256(msgspec.json.encode(parts)).hexdigest()}"
