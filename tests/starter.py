"""A process of its own that starts as a server does: `python -m tests.starter URL DATA_DIR`.

It says `ready`, waits for a line on standard input so that all start together, and prints what is announced, then `started`.
"""

import asyncio
import sys

from incident_manager.clock import SystemClock
from incident_manager.db import Database
from incident_manager.settings import load
from incident_manager.start import prepare


async def _main(url: str, data_dir: str) -> None:
    settings = load({"database.url": url, "server.data_dir": data_dir})
    database = Database(settings.database_url, settings.database)
    _say("ready")
    await asyncio.to_thread(sys.stdin.readline)
    await prepare(settings, database, SystemClock(), _say)
    await database.close()
    _say("started")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
