import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from incident_manager.rules.fingerprint import of_dedup_key, of_text
from incident_manager.rules.incident_type import IncidentType

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
KINDS = st.sampled_from(IncidentType)
FACTS = st.tuples(TEXT, KINDS, TEXT, st.lists(TEXT, max_size=4))


def _canonical(facts: tuple[str, IncidentType, str, list[str]]) -> object:
    source, kind, title, services = facts
    return _nfc(source), kind, _nfc(title), frozenset(map(_nfc, services))


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


@given(FACTS, FACTS)
def test_fingerprints_are_equal_exactly_where_their_facts_are(one: tuple, other: tuple) -> None:
    assert (of_text(*one) == of_text(*other)) == (_canonical(one) == _canonical(other))


@given(FACTS, st.randoms(use_true_random=False))
def test_order_and_repeats_of_services_do_not_count(facts: tuple, random: object) -> None:
    source, kind, title, services = facts
    shuffled = services + services[:1]
    random.shuffle(shuffled)
    assert of_text(source, kind, title, services) == of_text(source, kind, title, shuffled)


@given(TEXT)
def test_composed_and_decomposed_letters_are_one_text(title: str) -> None:
    composed, decomposed = (unicodedata.normalize(form, title) for form in ("NFC", "NFD"))
    assert of_dedup_key("s", composed) == of_dedup_key("s", decomposed)


@given(TEXT, TEXT, st.sampled_from([",", "|", "\x1f", ":", '"', "\\", '","']))
def test_a_separator_inside_a_text_never_makes_two_problems_one(one: str, other: str, separator: str) -> None:
    kind = IncidentType.UNKNOWN
    assert of_text("s", kind, "t", [f"{one}{separator}{other}"]) != of_text("s", kind, "t", [one, other])
    assert of_text(f"s{separator}x", kind, "t", []) != of_text("s", kind, f"x{separator}t", [])


def test_case_and_space_count() -> None:
    assert len({of_dedup_key("s", key) for key in ("a", "A", " a", "a ")}) == 4


def test_a_key_never_meets_a_text_and_the_version_stands_in_front() -> None:
    by_text, by_key = of_text("s", IncidentType.UNKNOWN, "k", []), of_dedup_key("s", "k")
    assert by_text != by_key
    assert all(mark.startswith("1:") and len(mark) == 66 for mark in (by_text, by_key))


def test_the_encoding_is_pinned_because_stored_fingerprints_must_be_found_again() -> None:
    assert of_dedup_key("s", "k") == "1:3064463187306d83e9929c70458bf9b9080f11ea946742f31745fdc1b9db4fb8"
