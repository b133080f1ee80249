"""The lists in pyproject.toml that import-linter goes by name every file they are meant for."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.house.sources import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS = {contract["name"]: contract for contract in PROJECT["tool"]["importlinter"]["contracts"]}
PACKAGE = ROOT / "incident_manager"

# Who may know the framework, who may know SQL; `__main__` holds one import, which a contract of its own names.
FRAMEWORK = {"api", "app", "asgi", "__main__"}
SQL = {"models", "store", "db", "engines", "migrate", "__main__"}


def contract(words: str) -> dict[str, Any]:
    [found] = [each for name, each in CONTRACTS.items() if words in name]
    return found


def parts(folder: Path = PACKAGE) -> set[str]:
    """Return the modules and packages of a folder."""
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    return files | {path.parent.name for path in folder.glob("*/__init__.py")}


def test_the_layers_name_every_part_of_the_package() -> None:
    layers = contract("Each layer imports only what is below it")
    named = {name for line in layers["layers"] for name in line.split(" | ")}
    assert named | set(layers["exhaustive_ignores"]) == parts()


@pytest.mark.parametrize("folder", ["monitors"])
def test_plug_ins_that_must_not_know_each_other_are_all_named(folder: str) -> None:
    named = contract(f"{folder.capitalize()} do not know each other")["modules"]
    plug_ins = parts(PACKAGE / folder) - {"base"}
    assert sorted(named) == sorted(f"incident_manager.{folder}.{name}" for name in plug_ins)


@pytest.mark.parametrize(("words", "allowed"), [("The framework appears only", FRAMEWORK), ("SQL is written in", SQL)])
def test_whoever_may_not_know_a_library_is_named(words: str, allowed: set[str]) -> None:
    named = {name.removeprefix("incident_manager.") for name in contract(words)["source_modules"]}
    assert named == (parts() | {"cli"}) - allowed


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_contract_names_nothing_that_is_not_there(name: str) -> None:
    named = [*CONTRACTS[name].get("source_modules", []), *CONTRACTS[name].get("modules", [])]
    ours = [each.split(".") for each in named if each.startswith("incident_manager.")]
    missing = [
        each for each in ours if not (ROOT.joinpath(*each).is_dir() or ROOT.joinpath(*each).with_suffix(".py").exists())
    ]
    assert missing == []
