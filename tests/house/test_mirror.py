"""Every stem of the package and of the command line is mirrored by a test of its name, or says which test covers it."""

import pytest

from tests.house.sources import ROOT

# A stem without a test of its name, and the test that would turn red for it.
COVERED_BY = {
    "__main__": "stories/test_demo.py",
    "acting": "api/test_idempotency.py",
    "app": "stories/test_alert_to_incident.py",
    "asgi": "cli/test_serve.py",
    "bulk": "store/test_intake.py",
    "checks": "test_settings.py",
    "decisions": "flows/test_group_commit.py",
    "dedup_keys": "flows/test_deduplication.py",
    "dependencies": "api/test_openapi.py",
    "engines": "test_db.py",
    "environment": "test_settings.py",
    "errors": "api/test_problems.py",
    "guards": "api/test_policies.py",
    "incident_type": "rules/test_fingerprint.py",
    "loading": "test_settings.py",
    "local": "cli/test_access.py",
    "moves": "api/test_incidents.py",
    "opening": "api/test_incidents.py",
    "options": "cli/test_incidents.py",
    "parts": "api/test_health.py",
    "reading": "api/test_incident_lists.py",
    "receive": "flows/test_group_commit.py",
    "relations": "flows/test_splitting.py",
    "requests": "api/test_bodies.py",
    "results": "flows/test_deliveries.py",
    "rows": "store/test_intake.py",
    "schema": "api/test_openapi.py",
    "search": "store/test_incident_search.py",
    "sections": "test_settings.py",
    "server": "cli/test_serve.py",
    "sources": "test_settings.py",
    "submissions": "flows/test_deliveries.py",
    "timeline": "api/test_incidents.py",
    "transaction": "flows/test_group_commit.py",
    "units": "api/test_keys.py",
    "upsert": "flows/test_dedup_races.py",
    "views": "api/test_incidents.py",
}


def stems() -> set[str]:
    folders = (ROOT / "incident_manager", ROOT / "cli")
    return {path.stem for folder in folders for path in folder.rglob("*.py") if path.name != "__init__.py"}


def has_a_test(stem: str) -> bool:
    """Ask for a test_<stem>.py or test_<stem>_<what>.py in any folder: a noun has one stem in every layer."""
    return any(next((ROOT / "tests").rglob(name), None) for name in (f"test_{stem}.py", f"test_{stem}_*.py"))


def test_every_stem_has_a_test_of_its_name_or_says_what_covers_it() -> None:
    assert sorted(stem for stem in stems() if not has_a_test(stem) and stem not in COVERED_BY) == []


@pytest.mark.parametrize("stem", COVERED_BY)
def test_what_says_so_needs_to_and_is_covered_by_a_test_that_is_there(stem: str) -> None:
    assert stem in stems()
    assert not has_a_test(stem)
    assert (ROOT / "tests" / COVERED_BY[stem]).is_file()
