"""Claims on effects: who comes second waits for the first and finds its answer."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import case

from incident_manager.db import Session
from incident_manager.models.idempotency import IdempotencyKey
from incident_manager.store.upsert import insert_for


async def claim(session: Session, rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], IdempotencyKey]:
    """Insert the claims that are new, lock those that exist, and return all by scope and key.

    A row that exists is returned as its first owner wrote it, or, where it has expired, as ours: the caller tells by
    comparing `alert_id` or `answer` with what it gave. The rows go in sorted order, so that two claimants wait for each
    other in the same order; a claimant whose transaction fails leaves nothing behind.
    """
    insertion = insert_for(session, IdempotencyKey)
    new = insertion.excluded
    expired = IdempotencyKey.expires_at <= new.created_at
    columns = ("body_digest", "alert_id", "answer", "created_at", "expires_at")
    renewed = {name: case((expired, new[name]), else_=getattr(IdempotencyKey, name)) for name in columns}
    statement = insertion.on_conflict_do_update(index_elements=["tenant_id", "scope", "key"], set_=renewed).returning(
        IdempotencyKey
    )
    ordered = sorted(rows, key=lambda row: (row["scope"], row["key"]))
    claims = await session.scalars(statement, ordered, execution_options={"populate_existing": True})
    return {(found.scope, found.key): found for found in claims}
