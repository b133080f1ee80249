"""Words in title and description, looked up in the engine's own full-text index, with the same answer from both.

A word is letters and digits; it matches words that begin with it, in any case. Punctuation parts words and is not looked for:
`db-1.example.com` finds what holds `db`, `1`, `example` and `com`, wherever they stand.
"""

import re
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from incident_manager.db import Session
from incident_manager.models import search

_WORD: Final = re.compile(r"[^\W_]+")


def has_words(session: Session, texts: Sequence[str]) -> list[sa.ColumnElement[bool] | sa.TextClause]:
    """Return the condition that every word of these texts is there: none for no text; nothing has what holds no word."""
    if not texts:
        return []
    words = _WORD.findall(" ".join(texts))
    if not words:
        return [sa.false()]
    if session.on_sqlite:
        return [search.ON_SQLITE.bindparams(search=" ".join(f'"{word}"*' for word in words))]
    return [search.ON_POSTGRESQL.bindparams(search=" & ".join(map(_in_any_case, words)))]


def _in_any_case(word: str) -> str:
    """Return a word of a tsquery. A database whose locale is C folds ASCII letters only, so others are asked for as written."""
    spellings = {word, word.lower(), word.upper(), word.capitalize()} if not word.isascii() else {word}
    asked = sorted(f"'{one}':*" for one in spellings if len(one) == len(word))  # upper-case ß has two letters
    return f"({' | '.join(asked)})"
