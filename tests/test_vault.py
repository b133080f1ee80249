"""Digests, signatures and encryption under one secret; and that no key is kept in a form that can be used."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger

from incident_manager.rules.access import Role
from incident_manager.vault import Vault
from tests.flows.tables import rows
from tests.world import World

SECRET, OTHER = "the secret of these tests, which is long enough", "another secret of these tests, long enough too"
VAULT = Vault(SECRET)


def test_a_digest_is_the_keys_alone_and_the_secrets() -> None:
    assert VAULT.digest("key") == Vault(SECRET).digest("key")
    assert len({VAULT.digest("key"), VAULT.digest("Key"), VAULT.digest(""), Vault(OTHER).digest("key")}) == 4
    assert len(VAULT.digest("key")) == 64


def test_what_is_derived_stays_the_same_from_release_to_release() -> None:
    """Changed, every key in every database would be worthless, and every start refused."""
    assert VAULT.fingerprint == FINGERPRINT
    assert VAULT.digest("im_key") == DIGEST
    assert VAULT.sign(b"payload").hex() == SIGNATURE
    assert VAULT.decrypt(ENCRYPTED) == "signing secret"


def test_each_purpose_has_a_key_of_its_own() -> None:
    assert VAULT.sign(b"key").hex() != VAULT.digest("key")[:32]
    assert VAULT.fingerprint not in {VAULT.digest("")[:32], VAULT.digest(SECRET)[:32]}


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_encrypted_is_read_back_and_looks_different_each_time(text: str) -> None:
    first, second = VAULT.encrypt(text), VAULT.encrypt(text)
    assert VAULT.decrypt(first) == VAULT.decrypt(second) == text
    assert first != second


@pytest.mark.parametrize(
    "token",
    ["", "no token", "\xfc", Vault(OTHER).encrypt("x"), VAULT.encrypt("x")[:-2] + "A="],
    ids=["empty", "no token", "not ASCII", "another secret's", "changed"],
)
def test_what_was_not_encrypted_under_this_secret_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match=r"not encrypted under the present auth\.secret"):
        VAULT.decrypt(token)


def test_a_signature_is_the_payloads_and_the_secrets() -> None:
    assert len({VAULT.sign(b"a"), VAULT.sign(b"b"), Vault(OTHER).sign(b"a")}) == 3
    assert len(VAULT.sign(b"a")) == 16


def test_a_vault_does_not_show_what_it_holds() -> None:
    held = [repr(VAULT), str(VAULT), *(str(value) for name, value in vars(VAULT).items() if "key" not in name)]
    assert not [text for text in held if SECRET in text]
    assert SECRET not in [value for value in vars(VAULT).values() if isinstance(value, str)]


async def test_neither_the_database_nor_its_files_nor_the_log_hold_a_key_or_a_secret(
    world: World, tmp_path: Path
) -> None:
    written: list[str] = []
    sink = logger.add(written.append, level="TRACE", serialize=True)
    key = await world.key(Role.RESPONDER)
    signing = "a signing secret that monitors share"
    body = {"name": "gen", "monitor": "generic", "signing_secret": signing}
    made = await world.http.post("/v1/integrations", json=body, headers={"Idempotency-Key": "once"})
    other = await world.http.post("/v1/keys", json={"name": "k", "role": "viewer"}, headers={"Idempotency-Key": "two"})
    assert (made.status_code, other.status_code) == (201, 201)
    await world.http.post(f"/v1/integrations/generic/{made.json()['key']}", json=[{"title": "t"}])
    await world.as_key("im_" + key[3:]).get("/v1/incidents")
    logger.remove(sink)

    tokens = [key, world.admin_key, other.json()["key"]]
    secrets = [*tokens, *(token.split("_", 2)[2] for token in tokens), made.json()["key"], signing]
    secrets.append((world.parts.settings.data_dir / "secret.key").read_text().strip())
    places = {"log": "".join(written), "rows": await everything(world), "files": files(tmp_path)}
    assert [(name, secret) for name, text in places.items() for secret in secrets if secret in text] == []


async def everything(world: World) -> str:
    """Return every row of every table as text."""
    names = await rows(world.parts.database, TABLES_OF["sqlite" if world.parts.database.is_sqlite else "postgresql"])
    found: list[Any] = [await rows(world.parts.database, f"SELECT * FROM {name}") for (name,) in names]
    assert len(found) > 8
    return repr(found)


def files(folder: Path) -> str:
    """Return the SQLite file, its log and a backup of it, byte for byte; what a key file is for is left out."""
    if (path := folder / "incidents.db").exists():
        with sqlite3.connect(path) as source, sqlite3.connect(folder / "backup.db") as copy:
            source.backup(copy)
        source.close()
        copy.close()
    return "".join(path.read_bytes().decode("latin-1") for path in folder.glob("*.db*"))


TABLES_OF = {
    # a virtual table's own tables are among them
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'",
    "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
}
FINGERPRINT = "b18453af70b88ccaff958bd0bccff97d"
DIGEST = "386cc8a0b6913b561567a9c7686cdd0b0435dd21b21ca6054fe45b8988f89379"
SIGNATURE = "2045c45ab01682a0ace0cf273f710c08"
ENCRYPTED = "gAAAAABrBrD-CoMLoeXHAfNzaXwZGJ203MlKfpVvrq1a4VRIztY5NpK7qou9kZrUGlbmEP82ivPELOu9stfi0UsX2v_0-830rQ=="
