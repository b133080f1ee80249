"""Plug-ins by convention: a file in a folder is a plug-in, its name the key. Loud on misfits: a silent one is a lost page."""

import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType, ModuleType
from typing import TypeVar

from incident_manager.errors import PluginMisfit

T = TypeVar("T")


def load(package: ModuleType, attribute: str, kind: type[T]) -> Mapping[str, T]:
    """Import every module of `package` but `base` and return what each calls `attribute`, by module name.

    Raises PluginMisfit where a module cannot be imported, lacks the attribute, or has one of another type.
    """
    found: dict[str, T] = {}
    for info in pkgutil.iter_modules(package.__path__):
        if info.name == "base":
            continue
        name = f"{package.__name__}.{info.name}"
        try:
            module = importlib.import_module(name)
        except (ImportError, SyntaxError) as error:
            raise PluginMisfit(f"{name}: cannot be imported: {error}") from error
        plugin = getattr(module, attribute, None)
        if not isinstance(plugin, kind):
            shown = "nothing" if plugin is None else f"a {type(plugin).__name__}"
            raise PluginMisfit(f"{name}: must define {attribute} as a {kind.__name__}, defines {shown}")
        found[info.name] = plugin
    return MappingProxyType(found)
