"""What intake asks and writes in its transaction: a constant number of prebuilt statements, whatever the size of the batch.

Locks are taken in one order everywhere, so that transactions wait and do not deadlock: claims, deduplication keys (each in
sorted order), incidents by id, and last the rows that everybody shares. On SQLite there is one writer, who holds it all.

A row's tenant is one of its columns: these statements serve all tenants whose alerts share a transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import msgspec

from incident_manager.direct import Statement
from incident_manager.models.access import ApiKey
from incident_manager.models.alerts import Alert, DedupKey
from incident_manager.models.idempotency import IdempotencyKey
from incident_manager.models.incidents import IS_ACTIVE, Incident, TimelineEntry
from incident_manager.models.integrations import Integration
from incident_manager.rules.dedup import Reason, Verdict
from incident_manager.store.bulk import Bulk
from incident_manager.store.rows import (
    AlertRow,
    ClaimRow,
    CountedIncident,
    EntryRow,
    HeldIncident,
    KeyRow,
    NewIncident,
    ReceivedRow,
)

_KEY: Final = ("tenant_id", "fingerprint")
_CLAIM: Final = ("tenant_id", "scope", "key")
_HELD: Final = HeldIncident.__struct_fields__
_KEYS: Final = KeyRow.__struct_fields__


class Credential(msgspec.Struct, frozen=True):
    """A key or an integration as it was when a request was let in: by its version shows whether it still is."""

    tenant_id: UUID
    id: UUID
    version: int


class Locked(msgspec.Struct, frozen=True):
    """What is known of the fingerprints of a batch, and which of its senders' credentials are valid.

    `incidents` are those that the keys name, but for one that was opened only just now, while its key was waited for.
    """

    keys: list[KeyRow]
    incidents: list[HeldIncident]
    credentials: list[Credential]


class FoundClaim(msgspec.Struct, frozen=True):
    """A claim as it stands: ours, or an earlier one's."""

    tenant_id: UUID
    scope: str
    key: str
    body_digest: str
    alert_id: UUID | None


class FiringKey(msgspec.Struct, frozen=True):
    """A fingerprint that fires, and the incident that its key names."""

    tenant_id: UUID
    fingerprint: str
    incident_id: UUID | None


class AlertName(msgspec.Struct, frozen=True):
    """Which alert; its row may be pruned by now."""

    tenant_id: UUID
    alert_id: UUID


class AnsweredAlert(msgspec.Struct, frozen=True):
    """What the sender of a stored alert was told."""

    id: UUID
    outcome: Verdict
    reason: Reason
    occurrence: int
    incident_id: UUID | None
    number: int | None


LOCKED: Final = msgspec.json.Decoder(Locked)
INCIDENTS: Final = msgspec.json.Decoder(list[HeldIncident])
CLAIMS: Final = msgspec.json.Decoder(list[FoundClaim])
FIRING: Final = msgspec.json.Decoder(list[FiringKey])
ANSWERED: Final = msgspec.json.Decoder(list[AnsweredAlert])


@dataclass(slots=True)
class Changes:
    """What a batch writes."""

    opened: list[NewIncident] = field(default_factory=list)
    changed: list[HeldIncident] = field(default_factory=list)
    counted: list[CountedIncident] = field(default_factory=list)
    keys: list[KeyRow] = field(default_factory=list)
    alerts: list[AlertRow] = field(default_factory=list)
    entries: list[EntryRow] = field(default_factory=list)
    claims: list[ClaimRow] = field(default_factory=list)
    received: list[ReceivedRow] = field(default_factory=list)


