"""What a setting may be: in words, and where its type alone does not say it. Pure: values in, what is wrong with them out."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Annotated, Any, Final, Literal, get_args, get_origin
from urllib.parse import urlsplit

from incident_manager.settings.sections import Settings

SECRET_BYTES: Final = 32
_SECRET_CHARACTERS: Final = 8
_DAY_SECONDS: Final = 86_400


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


def wrong_together(settings: Settings) -> Iterator[tuple[str, str, str]]:
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
    kept, ttl = settings.retention.alerts_days, settings.idempotency.ttl_seconds
    if 0 < kept * _DAY_SECONDS < ttl:
        yield (
            "retention",
            "alerts_days",
            f"must be 0 (for ever) or at least as long as idempotency.ttl_seconds, which is {ttl}: "
            "a repeated delivery is answered from the alert that it repeats",
        )
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
