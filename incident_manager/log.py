"""Logging: loguru alone, to standard error, constant messages with keywords; the standard library's records go there too.

What is written passes one door, `_write`: there the values of the request are added and secrets taken out, by the names of
values and by how secrets look in a text, in exceptions and in what libraries say as well.
"""

import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
from loguru import logger

if TYPE_CHECKING:
    from loguru import Message, Record

HIDDEN: Final = "***"
_LEVELS: Final = frozenset({"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"})
_DEPTH: Final = 6
_SECRET_NAME: Final = re.compile(
    r"authori[sz]ation|cookie|secret|passw|passphrase|pwd|token|credential|dsn|signature|(?:^|[_-])keys?$|apikey",
    re.IGNORECASE,
)
_SECRET_TEXT: Final = re.compile(
    r"""
      (?P<api_key>\bim_[0-9a-f]{32}_)[A-Za-z0-9_-]+            # flows/access.py: Token
    | (?P<path>/v1/integrations/[^/\s?'"]+/)[^/\s?'"]+         # an integration's address carries its key
    | (?P<login>://[^/\s:@'"]*:)[^\s'"]+(?=@)                  # user:password@ of a URL
    | \b(?P<scheme>bearer|basic)\s+[^\s'",;]{6,}
    | \b(?P<standard>whsec_)[A-Za-z0-9+/=_-]+                  # Standard Webhooks
    | \b(?P<slack>xox[a-z]-|hooks\.slack\.com/services/)[\w/-]+
    | (?P<pair>(?:\b|_)(?:authori[sz]ation|cookie|secret|password|passwd|token|api[_-]?key|key|signature|dsn)s?
        ['"]?\s*[=:]\s*['"]?(?:(?:bearer|basic)\s+)?)(?!\s)[^\s'",;&)}\]]+
    """,
    re.IGNORECASE | re.VERBOSE,
)

_PLAIN: Final = re.compile(r"[\w.:/@+*-]+")

_bound: ContextVar[dict[str, object] | None] = ContextVar("bound", default=None)


class _Forward(logging.Handler):
    """Hands what libraries log to loguru, as one constant message with the text as a value."""

    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelname if record.levelname in _LEVELS else record.levelno
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):  # arguments that do not fit; nobody else would catch it
            text = str(record.msg)
        logger.opt(exception=record.exc_info).log(level, "library", logger=record.name, text=text)


def configure(level: str, layout: str) -> None:
    """Send everything of `level` and above to standard error: `text`, lines for people, or `json`, one object a line."""
    level = level.upper()
    render = {"text": _as_text, "json": _as_json}[layout]

    def write(message: "Message") -> None:
        _write(render(_fields(message.record)))

    logger.remove()
    # An empty format: what is written is made of the record, in `write`, exceptions included. `diagnose` would print values.
    logger.add(write, level=level, format=_nothing, diagnose=False, backtrace=False, enqueue=False)
    # Of libraries only what is wrong: below that they tell of every call, with addresses and arguments.
    logging.basicConfig(handlers=[_Forward()], level=max(logging.WARNING, logging.getLevelName(level)), force=True)


@contextmanager
def bound(**values: object) -> Iterator[None]:
    """Give these values to everything that is logged inside, and to what `bind` adds there an end."""
    token = _bound.set(values)
    try:
        yield
    finally:
        _bound.reset(token)


def bind(**values: object) -> None:
    """Give more values to everything that is logged until the surrounding `bound` ends; outside of one, do nothing."""
    around = _bound.get()
    if around is not None:
        around.update(values)


def redact(value: object, depth: int = 0) -> Any:
    """Return a value without its secrets, as plain data: what is not plain becomes its text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, UUID | Enum):  # of this program's own making
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"  # a body, most likely
    if isinstance(value, Mapping) and depth < _DEPTH:
        return {str(key): _named(str(key), inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth < _DEPTH:
        return [redact(inner, depth + 1) for inner in value]
    return redact_text(str(value))


def redact_text(text: str) -> str:
    """Return a text without what looks like a secret; what stands before one, and so says which it was, stays."""
    return _SECRET_TEXT.sub(_hide, text.encode("utf-8", "backslashreplace").decode())


def _named(name: str, value: object, depth: int) -> Any:
    return HIDDEN if value is not None and _names_a_secret(name) else redact(value, depth)


@lru_cache(1_000)
def _names_a_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def _hide(found: re.Match[str]) -> str:
    before = found[found.lastgroup] if found.lastgroup else ""
    return f"{before} {HIDDEN}" if found.lastgroup == "scheme" else f"{before}{HIDDEN}"


def _fields(record: "Record") -> dict[str, Any]:
    """Return what is written of a record; values never take the place of time, level or message."""
    at = record["time"].astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    fields = {"time": at, "level": record["level"].name, "message": _constant(record["message"])}
    for name, value in {**(_bound.get() or {}), **record["extra"]}.items():
        fields[f"{name}_" if name in fields else name] = _named(name, value, 0)
    if (error := record["exception"]) is not None:
        lines = traceback.format_exception(error.type, error.value, error.traceback)
        fields["exception"] = redact_text("".join(lines).rstrip())
    return fields


@lru_cache(1_000)
def _constant(message: str) -> str:
    """Return a message without its secrets: it should hold none, and there are not many."""
    return redact_text(message)


def _as_json(fields: Mapping[str, Any]) -> str:
    return msgspec.json.encode(fields).decode()


def _as_text(fields: Mapping[str, Any]) -> str:
    values = dict(fields)
    begin = f"{values.pop('time')} {values.pop('level'):<7} {values.pop('message')}"
    trace = values.pop("exception", None)
    shown = [
        f"{name}={value if _is_plain(value) else msgspec.json.encode(value).decode()}" for name, value in values.items()
    ]
    return "\n".join([" ".join([begin, *shown]), *([trace] if trace else [])])


def _is_plain(value: object) -> bool:
    """Say whether a text can stand as it is: nothing in it could be taken for the next value, or for the next line."""
    return isinstance(value, str) and _PLAIN.fullmatch(value) is not None


def _write(line: str) -> None:
    """Write a line at once. Where standard error has gone away there is nobody left to tell."""
    try:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass


def _nothing(_record: "Record") -> str:
    return ""
