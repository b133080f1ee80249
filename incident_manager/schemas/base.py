"""Building blocks of the wire: bounded texts, the problem document, the plain result of a list."""

from datetime import UTC, datetime
from typing import Annotated, Final

from msgspec import Meta, Struct

TEXT_LIMIT: Final = 32 * 1024
URL_LIMIT: Final = 2_048
LABELS_LIMIT: Final = 64
LABEL_KEY_LIMIT: Final = 128
LABEL_VALUE_LIMIT: Final = 1_024
SERVICES_LIMIT: Final = 64
LINKS_LIMIT: Final = 64
NAME_LIMIT: Final = 255
TITLE_LIMIT: Final = 500
DEDUP_KEY_LIMIT: Final = 512
CURSOR_LIMIT: Final = 1_000

# A NUL cannot be stored by PostgreSQL, so neither engine takes it. `(?![\s\S])` is an end of text that Python and ECMA 262
# (what JSON Schema asks for) read alike: Python's `$` would let a last line feed through.
NO_NUL: Final = r"^[^\x00]*(?![\s\S])"
NO_CONTROL: Final = r"^[^\x00-\x1f\x7f-\x9f]*(?![\s\S])"
HTTP_URL: Final = r"^https?://[^\s\x00-\x1f\x7f-\x9f]+(?![\s\S])"
# Not in the form of a UUID: an address with one means the id.
RESOURCE_NAME: Final = r"^(?!-*(?:[0-9A-Fa-f]-*){32}(?![\s\S]))[A-Za-z0-9._-]{1,100}(?![\s\S])"

Text = Annotated[str, Meta(max_length=TEXT_LIMIT, pattern=NO_NUL)]
RequiredText = Annotated[str, Meta(min_length=1, max_length=TEXT_LIMIT, pattern=NO_NUL)]
Title = Annotated[str, Meta(min_length=1, max_length=TITLE_LIMIT, pattern=NO_NUL)]
Name = Annotated[str, Meta(min_length=1, max_length=NAME_LIMIT, pattern=NO_NUL)]
LabelKey = Annotated[str, Meta(min_length=1, max_length=LABEL_KEY_LIMIT, pattern=NO_CONTROL)]
LabelValue = Annotated[str, Meta(max_length=LABEL_VALUE_LIMIT, pattern=NO_CONTROL)]
Labels = Annotated[dict[LabelKey, LabelValue], Meta(max_length=LABELS_LIMIT)]
HttpUrl = Annotated[str, Meta(max_length=URL_LIMIT, pattern=HTTP_URL)]
ResourceName = Annotated[str, Meta(min_length=1, max_length=100, pattern=RESOURCE_NAME)]
Instant = Annotated[datetime, Meta(tz=True)]


class Link(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A link with the words to show for it, as in PagerDuty's Events API v2."""

    href: HttpUrl
    text: Name | None = None


Links = Annotated[list[Link | HttpUrl], Meta(max_length=LINKS_LIMIT)]
Services = Annotated[list[Name], Meta(max_length=SERVICES_LIMIT)]


class FieldProblem(Struct, frozen=True, kw_only=True):
    """One thing wrong with one field; `field` is a dotted path."""

    field: str
    message: str


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error, as RFC 9457 has it, with `code` to tell errors of one status apart."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: list[FieldProblem] | None = None
    allowed: list[str] | None = None
    incident_id: str | None = None
    version: int | None = None


def in_utc(given: Struct, name: str) -> None:
    """Bring an instant of an input to UTC; for its `__post_init__`, which makes of a ValueError one that names the field.

    At the ends of the calendar other zones hold moments that UTC has no year for.
    """
    moment = getattr(given, name)
    if isinstance(moment, datetime):
        try:
            setattr(given, name, moment.astimezone(UTC))
        except OverflowError as error:
            raise ValueError(f"the year of field `{name}` is not in 1 to 9999 in UTC") from error
