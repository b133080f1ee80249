"""Rows past the ORM: what the statements of intake write is what the ORM would, what they read is what was written."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Mapped

from incident_manager.db import Database, Session
from incident_manager.direct import Statement, Steps
from incident_manager.ids import new_id
from incident_manager.models import Base
from incident_manager.models.access import ApiKey, Tenant
from incident_manager.models.alerts import Alert, DedupKey
from incident_manager.models.idempotency import IdempotencyKey
from incident_manager.models.incidents import Incident, TimelineEntry
from incident_manager.models.integrations import Integration
from incident_manager.rules.access import Role
from incident_manager.rules.lifecycle import IncidentState
from incident_manager.schemas.base import Link
from incident_manager.store import intake as store
from incident_manager.store import rows as structs
from incident_manager.store.intake import AlertName, Changes, Credential, FoundClaim, IntakeStatements
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
from tests.flows.tables import rows

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WHOLE: dict[type[msgspec.Struct], type[Base]] = {  # of what is inserted
    AlertRow: Alert,
    NewIncident: Incident,
    EntryRow: TimelineEntry,
    KeyRow: DedupKey,
    ClaimRow: IdempotencyKey,
}
PARTS: dict[type[msgspec.Struct], type[Base]] = {
    HeldIncident: Incident,
    CountedIncident: Incident,
    ReceivedRow: Integration,
}
MODELS = WHOLE | PARTS


@pytest.mark.parametrize("struct", MODELS)
def test_a_field_is_a_column_of_the_same_type(struct: type[msgspec.Struct]) -> None:
    columns, fields = get_type_hints(MODELS[struct]), get_type_hints(struct)
    for name in struct.__struct_fields__:
        filled_in = struct is ReceivedRow and columns[name] == Mapped[fields[name] | None]
        assert columns[name] == Mapped[fields[name]] or filled_in, name


@pytest.mark.parametrize("struct", WHOLE)
def test_no_column_that_a_new_row_needs_is_missing(struct: type[msgspec.Struct]) -> None:
    needed = {column.name for column in WHOLE[struct].__table__.c if not column.nullable}
    assert needed - set(struct.__struct_fields__) == set()


def test_every_row_is_checked_here() -> None:
    found = {one for one in vars(structs).values() if isinstance(one, type) and one.__module__ == structs.__name__}
    assert found == MODELS.keys()


# --- made up rows --------------------------------------------------------------------------------------------------------

ODD = st.sampled_from("aé😀\u2028\u2029\ufeff\\\"'$.%_{}[]\x01\x1f\x7f\n\t") | st.characters(
    exclude_categories=["Cs"], exclude_characters="\0"
)
TEXTS = st.text(ODD, max_size=8)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone is beside it
MADE: Mapping[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    int: st.integers(0, 2**31 - 1),
    bool: st.booleans(),
    datetime: TIMES | TIMES.map(lambda moment: moment.replace(microsecond=0)),
    dict[str, str]: st.dictionaries(TEXTS, TEXTS, max_size=3),
    list[str]: st.lists(TEXTS, max_size=3),
    list[Any]: st.lists(TEXTS | st.builds(Link, href=TEXTS, text=TEXTS | st.none()), max_size=3),
    dict[str, Any]: st.dictionaries(TEXTS, TEXTS | st.none() | st.integers(-(2**53), 2**53) | TIMES, max_size=3),
}


def values(struct: type[msgspec.Struct]) -> st.SearchStrategy[dict[str, Any]]:
    """Make up what a row holds, but for ids, which must lead somewhere."""
    hints = get_type_hints(struct)
    return st.fixed_dictionaries({name: of(hints[name]) for name in struct.__struct_fields__})


def of(kind: Any) -> st.SearchStrategy[Any]:
    if isinstance(kind, UnionType) or get_origin(kind) is UnionType:
        return st.none() | of(next(one for one in get_args(kind) if one is not NoneType))
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return st.sampled_from(list(kind))
    return st.just(None) if kind is UUID else MADE[kind]


class Made(NamedTuple):
    """One row of each table that belong together."""

    incident: NewIncident
    key: KeyRow
    alert: AlertRow
    entry: EntryRow
    claim: ClaimRow


INTEGRATION = UUID(int=8)
COUNT = itertools.count(1)  # of the examples: what must be unique in a tenant holds it


def made_of(tenant_id: UUID, given: Mapping[type, dict[str, Any]]) -> Made:
    number, incident_id, alert_id = next(COUNT), new_id(), new_id()

    def row(struct: type[Any], **fields: Any) -> Any:
        return struct(**given[struct] | {"tenant_id": tenant_id} | fields)

    one = f"{number} {given[KeyRow]['fingerprint']}"
    claimed_at = given[ClaimRow]["created_at"]
    return Made(
        row(NewIncident, id=incident_id, number=number, fingerprint=one, recurrence_of_id=incident_id),
        row(KeyRow, fingerprint=one, incident_id=incident_id),
        row(AlertRow, id=alert_id, incident_id=incident_id),
        row(EntryRow, incident_id=incident_id),
        row(ClaimRow, key=one, alert_id=alert_id, expires_at=claimed_at + timedelta(hours=1)),
    )


ROWS = st.fixed_dictionaries({struct: values(struct) for struct in WHOLE})
searched = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


# --- the database --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def tenants(database: Database) -> list[UUID]:
    made = [Tenant(id=new_id(), name=name, created_at=NOW, secret_fingerprint="f") for name in "ab"]
    await add(database, None, *made)
    return [tenant.id for tenant in made]


async def add(database: Database, tenant_id: UUID | None, *objects: Base) -> None:
    async def write(session: Session) -> None:
        for made in objects:
            session.add(made)
            await session.flush()  # in this order: each may name the one before

    await database.transaction(write, tenant_id=tenant_id)


async def answer(database: Database, make: Callable[[IntakeStatements], Statement | list[Statement]]) -> str:
    """Run what is made of the statements for this database, and return the last one's answer."""

    def steps() -> Steps[str]:
        found, made = None, make(IntakeStatements(on_sqlite=database.is_sqlite))
        for statement in made if isinstance(made, list) else [made]:
            found = yield statement
        return str(found)

    return await database.run(steps)


