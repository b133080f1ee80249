"""Settings: files by dynaconf, then the environment, then flags, into one frozen struct. The only reader of the environment.

Every source is checked for itself before they are laid over each other, so that an error names the source and the key that
is wrong, and not the result of a merge.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from importlib import resources
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec
from dynaconf import Dynaconf
from dynaconf.loaders import toml_loader
from dynaconf.vendor.tomllib import TOMLDecodeError
from msgspec import Meta

from incident_manager.errors import SettingsInvalid

PREFIX: Final = "INCIDENT_MANAGER_"
SECRET_BYTES: Final = 32
_SECRETS: Final = frozenset({("auth", "secret")})

Seconds = Annotated[int, Meta(ge=1, le=60)]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of settings.toml."""


class ServerSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where and how it serves."""

    host: Annotated[str, Meta(min_length=1)]
    port: Annotated[int, Meta(ge=0, le=65_535)]
    workers: Annotated[int, Meta(ge=1, le=64)]
    data_dir: Annotated[str, Meta(min_length=1)]
    public_url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://\S+[^/\s])?$",
            description="http(s)://name[:port][/path] without a last slash",
        ),
    ]
    trusted_proxies: list[str]
    stop_seconds: Seconds


class DatabaseSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which database, and how it is used."""

    url: Annotated[
        str,
        Meta(
            pattern=r"^$|^sqlite:///.+$|^postgresql://.+$",
            description="sqlite:///path or postgresql://user:password@host:port/name",
        ),
    ]
    pool_size: Annotated[int, Meta(ge=1, le=200)]
    wait_seconds: Seconds
    statement_seconds: Annotated[int, Meta(ge=1, le=600)]
    migrate: bool
    require_durable: bool


class AuthSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who gets in."""

    enabled: bool
    secret: str
    bootstrap_key_file: str


class DedupSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How alerts are folded where their integration does not say otherwise."""

    enabled: bool
    window_seconds: Annotated[int, Meta(ge=1, le=604_800)]


class IdempotencySettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long first answers are kept."""

    ttl_seconds: Annotated[int, Meta(ge=60, le=604_800)]


class LogSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is logged."""

    level: Literal["debug", "info", "warning", "error"]


class Settings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of settings.toml."""

    server: ServerSettings
    database: DatabaseSettings
    auth: AuthSettings
    dedup: DedupSettings
    idempotency: IdempotencySettings
    log: LogSettings

    @property
    def data_dir(self) -> Path:
        """The folder of the SQLite file and the key files."""
        return Path(self.server.data_dir)

    @property
    def database_url(self) -> str:
        """The database's address, the default filled in."""
        return self.database.url or f"sqlite:///{self.data_dir / 'incidents.db'}"

    @property
    def public_url(self) -> str:
        """The address to show to the outside."""
        return self.server.public_url or f"http://{self.server.host}:{self.server.port}"


class _Source(NamedTuple):
    name: str
    values: Mapping[str, Mapping[str, object]]


def load(flags: Mapping[str, object] | None = None) -> Settings:
    """Read all sources and return the settings.

    `flags` maps `section.key` to a value; None values are left out. Raises SettingsInvalid, naming source and key.
    """
    merged: dict[str, dict[str, object]] = {}
    for source in _sources({key: value for key, value in (flags or {}).items() if value is not None}):
        for section, key, value in _checked(source):
            merged.setdefault(section, {})[key] = value
    settings = msgspec.convert(merged, Settings)
    _check_together(settings)
    return settings


def export(flags: Mapping[str, object]) -> None:
    """Put flags into the environment, where the server's worker processes find them."""
    for key, value in flags.items():
        if value is not None:
            name = PREFIX + key.replace(".", "__").upper()
            os.environ[name] = value if isinstance(value, str) else msgspec.json.encode(value).decode()


def packaged_file(name: str) -> Path:
    """Return a file or folder that ships inside the package, and stands beside it in a source checkout."""
    inside = Path(str(resources.files("incident_manager"))) / name
    return inside if inside.exists() else inside.parent.parent / name


def client_address() -> str | None:
    """Return INCIDENT_MANAGER_URL: the server that client commands talk to."""
    return os.environ.get(f"{PREFIX}URL")


def client_key() -> str | None:
    """Return INCIDENT_MANAGER_API_KEY: the key that client commands show."""
    return os.environ.get(f"{PREFIX}API_KEY")


def _sources(flags: Mapping[str, object]) -> Iterator[_Source]:
    yield _file(packaged_file("settings.toml"))
    if chosen := os.environ.get(f"{PREFIX}SETTINGS"):
        yield _file(Path(chosen))
    yield _environment(os.environ)
    nested: dict[str, dict[str, object]] = {}
    for name, value in flags.items():
        section, _, key = name.partition(".")
        nested.setdefault(section, {})[key] = value
    yield _Source("flags", nested)


