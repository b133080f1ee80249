"""All sources, checked each for itself, then laid over each other into one `Settings`; a later source wins, key by key."""

from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import get_type_hints

import msgspec

from incident_manager.errors import SettingsInvalid
from incident_manager.settings.checks import allowed, wrong_together
from incident_manager.settings.environment import chosen_file, variables
from incident_manager.settings.sections import Settings
from incident_manager.settings.sources import Key, Source, environment_source, file_source, flags_source


def load(flags: Mapping[str, object] | None = None) -> Settings:
    """Read all sources and return the settings.

    `flags` maps `section.key` to a value; None values are left out. Raises SettingsInvalid, naming source and key.
    """
    return load_with_places(flags)[0]


def load_with_places(flags: Mapping[str, object] | None = None) -> tuple[Settings, dict[str, str]]:
    """Do as `load`, and say of each `section.key` where its value comes from: a file's line, a variable, the flags."""
    merged: dict[str, dict[str, object]] = {}
    places: dict[Key, str] = {}
    for source in _sources({key: value for key, value in (flags or {}).items() if value is not None}):
        for section, key, value in _checked(source):
            merged.setdefault(section, {})[key] = value
            places[section, key] = source.place(section, key)
    settings = msgspec.convert(merged, Settings)
    for section, key, wrong in wrong_together(settings):
        raise SettingsInvalid(f"{places[section, key]}: {section}.{key}: {wrong}")
    return settings, {".".join(key): place for key, place in places.items()}


def packaged_file(name: str) -> Path:
    """Return a file or folder that ships inside the package, and stands beside it in a source checkout."""
    inside = Path(str(resources.files("incident_manager"))) / name
    return inside if inside.exists() else inside.parent.parent / name


def _sources(flags: Mapping[str, object]) -> Iterator[Source]:
    yield file_source(packaged_file("settings.toml"))
    if chosen := chosen_file():
        yield file_source(Path(chosen))
    yield environment_source(variables())
    yield flags_source(flags)


def _checked(source: Source) -> Iterator[tuple[str, str, object]]:
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
