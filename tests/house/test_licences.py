"""What we ship may be shipped: every distribution of requirements.lock has a licence that is known and goes with ours."""

import re
from collections.abc import Iterator
from email.message import Message
from importlib import metadata

import pytest
from packaging.requirements import Requirement

from tests.house.sources import ROOT

# SPDX identifiers. MPL-2.0 asks for the source of its own files only, which we ship unchanged.
ALLOWED = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"}
# What older metadata says in words.
NAMES = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}


def shipped() -> Iterator[str]:
    """Yield what the lock file installs here; what only Windows or a browser would take is not what we ship."""
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if line[:1].isalnum():
            requirement = Requirement(line.rstrip(" \\"))
            if requirement.marker is None or requirement.marker.evaluate():
                yield requirement.name


def licences(found: Message) -> set[str]:
    """Return the licences that metadata names: its SPDX expression, else its classifiers, else the first line of its text."""
    if expression := found.get("License-Expression"):
        return set(re.findall(r"[\w.-]+", expression)) - {"AND", "OR", "WITH"}
    given = [one.rpartition(" :: ")[2] for one in found.get_all("Classifier") or [] if one.startswith("License ::")]
    given = given or (found.get("License") or "").splitlines()[:1]
    return {NAMES.get(name, name) for name in given}


def test_the_lock_is_read() -> None:
    assert {"litestar", "sqlalchemy", "uvloop"} <= set(shipped())


@pytest.mark.parametrize("name", sorted(shipped()))
def test_what_we_ship_has_a_licence_that_goes_with_ours(name: str) -> None:
    found = licences(metadata.metadata(name))
    assert found
    assert found <= ALLOWED


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"License-Expression": "(MIT OR GPL-3.0-only) AND PSF-2.0"}, {"MIT", "GPL-3.0-only", "PSF-2.0"}),
        ({"Classifier": "License :: OSI Approved :: MIT License", "License": "see LICENSE"}, {"MIT"}),
        ({"Classifier": "License :: OSI Approved :: GNU General Public License v3 (GPLv3)"}, None),
        ({"License": "MIT License\n\nCopyright"}, {"MIT"}),
        ({"License": "as you like"}, None),
        ({"Classifier": "Typing :: Typed"}, set()),
    ],
)
def test_licences_are_read_as_they_are_written(fields: dict[str, str], expected: set[str] | None) -> None:
    written = Message()
    for name, value in fields.items():
        written[name] = value
    found = licences(written)
    assert found == expected if expected is not None else not found <= ALLOWED