def _file(path: Path) -> _Source:
    try:
        path.read_bytes()  # dynaconf passes over a file it cannot read
        reader = Dynaconf(loaders=[], settings_files=[], environments=False)
        # not reader.load_file: that also reads a `.local` file that happens to stand beside this one
        toml_loader.load(reader, filename=str(path.resolve()), silent=False)
        values = {key.lower(): value for key, value in reader.as_dict().items()}
        if not values:
            raise SettingsInvalid(
                f"{path}: the file holds no settings; write [section] and key = value, or do not name it"
            )
    except OSError as error:
        raise SettingsInvalid(f"{path}: the settings file cannot be read: {error.strerror}") from error
    except (TOMLDecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{path}: not TOML: {error}") from error
    source = _Source(str(path), _lower(values))
    for section, key in _SECRETS:
        if source.values.get(section, {}).get(key):
            name = f"{PREFIX}{section}__{key}".upper()
            raise SettingsInvalid(
                f"{path}: {section}.{key} is a secret: give it by {name} or {name}_FILE, not in a file of settings"
            )
    return source


def _environment(environment: Mapping[str, str]) -> _Source:
    """Read INCIDENT_MANAGER_SECTION__KEY. Not by dynaconf: it guesses types from values (a secret of digits, a number)."""
    values: dict[str, dict[str, object]] = {}
    for name, text in environment.items():
        section, divided, key = name.removeprefix(PREFIX).lower().partition("__")
        if not name.startswith(PREFIX) or not divided:
            continue
        kinds = _kinds(section)
        if key.endswith("_file") and key not in kinds and key.removesuffix("_file") in kinds:
            key, text = key.removesuffix("_file"), _read_file(name, text)  # noqa: PLW2901
        values.setdefault(section, {})[key] = _typed(text, kinds.get(key, str))
    return _Source("environment", values)


def _read_file(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"environment: {name}: the file cannot be read: {error}") from error


def _typed(text: str, kind: Any) -> object:
    """Read the text of an environment variable as what the setting is; what does not fit is left for the check to refuse."""
    if kind is str or get_origin(kind) is Literal:
        return text
    try:
        return msgspec.json.decode(text.strip())
    except msgspec.DecodeError:
        return text


def _kinds(section: str) -> dict[str, Any]:
    kind = get_type_hints(Settings).get(section)
    return {} if kind is None else get_type_hints(kind)


def _lower(values: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """Lower-case the keys: dynaconf keeps the case of nested ones, and a key in another case would be unknown."""
    return {
        section.lower(): {str(key).lower(): value for key, value in table.items()}
        if isinstance(table, Mapping)
        else {"": table}
        for section, table in values.items()
    }


def _checked(source: _Source) -> Iterator[tuple[str, str, object]]:
    for section, table in source.values.items():
        kinds = get_type_hints(Settings, include_extras=True)
        if section not in kinds:
            raise SettingsInvalid(f"{source.name}: unknown section [{section}]; known: {', '.join(kinds)}")
        fields = get_type_hints(kinds[section], include_extras=True)
        for key, value in table.items():
            if key not in fields:
                raise SettingsInvalid(f"{source.name}: unknown key {section}.{key}; known: {', '.join(fields)}")
            try:
                yield section, key, msgspec.convert(value, fields[key])
            except msgspec.ValidationError as error:
                raise SettingsInvalid(f"{source.name}: {section}.{key}: {_explain(fields[key], error)}") from error


def _explain(kind: Any, error: msgspec.ValidationError) -> str:
    if get_origin(kind) is Literal:
        return f"must be one of {', '.join(get_args(kind))}"
    described = [
        meta.description for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, Meta) and meta.description
    ]
    if described and "matching regex" in str(error):
        return f"must be {described[0]}"
    return str(error)[:1].lower() + str(error)[1:]


def _check_together(settings: Settings) -> None:
    secret = settings.auth.secret
    if secret and len(secret.encode()) < SECRET_BYTES:
        raise SettingsInvalid(f"auth.secret: must be {SECRET_BYTES} bytes or more, is {len(secret.encode())}")
    if secret and len(set(secret)) < 8:  # noqa: PLR2004 - "changeme" repeated, or one key held down
        raise SettingsInvalid(
            "auth.secret: is no secret: fewer than 8 different characters; take `openssl rand -base64 32`"
        )
    if not settings.auth.enabled and not is_loopback(settings.server.host):
        raise SettingsInvalid(
            f"auth.enabled: may be false only while server.host is loopback, and it is {settings.server.host}"
        )
    if settings.server.workers > 1 and settings.database_url.startswith("sqlite"):
        raise SettingsInvalid(
            "server.workers: more than 1 needs PostgreSQL (database.url): a SQLite file has one server process"
        )
    if (
        settings.database.url
        and urlsplit(settings.database.url).scheme == "postgresql"
        and not urlsplit(settings.database.url).path.strip("/")
    ):
        raise SettingsInvalid("database.url: names no database: postgresql://user:password@host:port/name")


def is_loopback(host: str) -> bool:
    """Say whether an address can be reached from this machine only; of names, only `localhost` is."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
