"""Every file of the package and of the command line is mirrored by a test of its stem, or says what covers it."""

from pathlib import Path

import pytest

from tests.house.sources import ROOT

# What has no test of its own name: the reason, and the test that covers it.
COVERED_ELSEWHERE = {
    "incident_manager/models/access.py": ("a table is a declaration", "tests/models/test_tables.py"),
    "incident_manager/models/alerts.py": ("a table is a declaration", "tests/models/test_tables.py"),
    "incident_manager/models/audit.py": ("a table is a declaration", "tests/models/test_tables.py"),
    "incident_manager/models/base.py": ("names and keys of all tables", "tests/models/test_tables.py"),
    "incident_manager/models/idempotency.py": ("a table is a declaration", "tests/models/test_tables.py"),
    "incident_manager/models/incidents.py": ("a table is a declaration", "tests/models/test_tables.py"),
    "incident_manager/models/integrations.py": ("a table is a declaration", "tests/models/test_tables.py"),
}


def files() -> list[Path]:
    found = [*(ROOT / "incident_manager").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]
    return sorted(path.relative_to(ROOT) for path in found if path.name != "__init__.py")


def has_a_test(path: Path) -> bool:
    """Ask for tests/<folder>/test_<stem>.py or test_<stem>_<what>.py; the package's own folder is tests itself."""
    folder = ROOT / "tests" / Path(*path.parts[path.parts[0] == "incident_manager" : -1])
    return bool([*folder.glob(f"test_{path.stem}.py"), *folder.glob(f"test_{path.stem}_*.py")])


def test_every_file_has_a_test_of_its_name_or_says_what_covers_it() -> None:
    missing = [path.as_posix() for path in files() if not has_a_test(path)]
    assert [name for name in missing if name not in COVERED_ELSEWHERE] == []


@pytest.mark.parametrize("name", COVERED_ELSEWHERE)
def test_what_says_so_needs_to_and_is_covered_by_a_test_that_is_there(name: str) -> None:
    _, test = COVERED_ELSEWHERE[name]
    assert Path(name) in files()
    assert not has_a_test(Path(name))
    assert (ROOT / test).is_file()
