import pytest

from incident_manager.rules.severity import Severity, from_foreign, more_urgent


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("critical", "P0"),
        ("PAGE", "P0"),
        (" Error ", "P1"),
        ("warning", "P2"),
        ("notice", "P3"),
        ("info", "P4"),
        ("p1", "P1"),
        ("P5", "P4"),
        ("emerg", "P0"),
        ("Alert", "P0"),
        ("Disaster", "P0"),
        ("immediate", "P1"),
        ("Average", "P2"),
        ("Low", "P3"),
        ("none", "P4"),
        ("OK", "P4"),
        ("Sev0", "P0"),
        ("Sev1", "P1"),
        ("Sev2", "P2"),
        ("Sev3", "P3"),
        ("Sev4", "P4"),
        ("Verbose", "P4"),
        ("whatever", "P3"),
        ("", "P3"),
        (None, "P3"),
    ],
)
def test_words_of_other_tools_find_their_place(word: str | None, severity: str) -> None:
    assert from_foreign(word, {}) == severity


def test_an_integrations_own_map_comes_first_in_any_case() -> None:
    assert from_foreign("Critical", {"CRITICAL": Severity.P2}) is Severity.P2


def test_the_more_urgent_of_two_is_the_one_nearer_to_p0() -> None:
    assert more_urgent(Severity.P3, Severity.P1) is more_urgent(Severity.P1, Severity.P3) is Severity.P1


def test_the_words_of_syslog_are_in_syslogs_order() -> None:
    words = ("emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug")
    severities = [from_foreign(word, {}) for word in words]
    assert severities == sorted(severities)
