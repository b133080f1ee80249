"""Optimistic locking: a change that was made against another version than the present one is refused."""

from incident_manager.errors import VersionConflict


def check(version: int, if_match: str | None) -> None:
    """Compare a resource's version with an If-Match header (RFC 9110, 13.1.1); no header and `*` match any.

    Raises VersionConflict, naming the present version.
    """
    if if_match is None or if_match.strip() == "*":
        return
    if etag(version) not in {tag.strip() for tag in if_match.split(",")}:
        raise VersionConflict(f"it is at version {version} now; read it again and repeat the change", version=version)


def etag(version: int) -> str:
    """Return the entity tag of a version."""
    return f'"{version}"'


def check_absent(if_match: str | None) -> None:
    """Refuse to create where the caller means to change what exists.

    Raises VersionConflict.
    """
    if if_match is not None:
        raise VersionConflict("If-Match was given, and there is nothing of that name")
