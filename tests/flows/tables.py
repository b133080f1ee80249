"""A look into the tables past our own code."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from incident_manager.db import Database


async def rows(database: Database, query: str) -> Sequence[Any]:
    async with database.engine.connect() as connection:
        return (await connection.execute(sa.text(query))).all()
