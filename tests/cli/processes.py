"""Servers and commands as processes of their own, as people start them."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

COMMAND = (sys.executable, "-m", "incident_manager")
KEY = re.compile(r"im_[0-9a-f]{32}_[A-Za-z0-9_-]{43}")


class Server:
    """A process that serves, and what it said."""

    def __init__(self, process: subprocess.Popen[str], errors: Path) -> None:
        self.process, self._errors = process, errors
        self.said = ""

    def wait_until_serving(self) -> "Server":
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if "Serving on" in line:
                return self
        raise AssertionError(f"it did not start: {self.said}{self.errors}")

    @property
    def url(self) -> str:
        return re.search(r"http://\S+", self.said)[0]

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=20)


@contextmanager
def started(
    folder: Path, *arguments: str, command: Sequence[str] = (*COMMAND, "serve"), **settings: str
) -> Iterator[Server]:
    """Start a server in a folder; a keyword `section__key` is a setting in its environment."""
    folder.mkdir(exist_ok=True)
    errors = folder / f"errors-{time.monotonic_ns()}"
    with (
        errors.open("w") as to,
        subprocess.Popen(
            [*command, *arguments],
            cwd=folder,
            env=environment(**settings),
            stdout=subprocess.PIPE,
            stderr=to,
            text=True,
        ) as process,
    ):
        try:
            yield Server(process, errors)
        finally:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """Leave no process behind, and no test waiting for one."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def finished(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def environment(**settings: str) -> dict[str, str]:
    """Return this process's environment without settings, and with those given."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("INCIDENT_MANAGER_")}
    return mine | {f"INCIDENT_MANAGER_{name.upper()}": value for name, value in settings.items()}


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for something that sends no event."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.005)
