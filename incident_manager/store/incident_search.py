"""Words, labels, assignees and services of incidents, looked up in the engine's own inverted index; both give the same answer.

A word is letters and digits; it matches words that begin with it, in any case. Punctuation parts words and is not looked for:
`db-1.example.com` finds what holds `db`, `1`, `example` and `com`, wherever they stand. The others must be there exactly.

No database knows how many there are of a word before it has looked, so a list asks in two ways: `gathered` finds all that match
first, whatever their order, which pays for few; `met` looks at what is met along an order, which pays for many.
"""

import re
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import JSONB

from incident_manager.db import Session
from incident_manager.models import search
from incident_manager.models.incidents import Incident
from incident_manager.rules.lifecycle import ENDED
from incident_manager.schemas.incidents import IncidentFilter

Conditions = list[sa.ColumnElement[bool] | sa.TextClause]

_WORD: Final = re.compile(r"[^\W_]+")


def searches(wanted: IncidentFilter) -> bool:
    """Say whether a filter asks for anything that stands in an inverted index."""
    return bool(wanted.words or wanted.labels or wanted.assignees or wanted.services)


def wants_active(wanted: IncidentFilter) -> bool:
    """Say whether only active incidents are asked for, by that word or by their states."""
    return wanted.active_only or (bool(wanted.states) and ENDED.isdisjoint(wanted.states))


def _known(wanted: IncidentFilter) -> Conditions | None:
    """Return what holds without looking: nothing is asked, or words of which none is a word; None where one must look."""
    if not searches(wanted):
        return []
    return [sa.false()] if wanted.words and not _words(wanted) else None


def gathered(session: Session, wanted: IncidentFilter) -> Conditions:
    """Return the conditions by which the inverted index is asked first, for all that match.

    On SQLite they join what is found, so that a limit ends the finding; but active ones are few, and each is looked up in it.
    """
    if (found := _known(wanted)) is not None:
        return found
    if not session.on_sqlite:
        return list(_on_postgresql(wanted))
    if wants_active(wanted):
        return met(session, wanted)
    hit, ids = _on_sqlite(wanted).subquery("hit"), search.IDS_ON_SQLITE
    # No index is taken for what is put together: it is left to begin with what is found and end with the incidents.
    return [
        ids.c.id == hit.c.rowid,
        ids.c.tenant_id.concat(search.NOTHING) == Incident.tenant_id,
        ids.c.incident_id.concat(search.NOTHING) == Incident.id,
    ]


def met(session: Session, wanted: IncidentFilter) -> Conditions:
    """Return the same conditions so that no index is taken for them: the order of the list is free to choose one."""
    if (found := _known(wanted)) is not None:
        return found
    if not session.on_sqlite:
        return [condition.is_(True) for condition in _on_postgresql(wanted)]
    ids = search.IDS_ON_SQLITE
    this_one = (ids.c.tenant_id == Incident.tenant_id, ids.c.incident_id == Incident.id)
    return [select(sa.literal(1)).where(*this_one, ids.c.id.in_(_on_sqlite(wanted))).exists()]


def _on_sqlite(wanted: IncidentFilter) -> sa.TextualSelect:
    """Return the selection of those rows of FTS5 that match; every word and every tag is a string of its query language."""
    words = " ".join(f'"{word}"*' for word in _words(wanted))
    tags = " AND ".join(f"({' OR '.join(group)})" for group in _tags(wanted))
    return search.hits_on_sqlite(words, tags)


def _tags(wanted: IncidentFilter) -> list[list[str]]:
    """Return the tags that are asked for, of each group any, as the migration writes them."""
    groups = [[f"l{_hex(key)}x{_hex(value)}" for value in values] for key, values in _by_key(wanted).items()]
    groups.append([f"a{_hex(name)}" for name in wanted.assignees])
    groups.append([f"s{_hex(name)}" for name in wanted.services])
    return [[f'"{tag}"' for tag in group] for group in groups if group]


def _on_postgresql(wanted: IncidentFilter) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if wanted.words:
        asked = " & ".join(map(_in_any_case, _words(wanted)))
        found.append(sa.type_coerce(search.ON_POSTGRESQL.bindparams(search=asked), sa.Boolean))
    for key, values in _by_key(wanted).items():
        found.append(sa.or_(*(_holds(Incident.labels, {key: value}) for value in values)))
    if wanted.assignees:
        found.append(sa.or_(*(_holds(Incident.assignees, [name]) for name in wanted.assignees)))
    if wanted.services:
        affected = (_holds(Incident.affected_resources, [name]) for name in wanted.services)
        found.append(sa.or_(Incident.service.in_(wanted.services), *affected))
    return found


def _holds(column: Any, part: dict[str, str] | list[str]) -> sa.ColumnElement[bool]:
    return sa.type_coerce(column, JSONB).contains(part)


def _by_key(wanted: IncidentFilter) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in wanted.labels:
        found.setdefault(key, []).append(value)
    return found


def _words(wanted: IncidentFilter) -> list[str]:
    return _WORD.findall(" ".join(wanted.words))


def _hex(text: str) -> str:
    return text.encode().hex()


def _in_any_case(word: str) -> str:
    """Return a word of a tsquery. A database whose locale is C folds ASCII letters only, so others are asked for as written."""
    spellings = {word, word.lower(), word.upper(), word.capitalize()} if not word.isascii() else {word}
    asked = sorted(f"'{one}':*" for one in spellings if len(one) == len(word))  # upper-case ß has two letters
    return f"({' | '.join(asked)})"
