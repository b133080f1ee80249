"""The tables, one file a noun; importing this package fills `Base.metadata`.

Imports `rules` for its closed sets and `db` for the tenant's mark. A new table is a new file here, an import below, and a
migration made by `alembic revision --autogenerate`.
"""

from incident_manager.models import access, alerts, audit, idempotency, incidents, integrations, search
from incident_manager.models.base import Base

__all__ = ["Base", "access", "alerts", "audit", "idempotency", "incidents", "integrations", "search"]
