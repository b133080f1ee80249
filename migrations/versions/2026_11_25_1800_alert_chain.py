"""An incident's alerts are found by a chain, each naming the one before it: an index by incident cost the intake half its time.

Ids that come in at random places of an index write its pages over and over; the chain is written with rows that are written
anyway. Neither column refers by a foreign key: alerts are pruned, and a chain ends where a row is gone.
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_25_1800"
down_revision = "2026_11_25_1700"
branch_labels = None
depends_on = None

LINK_ALERTS = """
    UPDATE alerts SET previous_id = linked.previous_id FROM (
        SELECT tenant_id, id, lag(id) OVER (PARTITION BY tenant_id, incident_id ORDER BY id) AS previous_id
        FROM alerts WHERE incident_id IS NOT NULL
    ) AS linked
    WHERE alerts.tenant_id = linked.tenant_id AND alerts.id = linked.id AND linked.previous_id IS NOT NULL
"""
NAME_NEWEST = """
    UPDATE incidents SET last_alert_id = (
        SELECT id FROM alerts WHERE alerts.tenant_id = incidents.tenant_id AND alerts.incident_id = incidents.id
        ORDER BY id DESC LIMIT 1
    )
"""


def upgrade() -> None:
    op.add_column("alerts", sa.Column("previous_id", sa.Uuid(), nullable=True))
    op.add_column("incidents", sa.Column("last_alert_id", sa.Uuid(), nullable=True))
    op.execute(LINK_ALERTS)
    op.execute(NAME_NEWEST)
    op.drop_index("ix_alerts_incident", "alerts")


def downgrade() -> None:
    op.create_index("ix_alerts_incident", "alerts", ["tenant_id", "incident_id", "id"])
    op.drop_column("incidents", "last_alert_id")
    op.drop_column("alerts", "previous_id")
