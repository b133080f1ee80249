"""How urgent something is: P0 (most urgent) to P4, its order, and what the words of other tools mean on it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Severity(StrEnum):
    """P0 is the most urgent."""

    P0 = "P0"
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"
    P4 = "P4"


DEFAULT_SEVERITY: Final = Severity.P3

# The five steps that most tools share, then the words they use for them. Sources: Alertmanager's examples (critical,
# warning, info, page; `none` of kube-prometheus's Watchdog), PagerDuty's Events API v2 (critical, error, warning, info), syslog
# (RFC 5424, 6.2.1, where alert is above critical), Zabbix (disaster, average), Nagios (ok), Azure Monitor (Sev0 Critical,
# Sev1 Error, Sev2 Warning, Sev3 Informational, Sev4 Verbose: the step, not the word, for Sev3 is not yet the least), VMware
# Aria (immediate, between warning and critical), Datadog and Opsgenie (P5, the least; their P1 to P4 are read as ours).
FOREIGN_WORDS: Final[Mapping[str, Severity]] = {
    word: severity
    for severity, words in {
        Severity.P0: "critical crit emergency emerg alert fatal disaster page panic p0 sev0 blocker",
        Severity.P1: "high error err major severe immediate p1 sev1",
        Severity.P2: "medium moderate warning warn average p2 sev2",
        Severity.P3: "low minor notice p3 sev3",
        Severity.P4: "info information informational verbose none ok debug trivial p4 p5 sev4",
    }.items()
    for word in words.split()
}


def more_urgent(one: Severity, other: Severity) -> Severity:
    """Return the more urgent of the two."""
    return min(one, other)


def from_foreign(word: str | None, overrides: Mapping[str, Severity]) -> Severity:
    """Read another tool's severity word; case and surrounding space do not count.

    `overrides` (an integration's `severity_map`, its keys in any case) comes first; a word that neither knows, and no
    word at all, is P3: a misread word must neither wake anybody nor vanish.
    """
    if word is None:
        return DEFAULT_SEVERITY
    plain = word.strip().casefold()
    for key, severity in overrides.items():
        if key.strip().casefold() == plain:
            return severity
    return FOREIGN_WORDS.get(plain, DEFAULT_SEVERITY)
