"""Indexes by which lists are filtered: by source and type in the order of time, by labels, assignees and services at all.

The last three are lists: PostgreSQL keeps them in one GIN index, SQLite as words of a second table of FTS5, a word each, written
as hexadecimal digits so that no tokenizer parts it. Both collect what is new and sort it in later, so that opening an incident
pays for one more page, not for one a value.
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_25_1700"
down_revision = "2026_11_25_1300"
branch_labels = None
depends_on = None

POSTGRESQL = """
CREATE INDEX ix_incidents_search_tags ON incidents
    USING gin (labels jsonb_path_ops, assignees jsonb_path_ops, affected_resources jsonb_path_ops)
"""


def tags(row: str) -> str:
    """Return what a row is found by: `l` and a label's key and value, `a` and an assignee, `s` and a service."""
    return f"""(
        SELECT coalesce(group_concat(tag, ' '), '') FROM (
            SELECT 'l' || hex(key) || 'x' || hex(value) AS tag FROM json_each({row}.labels)
            UNION ALL SELECT 'a' || hex(value) FROM json_each({row}.assignees)
            UNION ALL SELECT 's' || hex(value) FROM json_each({row}.affected_resources)
            UNION ALL SELECT 's' || hex({row}.service) WHERE {row}.service IS NOT NULL
        )
    )"""  # noqa: S608 - constants


TAGGED = ("labels", "assignees", "affected_resources", "service")
INSERT = """
    CREATE TRIGGER incident_search_insert AFTER INSERT ON incidents BEGIN
        INSERT INTO incident_search_ids (tenant_id, incident_id) VALUES (new.tenant_id, new.id);
        INSERT INTO incident_search (rowid, title, description) VALUES (last_insert_rowid(), new.title, new.description);
        {more}
    END
"""
DELETE = """
    CREATE TRIGGER incident_search_delete AFTER DELETE ON incidents BEGIN
        INSERT INTO incident_search (incident_search, rowid, title, description)
            SELECT 'delete', id, old.title, old.description FROM incident_search_ids
            WHERE tenant_id = old.tenant_id AND incident_id = old.id;
        {more}
        DELETE FROM incident_search_ids WHERE tenant_id = old.tenant_id AND incident_id = old.id;
    END
"""
ADD_TAGS = f"""
        INSERT INTO incident_search_tags (rowid, tags) SELECT id, {tags("new")} FROM incident_search_ids
            WHERE tenant_id = new.tenant_id AND incident_id = new.id;
"""  # noqa: S608 - constants
DROP_TAGS = f"""
        INSERT INTO incident_search_tags (incident_search_tags, rowid, tags)
            SELECT 'delete', id, {tags("old")} FROM incident_search_ids
            WHERE tenant_id = old.tenant_id AND incident_id = old.id;
"""  # noqa: S608 - constants
SQLITE = (
    """
    CREATE VIRTUAL TABLE incident_search_tags USING fts5(
        tags, content='', detail=none, columnsize=0, tokenize="unicode61 remove_diacritics 0"
    )
    """,
    INSERT.format(more=ADD_TAGS),
    DELETE.format(more=DROP_TAGS),
    f"""
    CREATE TRIGGER incident_search_tagged AFTER UPDATE OF {", ".join(TAGGED)} ON incidents
    WHEN {" OR ".join(f"old.{name} IS NOT new.{name}" for name in TAGGED)} BEGIN {DROP_TAGS} {ADD_TAGS} END
    """,
    f"""
    INSERT INTO incident_search_tags (rowid, tags)
        SELECT ids.id, {tags("incidents")} FROM incidents
        JOIN incident_search_ids AS ids ON ids.tenant_id = incidents.tenant_id AND ids.incident_id = incidents.id
    """,  # noqa: S608 - constants
)


# What SQLite's planner reads of an index: its rows, then how many of them share the first column, the first two ... It learns
# that by ANALYZE, which nobody runs; without it, it takes two columns of any index for a row or ten, be they half of all.
# https://sqlite.org/fileformat2.html#stat1tab allows to write it: here is a million of incidents, few of them active.
STATISTICS = {
    "ix_incidents_active": "1000 1000 2 1 1",
    "ix_incidents_created": "1000000 1000000 2 1",
    "ix_incidents_updated": "1000000 1000000 2 1",
    "ix_incidents_severity": "1000000 1000000 200000 1",
    "ix_incidents_source": "1000000 1000000 100000 2 1",
    "ix_incidents_type": "1000000 1000000 125000 2 1",
    "ix_incidents_service": "1000000 1000000 5000 2 1",
    "ix_incidents_open_fingerprint": "1000 1000 2",
    "sqlite_autoindex_incidents_1": "1000000 1000000 1",
    "sqlite_autoindex_incidents_2": "1000000 1000000 1",
}


def upgrade() -> None:
    op.create_index("ix_incidents_source", "incidents", ["tenant_id", "source", "created_at", "id"])
    op.create_index("ix_incidents_type", "incidents", ["tenant_id", "incident_type", "created_at", "id"])
    op.create_index("ix_incidents_service", "incidents", ["tenant_id", "service", "created_at", "id"])
    if not on_sqlite():
        op.execute(POSTGRESQL)
        return
    drop_triggers("insert", "delete")
    for statement in SQLITE:
        op.execute(sa.text(statement.replace(":", "\\:")))
    op.execute("ANALYZE tenants")  # makes the table of statistics
    op.execute("DELETE FROM sqlite_stat1 WHERE tbl = 'incidents'")
    for index, numbers in STATISTICS.items():
        op.execute(f"INSERT INTO sqlite_stat1 VALUES ('incidents', '{index}', '{numbers}')")  # noqa: S608 - constants


def downgrade() -> None:
    if on_sqlite():
        drop_triggers("insert", "delete", "tagged")
        op.execute("DROP TABLE incident_search_tags")
        op.execute("DELETE FROM sqlite_stat1 WHERE tbl = 'incidents'")
        op.execute(INSERT.format(more=""))
        op.execute(DELETE.format(more=""))
    else:
        op.drop_index("ix_incidents_search_tags", "incidents")
    for name in ("service", "type", "source"):
        op.drop_index(f"ix_incidents_{name}", "incidents")


def drop_triggers(*names: str) -> None:
    for name in names:
        op.execute(f"DROP TRIGGER incident_search_{name}")


def on_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"
