"""One effect and one answer for a write that is sent more than once under the same Idempotency-Key."""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

import msgspec

from incident_manager.errors import ValidationFailed
from incident_manager.flows.units import Unit
from incident_manager.store import idempotency as store

T = TypeVar("T", bound=msgspec.Struct)


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A right to the first answer: whoever makes the same claim within its time gets that answer again.

    `scope` is the route, or that of deliveries; `body_digest` differs where the same key comes with another body.
    """

    scope: str
    key: str
    body_digest: str


def claim_of(scope: str, key: str, body: bytes) -> Claim:
    """Return the claim that a request's Idempotency-Key makes."""
    return Claim(
        scope=scope,
        key=hashlib.sha256(key.encode()).hexdigest(),
        body_digest=hashlib.sha256(body).hexdigest(),
    )


def claim_row(unit: Unit, claim: Claim, ttl: timedelta, alert_id: UUID | None) -> dict[str, object]:
    """Return the row of a claim made now, for an alert where it is one."""
    return {
        "tenant_id": unit.tenant_id,
        **msgspec.structs.asdict(claim),
        "alert_id": alert_id,
        "answer": None,
        "created_at": unit.now,
        "expires_at": unit.now + ttl,
    }


async def once(
    unit: Unit, asked: Claim | None, ttl: timedelta, kind: type[T], work: Callable[[Unit], Awaitable[T]]
) -> T:
    """Do `work` and keep its answer, or return the answer that was kept; without a key just do it.

    Whoever comes second waits for the first to commit. An error is not kept: its transaction leaves nothing behind.
    Raises ValidationFailed where the key comes again with another body.
    """
    if asked is None:
        return await work(unit)
    held = (await store.claim(unit.session, [claim_row(unit, asked, ttl, None)]))[asked.scope, asked.key]
    if held.body_digest != asked.body_digest:
        raise ValidationFailed.of("Idempotency-Key", "was used before with another body")
    if held.answer is not None:
        return msgspec.json.decode(held.answer, type=kind)
    answer = await work(unit)
    held.answer = msgspec.json.encode(answer).decode()
    return answer
