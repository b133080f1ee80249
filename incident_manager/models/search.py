"""The full-text index over incidents: what each database calls it, and how it is asked. A migration makes it.

No class here: PostgreSQL keeps an index on an expression, SQLite a table of FTS5 that triggers fill
(migrations/versions/2026_11_25_1300_lifecycle.py), and neither can be said in terms of the other.
"""

from typing import Final

import sqlalchemy as sa

from incident_manager.models.base import Base

PREFIX: Final = "incident_search"
POSTGRESQL_INDEX: Final = "ix_incidents_search"
POSTGRESQL_TAGS_INDEX: Final = "ix_incidents_search_tags"
_PUNCTUATION: Final = """!"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~"""

# the expression of POSTGRESQL_INDEX, as it is written there: another one would not find it
_DOCUMENT: Final = f"translate(title || ' ' || description, '{_PUNCTUATION}', '{' ' * 32}')"
ON_POSTGRESQL: Final = sa.text(
    f"(to_tsvector('simple', {_DOCUMENT}) @@ to_tsquery('simple', :search))".replace(":;", "\\:;")
)

# on SQLite FTS5 finds rows of IDS; each question has a name of its own for what it asks
IDS_ON_SQLITE: Final = sa.table(f"{PREFIX}_ids", *map(sa.column, ("id", "tenant_id", "incident_id")))
NOTHING: Final = sa.literal_column("''", sa.String)
_WORDS_ON_SQLITE: Final = f"SELECT rowid FROM {PREFIX} WHERE {PREFIX} MATCH :words"  # noqa: S608 - constants
_TAGS_ON_SQLITE: Final = f"SELECT rowid FROM {PREFIX}_tags WHERE {PREFIX}_tags MATCH :tags"  # noqa: S608 - constants


def hits_on_sqlite(words: str, tags: str) -> sa.TextualSelect:
    """Return the selection of those rows of FTS5 that match both questions, as far as they are not empty."""
    given = {name: asked for name, asked in (("words", words), ("tags", tags)) if asked}
    text = {"words": _WORDS_ON_SQLITE, "tags": _TAGS_ON_SQLITE}
    asked = sa.text(" INTERSECT ".join(text[name] for name in given))
    return asked.bindparams(**given).columns(sa.column("rowid", sa.Integer))


Base.metadata.info["unmapped"] = {
    "sqlite": [PREFIX, *(f"{PREFIX}_{name}" for name in ("ids", "tags", "insert", "update", "tagged", "delete"))],
    "postgresql": [POSTGRESQL_INDEX, POSTGRESQL_TAGS_INDEX],
}
