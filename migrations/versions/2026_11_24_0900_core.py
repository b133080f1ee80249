"""The core: tenants, keys, integrations, alerts, deduplication keys, incidents, timeline, audit, idempotency keys.

Revision: 2026_11_24_0900, the first.
"""

import sqlalchemy as sa
from alembic import op

from incident_manager.models.types import UtcDateTime, json_column

revision = "2026_11_24_0900"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("secret_fingerprint", sa.Text(), nullable=False),
        sa.Column("next_incident_number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
        sa.UniqueConstraint("name", name=op.f("uq_tenants_name")),
    )
    op.create_table(
        "api_keys",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "admin",
                "responder",
                "viewer",
                "ingest",
                name="role",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.Column("last_used_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_api_keys_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_api_keys")),
    )
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.create_index("ix_api_keys_id", ["id"], unique=True)
        batch_op.create_index(
            "uq_api_keys_name_valid",
            ["tenant_id", "name"],
            unique=True,
            sqlite_where=sa.text("revoked_at IS NULL"),
            postgresql_where=sa.text("revoked_at IS NULL"),
        )

    op.create_table(
        "audit",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column(
            "actor_kind",
            sa.Enum(
                "key",
                "integration",
                "command_line",
                "system",
                name="actor_kind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.Uuid(), nullable=True),
        sa.Column("before", json_column(), nullable=False),
        sa.Column("after", json_column(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_audit_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_audit")),
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index("ix_audit_resource", ["tenant_id", "resource_id", "id"], unique=False)

    op.create_table(
        "idempotency_keys",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("body_digest", sa.Text(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_idempotency_keys_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "scope", "key", name=op.f("pk_idempotency_keys")),
    )
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.create_index("ix_idempotency_keys_expires", ["expires_at"], unique=False)

    op.create_table(
        "incidents",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "Detected",
                "Triaged",
                "Investigating",
                "Remediating",
                "Resolved",
                "Closed",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "severity",
            sa.Enum(
                "P0", "P1", "P2", "P3", "P4", name="severity", native_enum=False, create_constraint=True, length=32
            ),
            nullable=False,
        ),
        sa.Column(
            "incident_type",
            sa.Enum(
                "Infrastructure",
                "Application",
                "Security",
                "Data",
                "Performance",
                "Availability",
                "Compliance",
                "Unknown",
                name="incident_type",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("affected_resources", json_column(), nullable=False),
        sa.Column("labels", json_column(), nullable=False),
        sa.Column("assignees", json_column(), nullable=False),
        sa.Column("links", json_column(), nullable=False),
        sa.Column("service", sa.Text(), nullable=True),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("occurrences", sa.Integer(), nullable=False),
        sa.Column("first_seen_at", UtcDateTime(), nullable=False),
        sa.Column("last_seen_at", UtcDateTime(), nullable=False),
        sa.Column("acknowledged_at", UtcDateTime(), nullable=True),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.Column("resolved_at", UtcDateTime(), nullable=True),
        sa.Column("resolved_by", sa.Text(), nullable=True),
        sa.Column(
            "resolution_method",
            sa.Enum(
                "Automated",
                "Manual",
                "AutoAssistedManual",
                name="resolution_method",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=True,
        ),
        sa.Column("root_cause", sa.Text(), nullable=True),
        sa.Column("resolution_notes", sa.Text(), nullable=True),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.Column("snoozed_until", UtcDateTime(), nullable=True),
        sa.Column("recurrence_of_id", sa.Uuid(), nullable=True),
        sa.Column("merged_into_id", sa.Uuid(), nullable=True),
        sa.Column("timeline_length", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "merged_into_id"],
            ["incidents.tenant_id", "incidents.id"],
            name=op.f("fk_incidents_tenant_id_merged_into_id_incidents"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "recurrence_of_id"],
            ["incidents.tenant_id", "incidents.id"],
            name=op.f("fk_incidents_tenant_id_recurrence_of_id_incidents"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_incidents_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_incidents")),
        sa.UniqueConstraint("tenant_id", "number", name=op.f("uq_incidents_tenant_id_number")),
        postgresql_with={"fillfactor": 80},
    )
    with op.batch_alter_table("incidents", schema=None) as batch_op:
        batch_op.create_index(
            "ix_incidents_active",
            ["tenant_id", "created_at", "id"],
            unique=False,
            sqlite_where=sa.text("state NOT IN ('Resolved', 'Closed')"),
            postgresql_where=sa.text("state NOT IN ('Resolved', 'Closed')"),
        )
        batch_op.create_index("ix_incidents_created", ["tenant_id", "created_at", "id"], unique=False)
        batch_op.create_index(
            "ix_incidents_open_fingerprint",
            ["tenant_id", "fingerprint"],
            unique=False,
            sqlite_where=sa.text("state NOT IN ('Resolved', 'Closed')"),
            postgresql_where=sa.text("state NOT IN ('Resolved', 'Closed')"),
        )
        batch_op.create_index("ix_incidents_severity", ["tenant_id", "severity", "id"], unique=False)
        batch_op.create_index("ix_incidents_updated", ["tenant_id", "updated_at", "id"], unique=False)

    op.create_table(
        "integrations",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("monitor", sa.Text(), nullable=False),
        sa.Column("key_digest", sa.Text(), nullable=False),
        sa.Column("severity_map", json_column(), nullable=False),
        sa.Column(
            "dedup_mode",
            sa.Enum("window", "while_open", name="dedup_mode", native_enum=False, create_constraint=True, length=32),
            nullable=True,
        ),
        sa.Column("window_seconds", sa.Integer(), nullable=True),
        sa.Column("labels", json_column(), nullable=False),
        sa.Column("signing_secret", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("deleted_at", UtcDateTime(), nullable=True),
        sa.Column("last_seen_at", UtcDateTime(), nullable=True),
        sa.Column("alerts_received", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_integrations_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_integrations")),
    )
    with op.batch_alter_table("integrations", schema=None) as batch_op:
        batch_op.create_index("ix_integrations_key_digest", ["key_digest"], unique=True)
        batch_op.create_index(
            "uq_integrations_name_living",
            ["tenant_id", "name"],
            unique=True,
            sqlite_where=sa.text("deleted_at IS NULL"),
            postgresql_where=sa.text("deleted_at IS NULL"),
        )

    op.create_table(
        "alerts",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column(
            "severity",
            sa.Enum(
                "P0", "P1", "P2", "P3", "P4", name="severity", native_enum=False, create_constraint=True, length=32
            ),
            nullable=False,
        ),
        sa.Column(
            "alert_type",
            sa.Enum(
                "Infrastructure",
                "Application",
                "Security",
                "Data",
                "Performance",
                "Availability",
                "Compliance",
                "Unknown",
                name="alert_type",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "status",
            sa.Enum(
                "firing",
                "acknowledged",
                "resolved",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("dedup_key", sa.Text(), nullable=True),
        sa.Column("labels", json_column(), nullable=False),
        sa.Column("annotations", json_column(), nullable=False),
        sa.Column("affected_services", json_column(), nullable=False),
        sa.Column("runbook_url", sa.Text(), nullable=True),
        sa.Column("links", json_column(), nullable=False),
        sa.Column("occurred_at", UtcDateTime(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=True),
        sa.Column("integration_id", sa.Uuid(), nullable=True),
        sa.Column(
            "outcome",
            sa.Enum(
                "opened",
                "attached",
                "resolved",
                "acknowledged",
                "suppressed",
                "no_effect",
                name="outcome",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "reason",
            sa.Enum(
                "first_seen",
                "dedup_disabled",
                "previous_ended",
                "window_expired",
                "within_window",
                "while_open",
                "source_resolved",
                "source_acknowledged",
                "nothing_open",
                "out_of_order",
                "others_firing",
                name="reason",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("occurrence", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "incident_id"],
            ["incidents.tenant_id", "incidents.id"],
            name=op.f("fk_alerts_tenant_id_incident_id_incidents"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "integration_id"],
            ["integrations.tenant_id", "integrations.id"],
            name=op.f("fk_alerts_tenant_id_integration_id_integrations"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_alerts_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_alerts")),
    )
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.create_index("ix_alerts_incident", ["tenant_id", "incident_id", "id"], unique=False)

    op.create_table(
        "dedup_keys",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=True),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("first_seen_at", UtcDateTime(), nullable=True),
        sa.Column("last_seen_at", UtcDateTime(), nullable=True),
        sa.Column("last_fired_at", UtcDateTime(), nullable=True),
        sa.Column("last_resolved_at", UtcDateTime(), nullable=True),
        sa.Column("occurrences", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "incident_id"],
            ["incidents.tenant_id", "incidents.id"],
            name=op.f("fk_dedup_keys_tenant_id_incident_id_incidents"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_dedup_keys_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "fingerprint", name=op.f("pk_dedup_keys")),
        postgresql_with={"fillfactor": 80},
    )
    with op.batch_alter_table("dedup_keys", schema=None) as batch_op:
        batch_op.create_index("ix_dedup_keys_incident", ["tenant_id", "incident_id"], unique=False)

    op.create_table(
        "timeline",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("data", json_column(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "incident_id"],
            ["incidents.tenant_id", "incidents.id"],
            name=op.f("fk_timeline_tenant_id_incident_id_incidents"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_timeline_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "incident_id", "seq", name=op.f("pk_timeline")),
    )


def downgrade() -> None:
    op.drop_table("timeline")
    with op.batch_alter_table("dedup_keys", schema=None) as batch_op:
        batch_op.drop_index("ix_dedup_keys_incident")

    op.drop_table("dedup_keys")
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.drop_index("ix_alerts_incident")

    op.drop_table("alerts")
    with op.batch_alter_table("integrations", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_integrations_name_living",
            sqlite_where=sa.text("deleted_at IS NULL"),
            postgresql_where=sa.text("deleted_at IS NULL"),
        )
        batch_op.drop_index("ix_integrations_key_digest")

    op.drop_table("integrations")
    with op.batch_alter_table("incidents", schema=None) as batch_op:
        batch_op.drop_index("ix_incidents_updated")
        batch_op.drop_index("ix_incidents_severity")
        batch_op.drop_index(
            "ix_incidents_open_fingerprint",
            sqlite_where=sa.text("state NOT IN ('Resolved', 'Closed')"),
            postgresql_where=sa.text("state NOT IN ('Resolved', 'Closed')"),
        )
        batch_op.drop_index("ix_incidents_created")
        batch_op.drop_index(
            "ix_incidents_active",
            sqlite_where=sa.text("state NOT IN ('Resolved', 'Closed')"),
            postgresql_where=sa.text("state NOT IN ('Resolved', 'Closed')"),
        )

    op.drop_table("incidents")
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.drop_index("ix_idempotency_keys_expires")

    op.drop_table("idempotency_keys")
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.drop_index("ix_audit_resource")

    op.drop_table("audit")
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_api_keys_name_valid",
            sqlite_where=sa.text("revoked_at IS NULL"),
            postgresql_where=sa.text("revoked_at IS NULL"),
        )
        batch_op.drop_index("ix_api_keys_id")

    op.drop_table("api_keys")
    op.drop_table("tenants")
