"""Where settings come from, each source by itself: a file (read by dynaconf), the environment, flags.

A source says of each key where it stands, so that an error names the line or the variable that is wrong.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_origin, get_type_hints

import msgspec
from dynaconf import Dynaconf
from dynaconf.loaders import toml_loader
from dynaconf.vendor.tomllib import TOMLDecodeError

from incident_manager.errors import SettingsInvalid
from incident_manager.settings.environment import PREFIX
from incident_manager.settings.sections import Settings

Key = tuple[str, str]
_SECRETS: Final = frozenset({("auth", "secret")})
_HEADER: Final = re.compile(r"\s*\[\s*[\"']?([\w-]+)[\"']?\s*\]")
_LINE: Final = re.compile(r"\s*(?:[\"']?([\w-]+)[\"']?\s*\.\s*)?[\"']?([\w-]+)[\"']?\s*=")


class Source(NamedTuple):
    """One place that settings come from; `places` names each key's more exactly: a file's line, a variable."""

    name: str
    values: Mapping[str, Mapping[str, object]]
    places: Mapping[Key, str]

    def place(self, section: str, key: str) -> str:
        """Return where a key is given."""
        return self.places.get((section, key), self.name)


def flags_source(flags: Mapping[str, object]) -> Source:
    """Read flags: `section.key` to a value."""
    nested: dict[str, dict[str, object]] = {}
    for name, value in flags.items():
        section, _, key = name.partition(".")
        nested.setdefault(section, {})[key] = value
    return Source("flags", nested, {})


def file_source(path: Path) -> Source:
    """Read a file of TOML.

    Raises SettingsInvalid where it cannot be read, holds nothing, or holds a secret.
    """
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
    source = Source(str(path), values, {key: f"{path}:{line}" for key, line in lines.items()})
    for section, key in _SECRETS:
        if values.get(section, {}).get(key):
            name = f"{PREFIX}{section}__{key}".upper()
            raise SettingsInvalid(
                f"{source.place(section, key)}: {section}.{key} is a secret: give it by {name} or {name}_FILE, "
                "not in a file of settings"
            )
    return source


def environment_source(environment: Mapping[str, str]) -> Source:
    """Read INCIDENT_MANAGER_SECTION__KEY. Not by dynaconf: it guesses types from values (a secret of digits, a number)."""
    values: dict[str, dict[str, object]] = {}
    places: dict[Key, str] = {}
    for name, given in environment.items():
        section, divided, rest = name.removeprefix(PREFIX).lower().partition("__")
        if not name.startswith(PREFIX) or not divided:
            continue
        kinds, key, text = _kinds(section), rest, given
        if rest.endswith("_file") and rest not in kinds and rest.removesuffix("_file") in kinds:
            key, text = rest.removesuffix("_file"), _read_file(name, given)
        if (section, key) in places:
            raise SettingsInvalid(f"{places[section, key]}: {section}.{key} is given twice, also by {name}")
        if (section, key) in _SECRETS and not text:  # `docker compose` puts nothing where a variable is missing
            raise SettingsInvalid(
                f"environment: {name}: {section}.{key} is empty: give it a value, or leave the variable away"
            )
        values.setdefault(section, {})[key] = _typed(text, kinds.get(key, str))
        places[section, key] = f"environment: {name}"
    return Source("environment", values, places)


def _lines(path: Path, text: str) -> dict[Key, int]:
    """Return the line that each key stands on; for messages, so that what is written unusually just has no line.

    Raises SettingsInvalid for a key that is given twice: TOML lets that pass where the two differ in case.
    """
    section, found = "", dict[Key, int]()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            section = header[1].lower()
        elif match := _LINE.match(line):
            key = (match[1] or section).lower(), match[2].lower()
            if key in found:
                raise SettingsInvalid(f"{path}:{number}: {'.'.join(key)} is given twice, first on line {found[key]}")
            found[key] = number
    return found


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
