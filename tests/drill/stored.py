"""A look into a database, from outside of the program: what was acknowledged, and what is there, are of one piece."""

from collections.abc import Iterator, Mapping
from typing import Any

from incident_manager.models import Base
from incident_manager.rules.lifecycle import ENDED
from tests.cli.database import rows
from tests.drill.invariants import Invariant, none_of

ENDED_STATES = ", ".join(f"'{state.value}'" for state in ENDED)
# What must not be there, by the name of what must hold.
BROKEN = {
    "every alert has its incident and what was decided": """
        SELECT a.id FROM alerts a LEFT JOIN incidents i ON i.tenant_id = a.tenant_id AND i.id = a.incident_id
        WHERE i.id IS NULL OR a.outcome NOT IN ('opened', 'attached')""",
    "occurrences are the alerts counted": """
        SELECT i.number, i.occurrences FROM incidents i WHERE i.occurrences <> (SELECT count(*) FROM alerts a
        WHERE a.tenant_id = i.tenant_id AND a.incident_id = i.id)""",
    "an incident was opened by one alert": """
        SELECT i.number FROM incidents i WHERE 1 <> (SELECT count(*) FROM alerts a
        WHERE a.tenant_id = i.tenant_id AND a.incident_id = i.id AND a.outcome = 'opened')""",
    "a problem inside its window is one open incident": f"""
        SELECT fingerprint, count(*) FROM incidents WHERE state NOT IN ({ENDED_STATES})
        GROUP BY tenant_id, fingerprint HAVING count(*) > 1""",
    "a key names the incident of its fingerprint": """
        SELECT k.fingerprint FROM dedup_keys k LEFT JOIN incidents i ON i.tenant_id = k.tenant_id AND i.id = k.incident_id
        AND i.fingerprint = k.fingerprint AND i.occurrences = k.occurrences WHERE i.id IS NULL""",
    "a number is one incident's": """
        SELECT number, count(*) FROM incidents GROUP BY tenant_id, number HAVING count(*) > 1""",
    "a timeline has no gap": """
        SELECT i.number FROM incidents i WHERE i.timeline_length < 1 OR i.timeline_length <> (SELECT coalesce(max(t.seq), 0)
        FROM timeline t WHERE t.tenant_id = i.tenant_id AND t.incident_id = i.id) OR i.timeline_length <> (SELECT count(*)
        FROM timeline t WHERE t.tenant_id = i.tenant_id AND t.incident_id = i.id)""",
}


def looked_at(drill: str, url: str, answered: Mapping[str, str]) -> list[Invariant]:
    """Return what holds of a database whose alerts were answered with these ids, by their Idempotency-Keys."""
    stored = {str(row[0]).replace("-", "") for row in rows(url, "SELECT id FROM alerts")}
    known = {text.replace("-", "") for text in answered.values()}
    doubled = [] if len(known) == len(answered) else [f"{len(answered) - len(known)} keys share an alert"]
    return [
        none_of(drill, "every alert that was acknowledged is there", sorted(known - stored), len(known)),
        none_of(drill, "no alert is there twice", [*sorted(stored - known), *doubled], len(stored)),
        *(none_of(drill, name, rows(url, statement), len(stored)) for name, statement in BROKEN.items()),
        none_of(drill, "every reference leads somewhere", [*dangling(url)], len(stored)),
        none_of(drill, "the database's own check finds nothing", [*unsound(url)], len(stored)),
    ]


def dangling(url: str) -> Iterator[str]:
    """Return the references between tables that lead nowhere."""
    for table in Base.metadata.sorted_tables:
        for constraint in table.foreign_key_constraints:
            target = constraint.referred_table.name
            pairs = [(key.parent.name, key.column.name) for key in constraint.elements]
            joined = " AND ".join(f"o.{there} = m.{here}" for here, there in pairs)
            given = " AND ".join(f"m.{here} IS NOT NULL" for here, _ in pairs)
            [(count,)] = rows(
                url,
                f"SELECT count(*) FROM {table.name} m WHERE {given} AND NOT EXISTS (SELECT 1 FROM {target} o WHERE {joined})",
            )
            if count:
                yield f"{count} of {table.name} to {target}"


def unsound(url: str) -> Iterator[Any]:
    """Return what the database says of itself: SQLite by its integrity check, PostgreSQL by amcheck where it has that."""
    if url.startswith("sqlite"):
        yield from (row for row in rows(url, "PRAGMA integrity_check") if row != ("ok",))
        yield from rows(url, "PRAGMA foreign_key_check")
    elif rows(url, "SELECT 1 FROM pg_available_extensions WHERE name = 'amcheck'"):
        rows(url, "CREATE EXTENSION IF NOT EXISTS amcheck")
        rows(url, AMCHECK)  # raises for what is not sound


AMCHECK = """
SELECT bt_index_check(index => c.oid, heapallindexed => true) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_am am ON am.oid = c.relam WHERE am.amname = 'btree' AND c.relnamespace = 'public'::regnamespace AND i.indisvalid"""
