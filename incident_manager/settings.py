"""Settings: files by dynaconf, then the environment, then flags, into one frozen struct. The only reader of the environment.

Every source is checked for itself before they are laid over each other, so that an error names the source and the key that
is wrong, and not the result of a merge.
"""

import os
import re
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
_SECRET_CHARACTERS: Final = 8
_SECRETS: Final = frozenset({("auth", "secret")})

Seconds = Annotated[int, Meta(ge=1, le=60)]
# As browsers write one: in lower case, without a path, without the port that goes without saying. Another never matches.
_ORIGIN: Final = (
    r"^(\*|(?!http://.*:80$|https://.*:443$)[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?)\Z"
)


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
            pattern=r"^(https?://\S+[^/\s])?\Z",
            description="http(s)://name[:port][/path] without a last slash",
        ),
    ]
    trusted_proxies: list[str]
    cors_origins: Annotated[
        list[Annotated[str, Meta(pattern=_ORIGIN)]],
        Meta(description='a list of origins as browsers send them, such as ["https://desk.example"], or ["*"]'),
    ]
    request_seconds: Annotated[int, Meta(ge=1, le=600)]
    keep_alive_seconds: Annotated[int, Meta(ge=1, le=600)]
    stop_seconds: Seconds


class DatabaseSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which database, and how it is used."""

    url: Annotated[
        str,
        Meta(
            pattern=r"^$|^sqlite:///(?!:memory:).+$|^postgresql://.+$",
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
    format: Literal["text", "json"]


class MetricsSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who reads the metrics."""

    public: bool


class Settings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of settings.toml."""

    server: ServerSettings
    database: DatabaseSettings
    auth: AuthSettings
    dedup: DedupSettings
    idempotency: IdempotencySettings
    log: LogSettings
    metrics: MetricsSettings

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


_Key = tuple[str, str]
_HEADER: Final = re.compile(r"\s*\[\s*[\"']?([\w-]+)[\"']?\s*\]")
_LINE: Final = re.compile(r"\s*(?:[\"']?([\w-]+)[\"']?\s*\.\s*)?[\"']?([\w-]+)[\"']?\s*=")


class _Source(NamedTuple):
    """One place that settings come from; `places` names each key's more exactly: a file's line, a variable."""

    name: str
    values: Mapping[str, Mapping[str, object]]
    places: Mapping[_Key, str]

    def place(self, section: str, key: str) -> str:
        return self.places.get((section, key), self.name)


def load(flags: Mapping[str, object] | None = None) -> Settings:
    """Read all sources and return the settings.

    `flags` maps `section.key` to a value; None values are left out. Raises SettingsInvalid, naming source and key.
    """
    return load_with_places(flags)[0]


def load_with_places(flags: Mapping[str, object] | None = None) -> tuple[Settings, dict[str, str]]:
    """Do as `load`, and say of each `section.key` where its value comes from: a file's line, a variable, the flags."""
    merged: dict[str, dict[str, object]] = {}
    places: dict[_Key, str] = {}
    for source in _sources({key: value for key, value in (flags or {}).items() if value is not None}):
        for section, key, value in _checked(source):
            merged.setdefault(section, {})[key] = value
            places[section, key] = source.place(section, key)
    settings = msgspec.convert(merged, Settings)
    for section, key, wrong in _wrong_together(settings):
        raise SettingsInvalid(f"{places[section, key]}: {section}.{key}: {wrong}")
    return settings, {".".join(key): place for key, place in places.items()}


def export(flags: Mapping[str, object]) -> None:
    """Put flags into the environment, where the server's worker processes find them, in place of what was there."""
    for key, value in flags.items():
        if value is not None:
            name = PREFIX + key.replace(".", "__").upper()
            for spelling in [other for other in os.environ if other.upper() in {name, f"{name}_FILE"}]:
                del os.environ[spelling]
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


