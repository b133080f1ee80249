"""Prometheus's Alertmanager, which keeps alerts in memory only: the same alerts, in its own form."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.bench.bodies import PLACE, USUAL
from tests.bench.load import Shape
from tests.bench.servers import Served
from tests.cli.processes import until

PROGRAM = "prometheus-alertmanager"
NO_ALERTMANAGER = f"{PROGRAM} is missing (Debian: apt-get install {PROGRAM})"

_ALERT = {
    "labels": {**USUAL["labels"], "instance": f"db-{PLACE}"},
    "annotations": {**USUAL["annotations"], "description": USUAL["description"], "runbook_url": USUAL["runbook_url"]},
}
_BEFORE, _, _AFTER = msgspec.json.encode(_ALERT).decode().partition(PLACE)
SINGLE = Shape("/api/v2/alerts", (_BEFORE, _AFTER), 1, "[", "]")
BATCH = Shape("/api/v2/alerts", (_BEFORE, _AFTER), 100, "[", "]")
_CONFIGURATION = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


@contextmanager
def alertmanager(folder: Path) -> Iterator[Served | None]:
    """Serve an Alertmanager that tells nobody; None where there is none."""
    program = shutil.which(PROGRAM)
    if program is None:
        yield None
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "alertmanager.yml").write_text(_CONFIGURATION)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = [
        program,
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'kept'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=error",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=sys.stderr) as process:
        try:
            until(lambda: _answers(port), "Alertmanager to listen")
            yield Served(f"http://127.0.0.1:{port}", "", process.pid)
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
