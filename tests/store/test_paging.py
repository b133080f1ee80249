"""Cursors: signed, and worth nothing for another list, tenant or secret."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incident_manager.errors import ValidationFailed
from incident_manager.store.paging import Position, seal, unseal
from incident_manager.vault import Vault

VAULT = Vault("a secret of thirty-two bytes or more")
ONE, OTHER = UUID(int=1), UUID(int=2)
HERE = Position("2026-03-01T12:00:00+00:00", "x")


@given(value=st.text(), identifier=st.text(), listing=st.text())
def test_what_is_sealed_is_found_again(value: str, identifier: str, listing: str) -> None:
    position = Position(value, identifier)
    assert unseal(VAULT, ONE, listing, seal(VAULT, ONE, listing, position)) == position


@given(st.integers(0, 79), st.characters(codec="ascii"))
def test_a_cursor_with_another_character_is_none(place: int, character: str) -> None:
    cursor = seal(VAULT, ONE, "list", HERE)
    forged = cursor[:place] + character + cursor[place + 1 :]
    if forged != cursor:
        with pytest.raises(ValidationFailed):
            unseal(VAULT, ONE, "list", forged)


@pytest.mark.parametrize(
    ("vault", "tenant", "listing"),
    [
        (VAULT, OTHER, "list"),
        (VAULT, ONE, "another"),
        (VAULT, ONE, ""),
        (Vault("another secret of thirty-two bytes"), ONE, "list"),
    ],
)
def test_a_cursor_is_worth_nothing_elsewhere(vault: Vault, tenant: UUID, listing: str) -> None:
    with pytest.raises(ValidationFailed):
        unseal(vault, tenant, listing, seal(VAULT, ONE, "list", HERE))


@given(st.text(max_size=60))
def test_any_text_is_refused_and_never_a_defect(text: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        unseal(VAULT, ONE, "list", text)
    assert [error.field for error in caught.value.errors] == ["cursor"]
