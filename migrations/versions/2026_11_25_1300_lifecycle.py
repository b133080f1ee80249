"""Related incidents, merge and split; a covering index of active incidents; the full-text index over title and description.

The last is the engine's own, and each engine keeps it by itself: PostgreSQL an index on an expression, SQLite a table of FTS5
(https://sqlite.org/fts5.html, without content of its own) that triggers fill. Punctuation is turned into spaces first, because
PostgreSQL's parser takes `db-1.example.com` for one word. SQLite's rows need a number that VACUUM does not change: it comes
from incident_search_ids. A migration that rebuilds `incidents` on SQLite takes the triggers away and must make them again;
`db check` tells.
"""

import sqlalchemy as sa
from alembic import op

from incident_manager.models.types import json_column

revision = "2026_11_25_1300"
down_revision = "2026_11_24_0900"
branch_labels = None
depends_on = None

PUNCTUATION = """!"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~"""

POSTGRESQL = f"""
CREATE INDEX ix_incidents_search ON incidents USING gin (
    to_tsvector('simple', translate(title || ' ' || description, '{PUNCTUATION}', '{" " * 32}'))
)
"""

SQLITE = (
    """
    CREATE TABLE incident_search_ids (
        id INTEGER PRIMARY KEY, tenant_id CHAR(32) NOT NULL, incident_id CHAR(32) NOT NULL, UNIQUE (tenant_id, incident_id)
    )
    """,
    """
    CREATE VIRTUAL TABLE incident_search USING fts5(
        title, description, content='', detail=none, columnsize=0, tokenize="unicode61 remove_diacritics 0"
    )
    """,
    """
    CREATE TRIGGER incident_search_insert AFTER INSERT ON incidents BEGIN
        INSERT INTO incident_search_ids (tenant_id, incident_id) VALUES (new.tenant_id, new.id);
        INSERT INTO incident_search (rowid, title, description) VALUES (last_insert_rowid(), new.title, new.description);
    END
    """,
    """
    CREATE TRIGGER incident_search_update AFTER UPDATE OF title, description ON incidents BEGIN
        INSERT INTO incident_search (incident_search, rowid, title, description)
            SELECT 'delete', id, old.title, old.description FROM incident_search_ids
            WHERE tenant_id = old.tenant_id AND incident_id = old.id;
        INSERT INTO incident_search (rowid, title, description)
            SELECT id, new.title, new.description FROM incident_search_ids
            WHERE tenant_id = new.tenant_id AND incident_id = new.id;
    END
    """,
    """
    CREATE TRIGGER incident_search_delete AFTER DELETE ON incidents BEGIN
        INSERT INTO incident_search (incident_search, rowid, title, description)
            SELECT 'delete', id, old.title, old.description FROM incident_search_ids
            WHERE tenant_id = old.tenant_id AND incident_id = old.id;
        DELETE FROM incident_search_ids WHERE tenant_id = old.tenant_id AND incident_id = old.id;
    END
    """,
    "INSERT INTO incident_search_ids (tenant_id, incident_id) SELECT tenant_id, id FROM incidents",
    """
    INSERT INTO incident_search (rowid, title, description)
        SELECT ids.id, title, description FROM incidents
        JOIN incident_search_ids AS ids ON ids.tenant_id = incidents.tenant_id AND ids.incident_id = incidents.id
    """,
)


def upgrade() -> None:
    # with defaults, so that a server of the version before can go on writing
    op.add_column("incidents", sa.Column("related_incidents", json_column(), nullable=False, server_default="[]"))
    op.add_column("incidents", sa.Column("holds_several", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("alerts", sa.Column("answered_incident_id", sa.Uuid(), nullable=True))
    op.add_column("dedup_keys", sa.Column("firing", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute("UPDATE dedup_keys SET firing = open")
    index_active("tenant_id", "created_at", "id", "state")
    for statement in SQLITE if on_sqlite() else (POSTGRESQL,):
        op.execute(sa.text(statement.replace(":", "\\:")))


def downgrade() -> None:
    if on_sqlite():
        for trigger in ("insert", "update", "delete"):
            op.execute(f"DROP TRIGGER incident_search_{trigger}")
        op.execute("DROP TABLE incident_search")
        op.execute("DROP TABLE incident_search_ids")
    else:
        op.drop_index("ix_incidents_search", "incidents")
    index_active("tenant_id", "created_at", "id")
    op.drop_column("dedup_keys", "firing")
    op.drop_column("alerts", "answered_incident_id")
    op.drop_column("incidents", "holds_several")
    op.drop_column("incidents", "related_incidents")


def index_active(*columns: str) -> None:
    active = sa.text("state NOT IN ('Resolved', 'Closed')")
    op.drop_index("ix_incidents_active", "incidents")
    op.create_index("ix_incidents_active", "incidents", columns, sqlite_where=active, postgresql_where=active)


def on_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"