def environment_of_child(more: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment and what is added to it, for another's program: our secrets are not its business."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)} | dict(more)


def _sources(flags: Mapping[str, object]) -> Iterator[_Source]:
    yield _file(packaged_file("settings.toml"))
    if chosen := os.environ.get(f"{PREFIX}SETTINGS"):
        yield _file(Path(chosen))
    yield _environment(os.environ)
    nested: dict[str, dict[str, object]] = {}
    for name, value in flags.items():
        section, _, key = name.partition(".")
        nested.setdefault(section, {})[key] = value
    yield _Source("flags", nested, {})


def _file(path: Path) -> _Source:
    try:
        lines = _lines(path, path.read_bytes().decode())  # dynaconf passes over a file that it cannot read
        # Without auto_cast a text is a text: dynaconf would read "@format {env[HOME]}" as an order.
        reader = Dynaconf(loaders=[], settings_files=[], environments=False, auto_cast=False)
        # not reader.load_file: that also reads a `.local` file that happens to stand beside this one
        toml_loader.load(reader, filename=str(path.resolve()), silent=False)
        values = _lower(reader.as_dict())
    except OSError as error:
        raise SettingsInvalid(f"{path}: the settings file cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsInvalid(f"{path}: the settings file is not UTF-8: byte {error.start + 1}") from error
    except (TOMLDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsInvalid(f"{path}: not TOML: {error}") from error
    if not values:
        raise SettingsInvalid(f"{path}: the file holds no settings; write [section] and key = value, or do not name it")
    source = _Source(str(path), values, {key: f"{path}:{line}" for key, line in lines.items()})
    for section, key in _SECRETS:
        if values.get(section, {}).get(key):
            name = f"{PREFIX}{section}__{key}".upper()
            raise SettingsInvalid(
                f"{source.place(section, key)}: {section}.{key} is a secret: give it by {name} or {name}_FILE, "
                "not in a file of settings"
            )
    return source


def _lines(path: Path, text: str) -> dict[_Key, int]:
    """Return the line that each key stands on; for messages, so that what is written unusually just has no line.

    Raises SettingsInvalid for a key that is given twice: TOML lets that pass where the two differ in case.
    """
    section, found = "", dict[_Key, int]()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            section = header[1].lower()
        elif match := _LINE.match(line):
            key = (match[1] or section).lower(), match[2].lower()
            if key in found:
                raise SettingsInvalid(f"{path}:{number}: {'.'.join(key)} is given twice, first on line {found[key]}")
            found[key] = number
    return found


def _environment(environment: Mapping[str, str]) -> _Source:
    """Read INCIDENT_MANAGER_SECTION__KEY. Not by dynaconf: it guesses types from values (a secret of digits, a number)."""
    values: dict[str, dict[str, object]] = {}
    places: dict[_Key, str] = {}
    for name, text in environment.items():
        section, divided, key = name.removeprefix(PREFIX).lower().partition("__")
        if not name.startswith(PREFIX) or not divided:
            continue
        kinds = _kinds(section)
        if key.endswith("_file") and key not in kinds and key.removesuffix("_file") in kinds:
            key, text = key.removesuffix("_file"), _read_file(name, text)  # noqa: PLW2901
        if (section, key) in places:
            raise SettingsInvalid(f"{places[section, key]}: {section}.{key} is given twice, also by {name}")
        if (section, key) in _SECRETS and not text:  # `docker compose` puts nothing where a variable is missing
            raise SettingsInvalid(
                f"environment: {name}: {section}.{key} is empty: give it a value, or leave the variable away"
            )
        values.setdefault(section, {})[key] = _typed(text, kinds.get(key, str))
        places[section, key] = f"environment: {name}"
    return _Source("environment", values, places)


def _read_file(name: str, path: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise SettingsInvalid(f"environment: {name}: the file {path} is not UTF-8") from error
    except OSError as error:
        raise SettingsInvalid(f"environment: {name}: the file {path} cannot be read: {error.strerror}") from error
    if not text:
        raise SettingsInvalid(f"environment: {name}: the file {path} is empty")
    return text


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
    sections = get_type_hints(Settings)
    for section, table in source.values.items():
        if section not in sections:
            where = source.place("", section) if "" in table else source.place(section, next(iter(table), ""))
            raise SettingsInvalid(f"{where}: unknown section [{section}]; known: {', '.join(sections)}")
        if "" in table:
            raise SettingsInvalid(f"{source.name}: {section} is a section: write [{section}], and keys below it")
        fields = get_type_hints(sections[section], include_extras=True)
        for key, value in table.items():
            where = f"{source.place(section, key)}: "
            if key not in fields:
                raise SettingsInvalid(f"{where}unknown key {section}.{key}; known: {', '.join(fields)}")
            try:
                yield section, key, msgspec.convert(value, fields[key])
            except msgspec.ValidationError as error:
                raise SettingsInvalid(f"{where}{section}.{key}: must be {allowed(fields[key])}") from error


def allowed(kind: Any) -> str:
    """Return the values that a setting of this type takes, in words that go on after "must be"."""
    if get_origin(kind) is Annotated:
        plain, meta = get_args(kind)
        if meta.description:
            return str(meta.description)
        return f"a whole number from {meta.ge} to {meta.le}" if plain is int else "a text that is not empty"
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    return {bool: "true or false", str: "a text"}.get(kind, 'a list of texts, such as ["10.0.0.1"]')


def secret_weakness(secret: str) -> str | None:
    """Return why others could guess a secret, None where they cannot."""
    if len(secret.encode()) < SECRET_BYTES:
        return f"must be {SECRET_BYTES} bytes or more, is {len(secret.encode())}; take `openssl rand -base64 32`"
    if len(set(secret)) < _SECRET_CHARACTERS:  # "changeme" repeated, or one key held down
        return f"is no secret: fewer than {_SECRET_CHARACTERS} different characters; take `openssl rand -base64 32`"
    return None


def _wrong_together(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Yield what no key shows by itself: section, key, and what is wrong with it."""
    secret, url = settings.auth.secret, settings.database.url
    if secret and (weakness := secret_weakness(secret)):
        yield "auth", "secret", weakness
    if not settings.auth.enabled and not is_loopback(settings.server.host):
        yield "auth", "enabled", f"may be false only while server.host is loopback, and it is {settings.server.host}"
    if "*" in (origins := settings.server.cors_origins) and len(origins) > 1:
        yield "server", "cors_origins", '["*"] is every origin: name it alone, or only those that you mean'
    if settings.server.workers > 1 and settings.database_url.startswith("sqlite"):
        yield "server", "workers", "more than 1 needs PostgreSQL (database.url): a SQLite file has one server process"
    if url.startswith("postgresql") and not _is_postgresql(url):
        yield (
            "database",
            "url",
            "must be postgresql://user:password@host:port/name, with a name and a port that is a number",
        )


def _is_postgresql(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.path.strip("/")) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Say whether an address can be reached from this machine only; of names, only `localhost` is."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