async def write(database: Database, made: Made) -> None:
    changes = Changes(opened=[made.incident], keys=[made.key], alerts=[made.alert], entries=[made.entry])
    await answer(database, lambda sql: [*sql.claim([made.claim]), *sql.write(changes)])


def by_orm(tenant_id: UUID, made: Made) -> Iterator[Base]:
    for row in made:
        yield WHOLE[type(row)](**msgspec.structs.asdict(row) | {"tenant_id": tenant_id})


async def stored(database: Database, tenant_id: UUID) -> dict[str, list[Any]]:
    """Return what the tables hold of a tenant as it lies there: the kind and the text of each value."""
    shown = "typeof({0}) || quote({0})" if database.is_sqlite else "CAST({0} AS text)"
    name = tenant_id.hex if database.is_sqlite else tenant_id
    found = {}
    for table in [model.__table__ for model in (*WHOLE.values(), Integration)]:
        columns = ", ".join(shown.format(column.name) for column in table.c if column.name != "tenant_id")
        query = f"SELECT {columns} FROM {table.name} WHERE tenant_id = '{name}'"
        found[table.name] = sorted(map(tuple, await rows(database, query)), key=str)
    return found


@searched
@given(ROWS)
async def test_what_the_statements_write_lies_in_the_tables_as_the_orm_s(
    database: Database, tenants: list[UUID], given: dict[type, dict[str, Any]]
) -> None:
    made = made_of(tenants[0], given)
    await write(database, made)
    await add(database, tenants[1], *by_orm(tenants[1], made))
    ours, orms = [await stored(database, tenant_id) for tenant_id in tenants]
    assert ours == orms
    assert [len(ours[model.__tablename__]) > 0 for model in WHOLE.values()] == [True] * 5


