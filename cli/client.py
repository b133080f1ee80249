"""The HTTP client of the command line: which server, which key, one call, and what goes wrong in words."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

import msgspec
import rich_click as click

from cli.output import Decorated, given, option, remember
from incident_manager.errors import IncidentManagerError

DEFAULT_ADDRESS: Final = "http://127.0.0.1:8080"
_SECONDS: Final = 30.0
_UNAUTHORIZED: Final = 401
_KEY_FILE: Final = "admin.key"  # start.ADMIN_KEY_FILE, without loading all that a start needs
_KEY: Final = re.compile(r"[\x21-\x7e]+")

Query = Mapping[str, str | int | bool | Sequence[str] | None]


class Refused(IncidentManagerError):
    """The server said no, said nothing, or said what this program does not know; the text is for whoever typed."""


class Answer(NamedTuple):
    """What the server said."""

    status: int
    body: bytes


class _Problem(msgspec.Struct):
    """The members of a problem document (RFC 9457) that are shown."""

    detail: str = ""
    title: str = ""
    errors: list[dict[str, str]] = msgspec.field(default_factory=list)
    allowed: list[str] = msgspec.field(default_factory=list)
    incident_id: str | None = None


def options(command: Decorated) -> Decorated:
    """Give a command what every client command takes: `--url`, `--api-key`, `--data-dir`, `--output`."""
    for decorate in (
        option,
        click.option(
            "--data-dir",
            metavar="DIR",
            expose_value=False,
            callback=remember,
            help="Data directory of a server on this machine, for its admin.key.  [default: the setting server.data_dir]",
        ),
        click.option(
            "--api-key",
            metavar="KEY",
            expose_value=False,
            callback=remember,
            help="Key to show.  [env: INCIDENT_MANAGER_API_KEY]",
        ),
        click.option(
            "--url",
            metavar="URL",
            expose_value=False,
            callback=remember,
            help=f"Server to talk to.  [env: INCIDENT_MANAGER_URL; default: {DEFAULT_ADDRESS}]",
        ),
    ):
        command = decorate(command)
    return command


def path(*parts: str) -> str:
    """Return a path below /v1, its parts quoted.

    Raises UsageError for a part that would lead elsewhere.
    """
    for part in parts:
        if part in {"", ".", ".."} or "/" in part:
            raise click.UsageError(f"{part!r} is no id, number or name")
    return "/".join(["/v1", *(quote(part, safe="") for part in parts)])


def call(
    method: str,
    where: str,
    *,
    query: Query | None = None,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    taken: Sequence[int] = (),
) -> Answer:
    """Ask the server; `body` goes as JSON, None values of the query are left out, `headers` go beside the usual ones.

    Raises Refused for every status from 400 on but those `taken`, where the server cannot be reached, and for what is not
    JSON.
    """
    import httpx2

    address, key = _address(), _key()
    headers = {**(headers or {}), "Accept": "application/json", "User-Agent": "incident-manager-cli"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    if body is not None:
        headers["Content-Type"] = "application/json"
    try:
        with httpx2.Client(timeout=_SECONDS, trust_env=False, follow_redirects=False) as http:
            response = http.request(
                method,
                address + where,
                params={name: value for name, value in (query or {}).items() if value is not None} or None,
                content=None if body is None else msgspec.json.encode(body),
                headers=headers,
            )
    except httpx2.TimeoutException as error:
        raise Refused(f"{address} does not answer within {_SECONDS:.0f} s") from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise Refused(f"{address} cannot be reached: {str(error) or type(error).__name__}") from error
    answer = Answer(response.status_code, response.content)
    if answer.body and "json" not in response.headers.get("content-type", ""):
        raise Refused(f"{address} answered {answer.status} with something else than JSON: is that the right address?")
    if not response.is_success and answer.status not in taken:
        raise Refused(_explain(answer, has_key=bool(key)))
    return answer


def _address() -> str:
    """Return the server's address, without a last slash.

    Raises Refused for what is no http(s) address, or one that holds more than host, port and path.
    """
    from incident_manager.settings import client_address

    address: str = given("url") or client_address() or DEFAULT_ADDRESS
    if not _is_usable(address):
        raise Refused("--url (or INCIDENT_MANAGER_URL) must be http(s)://host[:port][/path]")
    return address.rstrip("/")


def _is_usable(address: str) -> bool:
    try:
        parts = urlsplit(address)
        there = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        return False
    return bool(there) and "@" not in parts.netloc and not parts.query and not parts.fragment


def _key() -> str | None:
    """Return the key that was given, or that of the server on this machine: its admin key is sent nowhere else.

    Raises Refused for what cannot be a key.
    """
    from incident_manager.settings import client_key, is_loopback

    key = given("api_key") or client_key()
    if not key and is_loopback(urlsplit(_address()).hostname or ""):
        key = _local_key()
    key = key.strip() if key else None
    if key and not _KEY.fullmatch(key):
        raise Refused("--api-key (or INCIDENT_MANAGER_API_KEY) holds characters that no key has")
    return key


def _local_key() -> str | None:
    file = _key_file()
    try:
        return file.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{file}: cannot be read: {error.strerror}; give --api-key") from error


def _key_file() -> Path:
    from incident_manager.settings import load

    data_dir = given("data_dir")
    return (Path(data_dir) if data_dir else load().data_dir) / _KEY_FILE


def _explain(answer: Answer, *, has_key: bool) -> str:
    """Make a problem document a message: what is wrong, each field on a line, and what would go instead."""
    try:
        problem = msgspec.json.decode(answer.body, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        problem = _Problem()
    wrong = [f"{error.get('field') or 'body'}: {error.get('message', '')}" for error in problem.errors]
    lines = wrong if len(wrong) == 1 else [problem.detail or problem.title or f"answered {answer.status}", *wrong]
    if problem.allowed:
        lines.append(f"allowed now: {', '.join(problem.allowed)}")
    if problem.incident_id:
        lines.append(f"incident: {problem.incident_id}")
    if answer.status == _UNAUTHORIZED and not has_key:
        lines = [
            "no key: give --api-key, set INCIDENT_MANAGER_API_KEY, or name the data directory of a server on this"
            " machine by --data-dir"
        ]
    return "\n  ".join(lines)


def fields(**values: Any) -> dict[str, Any]:
    """Return the fields of a body: the options that were given."""
    return {name: value for name, value in values.items() if value not in (None, (), {})}
