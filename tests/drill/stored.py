"""A look into a database, from outside of the program: what was acknowledged, and what is there, are of one piece."""

from collections.abc import Iterator, Mapping
from typing import Any

from incident_manager.models import Base
from incident_manager.rules.lifecycle import ENDED
from tests.cli.database import rows
from tests.drill.invariants import Invariant, none_of

ENDED_STATES = ", ".join(f"'{state.value}'" for state in ENDED)
COUNTED = """
    WITH RECURSIVE counted AS (
        SELECT tenant_id, incident_id, count(*) AS alerts, sum(CASE outcome WHEN 'opened' THEN 1 ELSE 0 END) AS opened
        FROM alerts GROUP BY tenant_id, incident_id
    )"""
# What must not be there, by the name of what must hold.
BROKEN = {
    "every alert has its incident and what was decided": """
        SELECT a.id FROM alerts a LEFT JOIN incidents i ON i.tenant_id = a.tenant_id AND i.id = a.incident_id
        WHERE i.id IS NULL OR a.outcome NOT IN ('opened', 'attached')""",
    "occurrences are the alerts counted, and one of them opened it": f"""
        {COUNTED} SELECT i.number, i.occurrences, n.alerts, n.opened FROM incidents i LEFT JOIN counted n
        ON n.tenant_id = i.tenant_id AND n.incident_id = i.id
        WHERE n.alerts IS NULL OR n.alerts <> i.occurrences OR n.opened <> 1""",
    "a chain holds exactly the incident's alerts": f"""
        {COUNTED}, chain(tenant_id, incident_id, id, place) AS (
            SELECT tenant_id, id, last_alert_id, 1 FROM incidents WHERE last_alert_id IS NOT NULL
            UNION ALL
            SELECT c.tenant_id, c.incident_id, a.previous_id, c.place + 1 FROM chain c
            JOIN alerts a ON a.tenant_id = c.tenant_id AND a.id = c.id
            WHERE a.previous_id IS NOT NULL AND c.place <= (SELECT count(*) FROM alerts)
        )
        SELECT i.number, count(a.id), n.alerts FROM incidents i
        JOIN counted n ON n.tenant_id = i.tenant_id AND n.incident_id = i.id
        LEFT JOIN chain c ON c.tenant_id = i.tenant_id AND c.incident_id = i.id
        LEFT JOIN alerts a ON a.tenant_id = c.tenant_id AND a.id = c.id AND a.incident_id = i.id
        GROUP BY i.tenant_id, i.id, i.number, n.alerts
        HAVING count(a.id) <> count(c.id) OR count(a.id) <> count(DISTINCT a.id) OR count(a.id) <> n.alerts""",
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
