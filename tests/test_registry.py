"""Plug-ins by convention: what is in the folder is loaded, and what does not fit stops the start."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from incident_manager import monitors
from incident_manager.errors import PluginMisfit, StartRefused
from incident_manager.monitors.base import Monitor
from incident_manager.registry import load

Folder = Callable[..., ModuleType]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    """Make a package of plug-ins from the text of its files."""

    def make(**files: str) -> ModuleType:
        package = tmp_path / "plugins"
        package.mkdir()
        for name, text in {"__init__": "", "base": "raise RuntimeError", **files}.items():
            (package / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        return importlib.import_module("plugins")

    monkeypatch.syspath_prepend(tmp_path)
    yield make
    for name in [name for name in sys.modules if name.partition(".")[0] == "plugins"]:
        del sys.modules[name]


def test_each_file_but_base_is_a_plug_in_by_its_name(folder: Folder) -> None:
    found = load(folder(slack="CHANNEL = 'to slack'", email="CHANNEL = 'by mail'"), "CHANNEL", str)
    assert found == {"email": "by mail", "slack": "to slack"}


def test_a_folder_is_a_plug_in_too(folder: Folder, tmp_path: Path) -> None:
    package = folder()
    (tmp_path / "plugins" / "slack").mkdir()
    (tmp_path / "plugins" / "slack" / "__init__.py").write_text("CHANNEL = 'to slack'")
    importlib.invalidate_caches()
    assert load(package, "CHANNEL", str) == {"slack": "to slack"}


def test_an_empty_folder_has_no_plug_ins(folder: Folder) -> None:
    assert load(folder(), "CHANNEL", str) == {}


def test_nobody_can_add_to_what_was_loaded(folder: Folder) -> None:
    found = load(folder(slack="CHANNEL = 'to slack'"), "CHANNEL", str)
    with pytest.raises(TypeError):
        found["email"] = "by mail"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "plugins.slack: must define CHANNEL as a str, defines nothing"),
        ("CHANNEL = None", "plugins.slack: must define CHANNEL as a str, defines nothing"),
        ("channel = 'to slack'", "plugins.slack: must define CHANNEL as a str, defines nothing"),
        ("CHANNEL = 7", "plugins.slack: must define CHANNEL as a str, defines a int"),
        ("CHANNEL = str", "plugins.slack: must define CHANNEL as a str, defines a type"),
        ("import nowhere", "plugins.slack: cannot be imported: No module named 'nowhere'"),
        ("from os import nowhere", "plugins.slack: cannot be imported: cannot import name 'nowhere'"),
        ("CHANNEL = (", "plugins.slack: cannot be imported: '(' was never closed"),
    ],
)
def test_a_misfit_is_refused_by_its_name(folder: Folder, text: str, expected: str) -> None:
    package = folder(email="CHANNEL = 'by mail'", slack=text)
    with pytest.raises(PluginMisfit) as refused:
        load(package, "CHANNEL", str)
    assert str(refused.value).startswith(expected)
    assert isinstance(refused.value, StartRefused)


def test_a_defect_in_a_plug_in_is_not_passed_over(folder: Folder) -> None:
    with pytest.raises(ZeroDivisionError):
        load(folder(slack="CHANNEL = str(1 / 0)"), "CHANNEL", str)


def test_every_monitor_in_the_folder_is_loaded() -> None:
    files = {path.stem for path in Path(monitors.__path__[0]).glob("*.py")} - {"__init__", "base"}
    assert set(monitors.MONITORS) == files
    assert {type(monitor) for monitor in monitors.MONITORS.values()} == {Monitor}