@searched
@given(ROWS)
async def test_what_the_statements_read_is_what_was_written(
    database: Database, tenants: list[UUID], given: dict[type, dict[str, Any]]
) -> None:
    made = made_of(tenants[0], given)
    await write(database, made)
    held, claim, alert = part(HeldIncident, made.incident), made.claim, made.alert
    locked = store.LOCKED.decode(await answer(database, lambda sql: sql.lock([made.key], [])))
    assert (locked.keys, locked.incidents) == ([made.key], [held])
    incidents = store.INCIDENTS.decode(await answer(database, lambda sql: sql.lock_incidents(locked.keys)))
    assert incidents == [held]
    claims = store.CLAIMS.decode(await answer(database, lambda sql: sql.claim([claim])))
    assert claims == [part(FoundClaim, claim)]
    named = [AlertName(tenant_id=tenants[0], alert_id=alert.id)]
    [told] = store.ANSWERED.decode(await answer(database, lambda sql: sql.list_answered(named)))
    assert (told.id, told.outcome, told.reason, told.occurrence) == (
        alert.id,
        alert.outcome,
        alert.reason,
        alert.occurrence,
    )
    assert (told.incident_id, told.number) == (made.incident.id, made.incident.number)


@searched
@given(ROWS, values(HeldIncident), values(KeyRow))
async def test_what_is_changed_is_read_as_it_was_changed(
    database: Database,
    tenants: list[UUID],
    given: dict[type, dict[str, Any]],
    changed: dict[str, Any],
    known: dict[str, Any],
) -> None:
    made = made_of(tenants[0], given)
    await write(database, made)
    named = {name: getattr(made.incident, name) for name in ("tenant_id", "id", "number", "fingerprint")}
    held = HeldIncident(**changed | named)
    key = KeyRow(**known | {name: getattr(made.key, name) for name in ("tenant_id", "fingerprint", "incident_id")})
    changes = Changes(changed=[held], keys=[key])
    await answer(database, lambda sql: sql.write(changes))
    locked = store.LOCKED.decode(await answer(database, lambda sql: sql.lock([made.key], [])))
    assert (locked.keys, locked.incidents) == ([key], [held])


def part(kind: type[Any], whole: msgspec.Struct) -> Any:
    return kind(**{name: getattr(whole, name) for name in kind.__struct_fields__})


# --- tenants, claims, credentials ------------------------------------------------------------------------------------------


def plain(tenant_id: UUID, **incident: Any) -> Made:
    """Return rows that are alike for all tenants, ids too, but for what is given."""
    made: dict[type, dict[str, Any]] = {}
    empty: dict[Any, Any] = {str: "x", int: 1, bool: True, datetime: NOW}
    for struct in WHOLE:
        kinds = get_type_hints(struct)
        made[struct] = {name: _plain(kinds[name], empty) for name in struct.__struct_fields__}
    made[NewIncident] |= {"state": IncidentState.DETECTED, "merged_into_id": None, "recurrence_of_id": None} | incident
    made[AlertRow]["integration_id"] = None
    return Made(
        *(
            struct(**made[struct] | {"tenant_id": tenant_id})
            for struct in (NewIncident, KeyRow, AlertRow, EntryRow, ClaimRow)
        )
    )


def _plain(kind: Any, known: dict[Any, Any]) -> Any:
    kind = next((one for one in get_args(kind) if one is not NoneType), kind) if isinstance(kind, UnionType) else kind
    if kind is UUID:
        return UUID(int=7)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return next(iter(kind))
    return known[kind] if kind in known else get_origin(kind)()


@pytest.fixture
async def alike(database: Database, tenants: list[UUID]) -> Made:
    """The first of two tenants' rows; the other's have the same ids and fingerprints."""
    for tenant_id in tenants:
        made = plain(tenant_id)
        await write(database, made)
        await add(database, tenant_id, integration(tenant_id, id=INTEGRATION))
    return plain(tenants[0])


def integration(tenant_id: UUID, **fields: Any) -> Integration:
    given = {"id": new_id(), "name": new_id().hex, "monitor": "generic", "key_digest": new_id().hex, "version": 1}
    times = {"created_at": NOW, "updated_at": NOW}
    return Integration(**{"tenant_id": tenant_id, "severity_map": {}, "labels": {}, **given, **times, **fields})


async def test_nothing_is_read_of_another_tenant_whose_keys_and_ids_are_alike(database: Database, alike: Made) -> None:
    held = part(HeldIncident, alike.incident)
    locked = store.LOCKED.decode(await answer(database, lambda sql: sql.lock([alike.key], [])))
    seen: list[Any] = [*locked.keys, *locked.incidents]
    seen += store.INCIDENTS.decode(await answer(database, lambda sql: sql.lock_incidents(locked.keys)))
    seen += store.INCIDENTS.decode(await answer(database, lambda sql: sql.lock_open([alike.key])))
    seen += store.FIRING.decode(await answer(database, lambda sql: sql.list_firing([held])))
    seen += store.CLAIMS.decode(await answer(database, lambda sql: sql.claim([alike.claim])))
    assert [one.tenant_id for one in seen] == [alike.key.tenant_id] * 6
    named = [AlertName(tenant_id=alike.key.tenant_id, alert_id=alike.alert.id)]
    assert len(store.ANSWERED.decode(await answer(database, lambda sql: sql.list_answered(named)))) == 1


