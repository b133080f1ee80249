"""The code base as syntax trees, for the checks in this folder: each takes a module and yields what is wrong, and where."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Module(NamedTuple):
    """A source file; `name` is its path from the root of the repository."""

    name: str
    text: str
    tree: ast.Module

    def at(self, node: ast.AST) -> str:
        return f"{self.name}:{getattr(node, 'lineno', 1)}"

    def is_in(self, *places: str) -> bool:
        """Say whether this is one of the files named, or in one of the folders (which end in a slash)."""
        return any(self.name.startswith(place) if place.endswith("/") else self.name == place for place in places)


def module(text: str, name: str = "incident_manager/rules/example.py") -> Module:
    """Return a snippet as if it were a file of that name."""
    return Module(name, text, ast.parse(text))


def modules(*folders: str) -> Iterator[Module]:
    """Read every source file of the package and of the command line, or of the folders named."""
    for folder in folders or ("incident_manager", "cli"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield module(path.read_text(), path.relative_to(ROOT).as_posix())


def tracked() -> list[Path]:
    """Return the files that git knows, and those it would take."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]
