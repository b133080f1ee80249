"""A process of its own that writes to a SQLite file through `Database`: `python -m tests.sqlite_writer PATH COUNT NAME`.

It says `ready`, waits for a line on standard input so that all start together, and prints how many transactions it committed.
"""

import asyncio
import sys

from sqlalchemy import func, select

from incident_manager.clock import SystemClock
from incident_manager.db import Database, Session
from incident_manager.ids import new_id
from incident_manager.models.access import Tenant
from incident_manager.settings import load


async def _main(path: str, count: int, name: str) -> int:
    database = Database(f"sqlite:///{path}", load().database)
    now = SystemClock().now()

    async def write(session: Session) -> None:
        seen = await session.scalar(select(func.count()).select_from(Tenant))
        session.add(Tenant(id=new_id(), name=f"{name} {new_id()} {seen}", created_at=now, secret_fingerprint="f"))

    _say("ready")
    await asyncio.to_thread(sys.stdin.readline)
    for _ in range(count):
        await database.transaction(write, tenant_id=None)
    await database.close()
    return count


def _say(line: object) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _say(asyncio.run(_main(sys.argv[1], int(sys.argv[2]), sys.argv[3])))
