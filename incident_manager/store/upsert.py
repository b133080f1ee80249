"""INSERT .. ON CONFLICT, which both databases know under one syntax and SQLAlchemy under two classes."""

from sqlalchemy.dialects import postgresql, sqlite

from incident_manager.db import Session
from incident_manager.models.base import Base


def insert_for(session: Session, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
    """Return the INSERT of the database that answers this session."""
    return sqlite.insert(table) if session.on_sqlite else postgresql.insert(table)
