"""The one error tree. Each error has a stable `code` and a `status`; only `api/problems.py` makes HTTP of them.

IncidentManagerError
  RequestError              what a caller did or met; has code, status, detail
    MalformedRequest        400   not JSON, not UTF-8, too deep
    AuthenticationFailed    401
    AuthorizationFailed     403
    NotFound                404
    MethodNotAllowed        405
    RequestTimeout          408
    Conflict                409
      InvalidTransition     409   with `allowed`
    VersionConflict         412   with `version`
    PayloadTooLarge         413
    UnsupportedMediaType    415
    ValidationFailed        422   with `errors`, one a field
    Unavailable             503   with `retry_after_seconds`
  StartRefused              the process must not start; its text says what to change
    SettingsInvalid         a setting is unknown, misplaced or wrong
    PluginMisfit            a plug-in's file does not define what its folder asks for
  BackupFailed              no backup was made; its text says why
"""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple


class IncidentManagerError(Exception):
    """Root of everything this package raises on purpose."""


class FieldError(NamedTuple):
    """One thing wrong with one field of an input; `field` is a dotted path, empty for the whole."""

    field: str
    message: str


class RequestError(IncidentManagerError):
    """A request that cannot be done as asked; `detail` is written for the caller."""

    code: ClassVar[str]
    status: ClassVar[int]
    title: ClassVar[str]

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    @property
    def extra(self) -> dict[str, object]:
        """Members beside the standard ones in the problem document."""
        return {}

    @property
    def headers(self) -> dict[str, str]:
        """Response headers that belong to this error."""
        return {}


class MalformedRequest(RequestError):
    """The bytes are not what the content type promises."""

    code, status, title = "MALFORMED_REQUEST", 400, "Malformed request"


class AuthenticationFailed(RequestError):
    """No key, or one that is not valid now."""

    code, status, title = "AUTHENTICATION_ERROR", 401, "Authentication needed"

    @property
    def headers(self) -> dict[str, str]:
        """RFC 9110, 11.6.1: a 401 names the scheme."""
        return {"WWW-Authenticate": "Bearer"}


class AuthorizationFailed(RequestError):
    """A valid key whose role does not allow this."""

    code, status, title = "AUTHORIZATION_ERROR", 403, "Not allowed"


class NotFound(RequestError):
    """No such thing in this tenant."""

    code, status, title = "NOT_FOUND", 404, "Not found"


class MethodNotAllowed(RequestError):
    """The address exists, the method does not."""

    code, status, title = "METHOD_NOT_ALLOWED", 405, "Method not allowed"


class RequestTimeout(RequestError):
    """The request did not arrive in time."""

    code, status, title = "MALFORMED_REQUEST", 408, "Request timeout"

    @property
    def headers(self) -> dict[str, str]:
        """RFC 9110, 15.5.9: the rest is not waited for."""
        return {"Connection": "close"}


class Conflict(RequestError):
    """What is asked collides with what is there."""

    code, status, title = "CONFLICT", 409, "Conflict"

    def __init__(self, detail: str, **extra: object) -> None:
        super().__init__(detail)
        self._extra = extra

    @property
    def extra(self) -> dict[str, object]:
        """What it collides with, such as `incident_id`."""
        return self._extra


class InvalidTransition(Conflict):
    """The table of moves does not know this one."""

    code, title = "INVALID_STATE_TRANSITION", "Invalid state transition"

    def __init__(self, detail: str, *, allowed: Sequence[str]) -> None:
        super().__init__(detail, allowed=list(allowed))


class VersionConflict(RequestError):
    """If-Match names another version than the present one."""

    code, status, title = "VERSION_CONFLICT", 412, "Version conflict"

    def __init__(self, detail: str, *, version: int | None = None) -> None:
        super().__init__(detail)
        self._version = version

    @property
    def extra(self) -> dict[str, object]:
        """The present version, where there is one."""
        return {} if self._version is None else {"version": self._version}


class PayloadTooLarge(RequestError):
    """The body is over the route's limit."""

    code, status, title = "PAYLOAD_TOO_LARGE", 413, "Payload too large"

    @property
    def headers(self) -> dict[str, str]:
        """The rest of the body is not read, so the connection cannot be used again."""
        return {"Connection": "close"}


class UnsupportedMediaType(RequestError):
    """The content type is not one this address takes."""

    code, status, title = "UNSUPPORTED_MEDIA_TYPE", 415, "Unsupported media type"


class ValidationFailed(RequestError):
    """Readable, but not valid; every error names its field."""

    code, status, title = "VALIDATION_ERROR", 422, "Validation failed"

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{e.field}: {e.message}" if e.field else e.message for e in errors))
        self.errors = tuple(errors)

    @classmethod
    def of(cls, field: str, message: str) -> "ValidationFailed":
        """Make the error for one field."""
        return cls([FieldError(field, message)])

    @property
    def extra(self) -> dict[str, object]:
        """The errors, one a field."""
        return {"errors": [error._asdict() for error in self.errors]}


class Unavailable(RequestError):
    """The database cannot answer now; the same request may succeed later."""

    code, status, title = "UNAVAILABLE", 503, "Unavailable"

    def __init__(self, detail: str, *, retry_after_seconds: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds

    @property
    def headers(self) -> dict[str, str]:
        """RFC 9110, 10.2.3."""
        return {"Retry-After": str(self.retry_after_seconds)}


class StartRefused(IncidentManagerError):
    """The process must not start; the text says what to change."""


class SettingsInvalid(StartRefused):
    """A setting is unknown, misplaced or wrong; the text names source and key."""


class PluginMisfit(StartRefused):
    """A file in a plug-in folder does not define the attribute its folder asks for."""


class BackupFailed(IncidentManagerError):
    """No backup was made, and nothing is left of it; the text says why."""


def inner(group: BaseExceptionGroup[BaseException]) -> IncidentManagerError | OSError | None:
    """Return the error that a task group has wrapped, the first of several, where it is ours or the system's."""
    found: BaseException | None = group.subgroup((IncidentManagerError, OSError))
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found if isinstance(found, (IncidentManagerError, OSError)) else None
