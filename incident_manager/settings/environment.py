"""The environment of this process. Nothing else reads it or writes to it."""

import os
from collections.abc import Mapping
from typing import Final

import msgspec

PREFIX: Final = "INCIDENT_MANAGER_"


def variables() -> Mapping[str, str]:
    """Return the whole environment."""
    return os.environ


def chosen_file() -> str | None:
    """Return INCIDENT_MANAGER_SETTINGS: the file of settings that is read after the packaged one."""
    return os.environ.get(f"{PREFIX}SETTINGS")


def export(flags: Mapping[str, object]) -> None:
    """Put flags into the environment, where the server's worker processes find them, in place of what was there."""
    for key, value in flags.items():
        if value is not None:
            name = PREFIX + key.replace(".", "__").upper()
            for spelling in [other for other in os.environ if other.upper() in {name, f"{name}_FILE"}]:
                del os.environ[spelling]
            os.environ[name] = value if isinstance(value, str) else msgspec.json.encode(value).decode()


def client_address() -> str | None:
    """Return INCIDENT_MANAGER_URL: the server that client commands talk to."""
    return os.environ.get(f"{PREFIX}URL")


def client_key() -> str | None:
    """Return INCIDENT_MANAGER_API_KEY: the key that client commands show."""
    return os.environ.get(f"{PREFIX}API_KEY")


def environment_of_child(more: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment and what is added to it, for another's program: our secrets are not its business."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)} | dict(more)
