"""The full-text index over incidents: what each database calls it, and how it is asked. A migration makes it.

No class here: PostgreSQL keeps an index on an expression, SQLite a table of FTS5 that triggers fill
(migrations/versions/2026_11_25_1300_lifecycle.py), and neither can be said in terms of the other.
"""

from typing import Final

import sqlalchemy as sa

from incident_manager.models.base import Base

PREFIX: Final = "incident_search"
POSTGRESQL_INDEX: Final = "ix_incidents_search"
_PUNCTUATION: Final = """!"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~"""

# the expression of POSTGRESQL_INDEX, as it is written there: another one would not find it
_DOCUMENT: Final = f"translate(title || ' ' || description, '{_PUNCTUATION}', '{' ' * 32}')"
ON_POSTGRESQL: Final = sa.text(
    f"to_tsvector('simple', {_DOCUMENT}) @@ to_tsquery('simple', :search)".replace(":;", "\\:;")
)
ON_SQLITE: Final = sa.text(
    f"(incidents.tenant_id, incidents.id) IN (SELECT tenant_id, incident_id FROM {PREFIX}_ids "  # noqa: S608 - constants
    f"WHERE id IN (SELECT rowid FROM {PREFIX} WHERE {PREFIX} MATCH :search))"
)

Base.metadata.info["unmapped"] = {
    "sqlite": [PREFIX, f"{PREFIX}_ids", *(f"{PREFIX}_{event}" for event in ("insert", "update", "delete"))],
    "postgresql": [POSTGRESQL_INDEX],
}