class IntakeStatements:
    """The statements for one of the databases."""

    def __init__(self, *, on_sqlite: bool) -> None:
        self._bulk: Final = Bulk(on_sqlite=on_sqlite)
        self.on_sqlite: Final = on_sqlite
        self._claim: Final = self._claim_texts()
        self._lock: Final = self._lock_on_sqlite() if on_sqlite else self._lock_on_postgresql()
        self._lock_incidents: Final = self._lock_incidents_text()
        self._lock_open: Final = self._lock_open_text()
        self._firing: Final = self._firing_text()
        self._answered: Final = self._answered_text()
        self._follow: Final = self._follow_text()
        self._writes: Final[dict[tuple[str, ...], str]] = {}

    def claim(self, rows: Sequence[ClaimRow]) -> list[Statement]:
        """Insert the claims that are new, lock those that exist; the last statement answers all as they stand.

        One that exists is as its first owner wrote it, or, where it has expired, ours. A claimant whose transaction fails
        leaves nothing behind.
        """
        given = self._bulk.encode(rows)
        return [Statement("intake.claim", text, (given,)) for text in self._claim]

    def lock(self, keys: Sequence[KeyRow], credentials: Sequence[Credential]) -> Statement:
        """Lock keys, and the incidents that they name; answers `Locked`.

        A key that is new is written as it is given on PostgreSQL, where a row must be there to be locked, and is answered
        like any other; on SQLite, whose one writer holds everything, it is not there yet.
        """
        return Statement("intake.lock", self._lock, (self._bulk.encode(keys), self._bulk.encode(credentials)))

    def lock_incidents(self, keys: Sequence[KeyRow]) -> Statement:
        """Lock the incidents that keys name; answers `HeldIncident`s. For those that were not there yet for `lock`."""
        return Statement("intake.lock_incidents", self._lock_incidents, (self._bulk.encode(keys),))

    def lock_open(self, keys: Sequence[KeyRow]) -> Statement:
        """Lock the active incidents of keys' fingerprints and those that they name; answers `HeldIncident`s, by id."""
        return Statement("intake.lock_open", self._lock_open, (self._bulk.encode(keys),))

    def list_firing(self, incidents: Sequence[HeldIncident]) -> Statement:
        """Read which keys fire of these incidents: of their fingerprints, and those that name one; answers `FiringKey`s."""
        return Statement("intake.list_firing", self._firing, (self._bulk.encode(incidents),))

    def list_answered(self, alerts: Sequence[AlertName]) -> Statement:
        """Read what the senders of alerts were told; answers `AnsweredAlert`s."""
        return Statement("intake.list_answered", self._answered, (self._bulk.encode(alerts),))

    def follow(self, ended: Sequence[HeldIncident]) -> Statement:
        """Let the keys that name an incident that has ended name the newest open one of their fingerprint, if there is one."""
        return Statement("intake.follow", self._follow, (self._bulk.encode(ended),))

    def write(self, changes: Changes) -> list[Statement]:
        """Write a batch: one statement on PostgreSQL, whose parts see each other's references; on SQLite one a table."""
        parts: list[tuple[str, Sequence[object]]] = [
            (name, rows) for name in Changes.__slots__ if (rows := getattr(changes, name))
        ]
        if self.on_sqlite:
            return [
                Statement(f"intake.{name}", self._part(name, 1), (self._bulk.encode(rows),)) for name, rows in parts
            ]
        names = tuple(name for name, _ in parts)
        if names not in self._writes:
            listed = (f"{name} AS ({self._part(name, place)})" for place, name in enumerate(names, 1))
            self._writes[names] = f"WITH {', '.join(listed)} SELECT NULL"
        given = tuple(self._bulk.encode(rows) for _, rows in parts)
        return [Statement("intake.write", self._writes[names], given)] if parts else []

    def _part(self, name: str, place: int) -> str:
        bulk = self._bulk
        match name:
            case "opened":
                return bulk.insert(Incident, NewIncident.__struct_fields__, place)
            case "changed":
                return bulk.update(Incident, _HELD, place)
            case "counted":
                return bulk.update(Incident, CountedIncident.__struct_fields__, place)
            case "keys":
                return bulk.replace(DedupKey, _KEYS, _KEY, place)
            case "alerts":
                return bulk.insert(Alert, AlertRow.__struct_fields__, place)
            case "entries":
                return bulk.insert(TimelineEntry, EntryRow.__struct_fields__, place)
            case "claims":
                return bulk.replace(IdempotencyKey, ClaimRow.__struct_fields__, _CLAIM, place)
            case _:
                return self._received(place)

    def _received(self, place: int) -> str:
        given = self._bulk.given(Integration, ReceivedRow.__struct_fields__, place)
        return (
            "UPDATE integrations SET last_seen_at = g.last_seen_at,"
            f" alerts_received = integrations.alerts_received + g.alerts_received FROM {given}"
            " WHERE integrations.tenant_id = g.tenant_id AND integrations.id = g.id"
        )

    def _claim_texts(self) -> list[str]:
        expired = "idempotency_keys.expires_at <= excluded.created_at"
        columns = ("body_digest", "alert_id", "answer", "created_at", "expires_at")
        renewed = ", ".join(f"{name} = CASE WHEN {expired} THEN excluded.{name} ELSE c.{name} END" for name in columns)
        inserted = self._bulk.insert(
            IdempotencyKey, ClaimRow.__struct_fields__, order=", ".join(f"g.{name}" for name in _CLAIM)
        ).replace("INTO idempotency_keys", "INTO idempotency_keys AS c")
        claimed = (
            f"{inserted} ON CONFLICT ({', '.join(_CLAIM)}) DO UPDATE SET {renewed.replace('idempotency_keys.', 'c.')}"
        )
        answer = self._bulk.gathered(self._bulk.shown(IdempotencyKey, FoundClaim.__struct_fields__, "c"))
        if not self.on_sqlite:
            return [
                f"WITH c AS ({claimed} RETURNING {', '.join(f'c.{name}' for name in FoundClaim.__struct_fields__)})"
                f" SELECT {answer} FROM c"
            ]
        given = self._bulk.given(IdempotencyKey, _CLAIM)
        return [claimed, f"SELECT {answer} FROM {given} JOIN idempotency_keys c ON {_same(_CLAIM, 'c')}"]

    def _lock_on_postgresql(self) -> str:
        inserted = self._bulk.insert(DedupKey, _KEYS, order="g.tenant_id, g.fingerprint")
        return f"""
            WITH known AS (
                {inserted} ON CONFLICT (tenant_id, fingerprint) DO UPDATE SET open = dedup_keys.open
                RETURNING {", ".join(f"dedup_keys.{name}" for name in _KEYS)}
            ), held AS (
                SELECT {", ".join(f"i.{name}" for name in _HELD)} FROM incidents i
                WHERE (i.tenant_id, i.id) IN (SELECT tenant_id, incident_id FROM known) ORDER BY i.id FOR UPDATE OF i
            )
            SELECT json_build_object({self._locked_members("{}::json")})::text"""

    def _lock_on_sqlite(self) -> str:
        given = self._bulk.given(DedupKey, _KEY)
        return f"""
            WITH known AS MATERIALIZED (SELECT k.* FROM {given} JOIN dedup_keys k ON {_same(_KEY, "k")}),
            held AS (
                SELECT i.* FROM incidents i WHERE (i.tenant_id, i.id) IN (SELECT tenant_id, incident_id FROM known)
            )
            SELECT json_object({self._locked_members("json({})")})"""

    def _locked_members(self, made: str) -> str:
        """Return the members of `Locked`; `made` makes JSON of a sub-select's text."""
        members = {
            "keys": f"(SELECT {self._bulk.gathered(self._bulk.shown(DedupKey, _KEYS, 'known'))} FROM known)",
            "incidents": f"(SELECT {self._bulk.gathered(self._bulk.shown(Incident, _HELD, 'held'))} FROM held)",
            "credentials": f"({self._valid()})",
        }
        return ", ".join(f"'{name}', {made.format(value)}" for name, value in members.items())

    def _valid(self) -> str:
        """Return the reading of those of the given credentials that are valid, as they are now."""
        given = self._bulk.given(ApiKey, ("tenant_id", "id"), 2)
        pair = ("tenant_id", "id")
        shown = self._bulk.shown(ApiKey, ("tenant_id", "id", "version"), "c")
        valid = " UNION ALL ".join(
            f"SELECT c.tenant_id, c.id, c.version FROM {given} JOIN {table} c ON {_same(pair, 'c')} WHERE c.{gone} IS NULL"
            for table, gone in (("api_keys", "revoked_at"), ("integrations", "deleted_at"))
        )
        return f"SELECT {self._bulk.gathered(shown)} FROM ({valid}) AS c"

    def _lock_incidents_text(self) -> str:
        given = self._bulk.given(DedupKey, ("tenant_id", "incident_id"))
        wanted = f"(i.tenant_id, i.id) IN (SELECT g.tenant_id, g.incident_id FROM {given})"
        return self._locked(wanted)

    def _lock_open_text(self) -> str:
        given = self._bulk.given(DedupKey, ("tenant_id", "fingerprint", "incident_id"))
        wanted = f"""(i.tenant_id, i.id) IN (
            SELECT n.tenant_id, n.id FROM {given} JOIN incidents n ON {_same(_KEY, "n")} AND n.{IS_ACTIVE.text}
            UNION SELECT g.tenant_id, g.incident_id FROM {given} WHERE g.incident_id IS NOT NULL
        ) AND i.{IS_ACTIVE.text}"""
        return self._locked(wanted)

    def _locked(self, wanted: str) -> str:
        lock = "" if self.on_sqlite else " FOR UPDATE OF i"
        shown = self._bulk.gathered(self._bulk.shown(Incident, _HELD, "h"))
        columns = ", ".join(f"i.{name}" for name in _HELD)
        return f"""
            WITH h AS (SELECT {columns} FROM incidents i WHERE {wanted} ORDER BY i.id{lock})
            SELECT {shown} FROM h"""

    def _firing_text(self) -> str:
        given = self._bulk.given(Incident, ("tenant_id", "id", "fingerprint"))
        shown = self._bulk.gathered(self._bulk.shown(DedupKey, FiringKey.__struct_fields__, "k"))
        return f"""
            SELECT {shown} FROM dedup_keys k WHERE k.firing AND (k.tenant_id, k.fingerprint) IN (
                SELECT g.tenant_id, g.fingerprint FROM {given} UNION
                SELECT n.tenant_id, n.fingerprint FROM {given} JOIN dedup_keys n ON {_named("n", "g")}
            )"""

    def _answered_text(self) -> str:
        given = self._bulk.given(IdempotencyKey, ("tenant_id", "alert_id"))
        shown = self._bulk.shown(Alert, ("id", "outcome", "reason", "occurrence"), "a")
        more = self._bulk.shown(Incident, ("number",), "i").removesuffix(")").partition("(")[2]
        return f"""
            SELECT {self._bulk.gathered(f"{shown[:-1]}, 'incident_id', i.id, {more})")} FROM {given}
            JOIN alerts a ON a.tenant_id = g.tenant_id AND a.id = g.alert_id LEFT JOIN incidents i
            ON i.tenant_id = a.tenant_id AND i.id = coalesce(a.answered_incident_id, a.incident_id)"""

    def _follow_text(self) -> str:
        given = self._bulk.given(Incident, ("tenant_id", "id"))
        newest = f"""(SELECT max(CAST(n.id AS TEXT)) FROM incidents n WHERE n.tenant_id = dedup_keys.tenant_id
            AND n.fingerprint = dedup_keys.fingerprint AND n.{IS_ACTIVE.text})"""
        cast_id = newest if self.on_sqlite else f"{newest}::uuid"
        return f"""
            UPDATE dedup_keys SET incident_id = coalesce({cast_id}, dedup_keys.incident_id), open = {newest} IS NOT NULL
            FROM {given} WHERE dedup_keys.tenant_id = g.tenant_id AND dedup_keys.incident_id = g.id"""


def _same(names: Sequence[str], alias: str) -> str:
    """Return the condition that a row has a given row's key."""
    return " AND ".join(f"{alias}.{name} = g.{name}" for name in names)


def _named(key: str, incident: str) -> str:
    """Return the condition that a key names an incident."""
    return f"{incident}.tenant_id = {key}.tenant_id AND {incident}.id = {key}.incident_id"
