"""The transaction of a batch, as a generator of statements: claims, locks, decisions, and all that is written, in this order.

Two statements on PostgreSQL for any number of alerts that open incidents or attach, on SQLite one more for each table; one
more where there are claims, and more for resolves (tests/flows counts them).
"""

from collections.abc import Collection, Generator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import cast
from uuid import UUID

import msgspec

from incident_manager.direct import Statement, Steps
from incident_manager.errors import AuthenticationFailed, ValidationFailed
from incident_manager.flows.idempotency import Claim
from incident_manager.flows.intake.decisions import Batch
from incident_manager.flows.intake.line import Parcel, Refused
from incident_manager.flows.intake.results import Result, result
from incident_manager.flows.intake.submissions import Submission
from incident_manager.rules.dedup import Decision
from incident_manager.store import intake as store
from incident_manager.store.intake import AlertName, Credential, FoundClaim, IntakeStatements
from incident_manager.store.numbers import NumberPromise
from incident_manager.store.rows import ClaimRow, ReceivedRow

_Name = tuple[UUID, str, str]  # of a claim: tenant, scope, key


class Transaction:
    """One batch on its way into the database; `steps` may run again after a deadlock, from the beginning."""

    def __init__(
        self,
        statements: IntakeStatements,
        parcels: Sequence[Parcel],
        numbers: Mapping[UUID, NumberPromise],
        ttl: timedelta,
    ) -> None:
        self._sql = statements
        self._parcels = parcels
        self._numbers = numbers
        self._ttl = ttl
        self._submissions = [submission for parcel in parcels for submission in parcel.submissions]

    def steps(self) -> Steps[dict[UUID, Result]]:
        """Take everything in, and return what each alert's sender is told, by the alert's id.

        Raises Refused for parcels whose sender may not post any more, or whose Idempotency-Key came before with another body.
        """
        for promise in self._numbers.values():
            promise.rewind()
        first_of, claims = yield from self._claim()
        fresh = [one for one in self._submissions if first_of.get(one.row.id, one.row.id) == one.row.id]
        batch = Batch(fresh, self._numbers)
        yield from self._lock(batch)
        results = {}
        for submission in fresh:
            decision, incident, occurrence = batch.decide(submission)
            alert_id = submission.row.id
            name, number = (incident.id, incident.number) if incident else (None, None)
            results[alert_id] = result(alert_id, decision, name, number, occurrence)
        yield from self._write(batch, claims)
        repeated = set(first_of.values()) - results.keys()
        if repeated:
            results |= yield from self._answered(repeated)
        return results | {repeat: results[first] for repeat, first in first_of.items()}

    def _claim(self) -> Generator[Statement, str | None, tuple[dict[UUID, UUID], list[ClaimRow]]]:
        """Return which earlier alert's answer an alert gets, where it is not its own, and what that changes of new claims."""
        rows: dict[_Name, ClaimRow] = {}
        for submission in reversed(self._submissions):  # so that of equals within the batch the first one stands
            rows |= {_name(submission, claim): _row(submission, claim, self._ttl) for claim in submission.claims}
        if not rows:
            return {}, []
        answer = None
        for statement in self._sql.claim(list(rows.values())):
            answer = yield statement
        held = {(one.tenant_id, one.scope, one.key): one for one in store.CLAIMS.decode(cast(str, answer))}
        self._check_bodies(held)
        owners = {name: one.alert_id for name, one in held.items()}
        first_of: dict[UUID, UUID] = {}
        for submission in self._submissions:
            names, alert_id = [_name(submission, claim) for claim in submission.claims], submission.row.id
            first = next((owner for name in names if (owner := owners[name]) not in {None, alert_id}), None)
            if first is not None:
                first_of[alert_id] = first = first_of.get(first, first)
                owners |= {name: first for name in names if owners[name] == alert_id}
        moved = [name for name, owner in owners.items() if owner != held[name].alert_id]
        return first_of, [msgspec.structs.replace(rows[name], alert_id=owners[name]) for name in moved]

    def _check_bodies(self, held: Mapping[_Name, FoundClaim]) -> None:
        """Refuse parcels that come under a key which another body came under before."""
        error = ValidationFailed.of("Idempotency-Key", "was used before with another body")
        wrong = {
            parcel: error
            for parcel in self._parcels
            for submission in parcel.submissions
            for claim in submission.claims
            if held[_name(submission, claim)].body_digest != claim.body_digest
        }
        if wrong:
            raise Refused(dict(wrong))

    def _lock(self, batch: Batch) -> Generator[Statement, str | None, None]:
        """Lock what the batch is decided on, and see that who sent it still may."""
        wanted = {parcel.credential for parcel in self._parcels if parcel.credential is not None}
        rows = batch.first_rows
        if not rows and not wanted:
            return
        locked = store.LOCKED.decode(cast(str, (yield self._sql.lock(rows, list(wanted)))))
        self._check_credentials(wanted - set(locked.credentials))
        if missing := batch.know(locked):  # opened by somebody for whose key this transaction waited
            batch.hold(store.INCIDENTS.decode(cast(str, (yield self._sql.lock_incidents(missing)))))
        if not batch.resolves:
            return
        batch.hold(store.INCIDENTS.decode(cast(str, (yield self._sql.lock_open(batch.rows)))))
        if several := batch.several:  # after they are locked: so of two resolves at once the later one sees both
            batch.learn(store.FIRING.decode(cast(str, (yield self._sql.list_firing(several)))))

    def _check_credentials(self, gone: AbstractSet[Credential]) -> None:
        if gone:
            error = AuthenticationFailed("the key is not valid")
            raise Refused({parcel: error for parcel in self._parcels if parcel.credential in gone})

    def _write(self, batch: Batch, claims: list[ClaimRow]) -> Generator[Statement, str | None, None]:
        changes = batch.changes()
        changes.claims = claims
        changes.received = self._received()
        yield from self._sql.write(changes)
        if batch.ended:
            yield self._sql.follow(batch.ended)

    def _received(self) -> list[ReceivedRow]:
        """Return what each integration brought; in order, for two batches may bring something of the same ones."""
        counted: dict[UUID, ReceivedRow] = {}
        for parcel in self._parcels:
            if (name := parcel.integration_id) is not None:
                before = counted[name].alerts_received if name in counted else 0
                counted[name] = ReceivedRow(
                    tenant_id=parcel.tenant_id,
                    id=name,
                    alerts_received=before + len(parcel.submissions),
                    last_seen_at=parcel.received_at,
                )
        return [counted[name] for name in sorted(counted)]

    def _answered(self, alert_ids: Collection[UUID]) -> Generator[Statement, str | None, dict[UUID, Result]]:
        """Tell again what was answered before, from the alerts' own rows."""
        tenants = {one.row.tenant_id for one in self._submissions}
        wanted = [AlertName(tenant_id=tenant, alert_id=alert_id) for tenant in tenants for alert_id in alert_ids]
        found = store.ANSWERED.decode(cast(str, (yield self._sql.list_answered(wanted))))
        return {
            one.id: result(one.id, Decision(one.outcome, one.reason), one.incident_id, one.number, one.occurrence)
            for one in found
        }


def _name(submission: Submission, claim: Claim) -> _Name:
    return submission.row.tenant_id, claim.scope, claim.key


def _row(submission: Submission, claim: Claim, ttl: timedelta) -> ClaimRow:
    now = submission.row.received_at
    return ClaimRow(
        tenant_id=submission.row.tenant_id,
        scope=claim.scope,
        key=claim.key,
        body_digest=claim.body_digest,
        alert_id=submission.row.id,
        created_at=now,
        expires_at=now + ttl,
    )
