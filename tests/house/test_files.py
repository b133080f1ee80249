"""What is in the repository besides code: nothing of one machine, and what came from elsewhere is what it says it is."""

import configparser
import hashlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from incident_manager.settings import packaged_file
from tests.house.sources import ROOT, tracked

VENDOR = packaged_file("api") / "vendor"
VENDORED = tomllib.loads((VENDOR / "VENDOR.toml").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = {"requirements.lock": ["build"], "requirements-dev.lock": ["dev"]}
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)(?: ; ([^\\]+?))?(?: \\)?$")
PUBLIC = {"pypi.org", "files.pythonhosted.org", "localhost", "127.0.0.1"}  # no secret of any machine's


# --- what came from elsewhere ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VENDORED)
def test_a_vendored_file_is_the_one_it_was_when_it_was_taken(name: str) -> None:
    entry = VENDORED[name]
    assert hashlib.sha256((VENDOR / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]


@pytest.mark.parametrize("name", VENDORED)
def test_a_vendored_file_is_of_the_version_and_licence_that_are_named(name: str) -> None:
    entry = VENDORED[name]
    assert f"RapiDoc {entry['version']}" in (VENDOR / entry["file"]).read_text(errors="replace")[:2_000]
    assert entry["licence"] in (VENDOR / f"{name}-LICENSE.txt").read_text()


def test_every_vendored_file_is_named() -> None:
    there = {path.name for path in VENDOR.iterdir()} - {"VENDOR.toml"}
    named = {entry["file"] for entry in VENDORED.values()}
    assert {name for name in there if "LICENSE" not in name} == named


# --- lock files -----------------------------------------------------------------------------------------------------------


def pins(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, version and marker of each locked package."""
    for line in text.splitlines():
        if line and not line.startswith((" ", "#")):
            match = PINNED.match(line)
            assert match, line
            yield canonicalize_name(match[1]), match[2], match[3] or ""


def wanted(groups: list[str]) -> Iterator[Requirement]:
    """Yield what pyproject.toml asks for: dependencies, extras and these groups."""
    yield from map(Requirement, PROJECT["project"]["dependencies"])
    for extra in PROJECT["project"].get("optional-dependencies", {}).values():
        yield from map(Requirement, extra if groups == ["dev"] else [])
    for group in groups:
        for entry in PROJECT["dependency-groups"][group]:
            yield from wanted([entry["include-group"]]) if isinstance(entry, Mapping) else [Requirement(entry)]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_holds_what_pyproject_asks_for(lock: str) -> None:
    locked: dict[str, list[str]] = {}
    for name, version, _ in pins((ROOT / lock).read_text()):
        locked.setdefault(name, []).append(version)
    for requirement in wanted(LOCKS[lock]):
        versions = locked.get(canonicalize_name(requirement.name), [])
        assert versions, f"{requirement.name} is not in {lock}"
        assert [version for version in versions if not requirement.specifier.contains(version)] == [], requirement


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_holds_nothing_but_names_versions_markers_and_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text()
    for _, _, marker in pins(text):
        assert not marker or Marker(marker)
    hashes = [line.strip() for line in text.splitlines() if line.startswith(" ")]
    assert [line for line in hashes if not re.fullmatch(r"--hash=sha256:[0-9a-f]{64}( \\)?", line)] == []
    assert re.search(r"https?://|--index|--find-links|file:", text) is None


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_a_hash(lock: str) -> None:
    packages = re.split(r"^(?=[^ #\n])", (ROOT / lock).read_text(), flags=re.MULTILINE)
    assert [package for package in packages if package.strip() and "--hash=sha256:" not in package] == []


def test_both_lock_files_take_the_same_versions() -> None:
    runtime, development = (set(pins((ROOT / lock).read_text())) for lock in LOCKS)
    assert {(name, version) for name, version, _ in runtime} <= {(name, version) for name, version, _ in development}


def test_no_lock_file_that_records_addresses_is_tracked() -> None:
    assert {path.name for path in tracked()} & {"uv.lock", "pylock.toml", "poetry.lock", "Pipfile.lock"} == set()


# --- nothing of one machine -----------------------------------------------------------------------------------------------


def index_hosts() -> set[str]:
    """Return the hosts that this machine takes packages from, as pip and uv are told; nothing where it is told nothing."""
    said = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    said += "\n".join(text for name, text in os.environ.items() if name.startswith(("PIP_", "UV_")))
    for path in (Path.home() / ".config/uv/uv.toml", Path("/etc/uv/uv.toml"), Path("/etc/pip.conf")):
        said += path.read_text() if path.is_file() else ""
    hosts = {urlsplit(address).hostname for address in re.findall(r"https?://[^\s'\",]+", said)}
    return {host for host in hosts if host} - PUBLIC


def of_this_machine() -> set[str]:
    """Return texts that stand for this machine: where it keeps the checkout, the interpreter, the home, its packages.

    A path of one part, and the system's own, may be meant in general, so that they do not count.
    """
    places = {str(ROOT), str(Path.home()), sys.base_prefix} - {"/usr/local"}
    return {place for place in places if place.count("/") > 1} | index_hosts()


def mentions(text: str, wanted: set[str]) -> list[str]:
    return [each for each in wanted if re.search(rf"(?<![\w.-]){re.escape(each)}(?![\w-])", text)]


def test_no_file_names_this_machine_or_where_it_takes_packages_from() -> None:
    wanted = of_this_machine()  # once: it asks pip
    found = {str(path.relative_to(ROOT)): mentions(path.read_bytes().decode("latin-1"), wanted) for path in tracked()}
    assert {name: names for name, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see https://packages.corp.example/simple", True),
        ("cd /srv/checkout/main && make", True),
        ("see https://packages.corp.example.org", True),
        ("mypackages.corp.example", False),
        ("/srv/checkout/mainline", False),
        ("nothing", False),
    ],
)
def test_a_mention_of_a_machine_is_seen(text: str, found: bool) -> None:
    assert bool(mentions(text, {"packages.corp.example", "/srv/checkout/main"})) is found


def test_nothing_reads_what_lies_outside_the_repository() -> None:
    outside = re.compile(r"\.\./" + "shared")
    assert [path.name for path in tracked() if outside.search(path.read_bytes().decode("latin-1"))] == []


def test_the_programs_for_developers_are_configured_where_they_are_looked_for() -> None:
    alembic = configparser.ConfigParser()
    alembic.read(ROOT / "alembic.ini")
    assert (ROOT / alembic["alembic"]["script_location"] / "env.py").is_file()
    name = alembic["alembic"]["file_template"]
    assert name == "%(year)d_%(month).2d_%(day).2d_%(hour).2d%(minute).2d_%(slug)s"