async def test_nothing_is_changed_of_another_tenant_whose_keys_and_ids_are_alike(
    database: Database, tenants: list[UUID], alike: Made
) -> None:
    before = [await stored(database, tenant_id) for tenant_id in tenants]
    ended = plain(tenants[0], state=IncidentState.RESOLVED, version=2).incident
    counted = msgspec.structs.replace(part(CountedIncident, ended), occurrences=9)
    received = ReceivedRow(tenant_id=tenants[0], id=INTEGRATION, alerts_received=3, last_seen_at=NOW)
    claim = msgspec.structs.replace(alike.claim, body_digest="another")
    changes = Changes(
        changed=[part(HeldIncident, ended)],
        keys=[msgspec.structs.replace(alike.key, occurrences=9)],
        claims=[claim],
        received=[received],
    )
    await answer(database, lambda sql: sql.write(changes))
    await answer(database, lambda sql: sql.write(Changes(counted=[counted])))
    await answer(database, lambda sql: sql.follow([part(HeldIncident, ended)]))
    after = [await stored(database, tenant_id) for tenant_id in tenants]
    changed = {name for name in after[0] if after[0][name] != before[0][name]}
    assert (after[1], changed) == (before[1], {"incidents", "dedup_keys", "idempotency_keys", "integrations"})


@pytest.mark.parametrize(("after", "owner"), [(timedelta(minutes=59), "first"), (timedelta(hours=1), "second")])
async def test_a_claim_is_its_first_owner_s_until_it_expires(
    database: Database, tenants: list[UUID], after: timedelta, owner: str
) -> None:
    first = ClaimRow(
        tenant_id=tenants[0],
        scope="s",
        key="k",
        body_digest="first",
        alert_id=new_id(),
        created_at=NOW,
        expires_at=NOW + timedelta(hours=1),
    )
    later = {"created_at": NOW + after, "expires_at": NOW + after + timedelta(hours=1)}
    second = msgspec.structs.replace(first, body_digest="second", alert_id=new_id(), **later)
    found = [
        store.CLAIMS.decode(await answer(database, lambda sql, row=row: sql.claim([row]))) for row in (first, second)
    ]
    expected = {"first": first, "second": second}[owner]
    assert found == [[part(FoundClaim, first)], [part(FoundClaim, expected)]]


async def test_credentials_are_answered_where_they_are_valid(database: Database, tenants: list[UUID]) -> None:
    mine, others = tenants
    keys = [api_key(mine), api_key(mine, revoked_at=NOW), api_key(others)]
    integrations = [integration(mine), integration(mine, deleted_at=NOW), integration(others)]
    await add(database, mine, *keys[:2], *integrations[:2])
    await add(database, others, keys[2], integrations[2])
    valid = [
        Credential(mine, keys[0].id, 1),
        Credential(others, keys[2].id, 1),
        Credential(mine, integrations[0].id, 1),
    ]
    wrong = [Credential(mine, one.id, 1) for one in (*keys[1:], *integrations[1:])]
    wrong += [Credential(mine, keys[0].id, 2), Credential(mine, keys[0].id, 0), Credential(mine, new_id(), 1)]
    asked = [*wrong, *valid]
    locked = store.LOCKED.decode(await answer(database, lambda sql: sql.lock([], asked)))
    assert set(asked) & set(locked.credentials) == set(valid)


def api_key(tenant_id: UUID, **fields: Any) -> ApiKey:
    made = {"id": new_id(), "name": new_id().hex, "role": Role.INGEST, "digest": "d", "version": 1, "created_at": NOW}
    return ApiKey(tenant_id=tenant_id, **made, **fields)


async def test_nothing_to_do_is_no_statement_on_either_database() -> None:
    assert [IntakeStatements(on_sqlite=kind).write(Changes()) for kind in (True, False)] == [[], []]
