"""The tables of settings.toml as frozen structs: each key's type, its bounds, and words for what it takes."""

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

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


class IntakeSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How alerts wait for their commit."""

    queue_alerts: Annotated[int, Meta(ge=1, le=1_000_000)]
    answer_seconds: Seconds
    committers: Annotated[int, Meta(ge=1, le=16)]


class IdempotencySettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long first answers are kept."""

    ttl_seconds: Annotated[int, Meta(ge=60, le=604_800)]


class RetentionSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how long history is kept."""

    alerts_days: Annotated[int, Meta(ge=0, le=36_500)]


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
    intake: IntakeSettings
    idempotency: IdempotencySettings
    retention: RetentionSettings
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
