"""`make demo`: a story in the terminal, told by the real server and the real commands on a fresh database, gone afterwards.

The storm is made of the payloads in tests/payloads/alertmanager, byte for byte.
"""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import httpx2
from rich.console import Console

from tests.monitors.payloads import Payload, payloads

PROGRAM = [sys.executable, "-m", "incident_manager"]
REPEATS = 20
SENDERS = 8
STOP_SECONDS = 12

console = Console(highlight=False, markup=False, emoji=False)


def main() -> None:
    """Tell the story; end with 0, with 130 where it was interrupted, with 1 where something did not go as told."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="incident-manager-demo-") as folder, served(Path(folder)) as address:
            story(address)
        tell(f"That was it, in {time.monotonic() - began:.1f} s. The database is gone again; `make run` keeps one.")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:  # whoever read along has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def story(address: str) -> None:
    """Tell what happens between the first alert and the last."""
    head("Prometheus gets an address of its own")
    url = found(rf"({re.escape(address)}/\S+)", shown("integrations create prometheus --monitor alertmanager"))
    tell("That address goes into alertmanager.yml (`incident-manager monitors list` prints the receiver to paste).")

    head("A storm breaks loose")
    storm(url)
    command("list --active-only")

    head("Somebody else's check reports, mildly at first; then it gets worse")
    problem = "alert --source checkout-probe --title 'Checkout is slow' --service checkout"
    number = found(r"#(\d+)", shown(f"{problem} --severity P3"))
    command(f"{problem} --severity P1")
    tell("The repeat opened nothing: it folded into the incident, and raised its severity from P3 to P1.")

    head("Ada takes it")
    command(f"ack {number} --by ada")

    head("The check is well again, and says so: that closes it")
    command(f"{problem} --status resolved")

    head("What happened, and why")
    command(f"timeline {number}")
    command("list")


def storm(url: str) -> None:
    """Send every payload many times, several at once, and count what became of the alerts."""
    bodies = payloads("alertmanager") * REPEATS
    tell(
        f"{len(bodies)} deliveries, {SENDERS} at a time: {len(bodies) // REPEATS} real payloads, {REPEATS} times each."
    )
    example = f"curl {url} -H 'Content-Type: application/json' --data-binary @tests/payloads/{bodies[0]}.json"
    console.print(f"$ {example}", style="bold", soft_wrap=True)
    began = time.monotonic()
    with httpx2.Client(trust_env=False, timeout=30) as client, ThreadPoolExecutor(SENDERS) as senders:
        told = Counter(chain.from_iterable(senders.map(lambda body: delivered(client, url, body), bodies)))
    seconds = time.monotonic() - began
    tell(f"{sum(told.values())} alerts in {seconds:.1f} s, and every answer committed:")
    tell(f"  {told['first_seen']:>4} opened an incident")
    tell(f"  {told['while_open']:>4} were repeats, and folded into it")
    tell(f"  {told['nothing_open']:>4} said that something is over which was not open here: stored, nothing changed")


def delivered(client: httpx2.Client, url: str, body: Payload) -> list[str]:
    """Post a payload as its monitor does, and return the reason of what became of each of its alerts."""
    response = client.post(url, content=body.body, headers=body.headers)
    response.raise_for_status()
    return [result["reason"] for result in response.json()["results"]]


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Run the server on a free port; yield its address. It is stopped whatever happens, and killed where it does not stop."""
    for name in [name for name in os.environ if name.startswith("INCIDENT_MANAGER_")]:
        del os.environ[name]  # the story is the same whoever tells it
    os.environ["INCIDENT_MANAGER_SERVER__DATA_DIR"] = str(folder / "data")
    head("A server starts on an empty database")
    typed(f"serve --port 0 --data-dir {folder / 'data'}")
    log = folder / "server.log"
    with log.open("w") as errors:
        server = subprocess.Popen([*PROGRAM, "serve", "--port", "0"], stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        address = heard(server, log)
        os.environ["INCIDENT_MANAGER_URL"] = address
        yield address
    finally:
        server.terminate()
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def heard(server: "subprocess.Popen[str]", log: Path) -> str:
    """Return the address that the server says it serves on."""
    assert server.stdout is not None
    for line in server.stdout:
        if line.startswith("Serving on"):
            tell(line.strip())
            return found(r"(http://\S+)", line)
    raise SystemExit(f"the server did not start:\n{log.read_text()}")


def command(line: str) -> None:
    """Run one of our commands as somebody would type it, and let it print."""
    typed(line)
    sys.stdout.flush()
    subprocess.run([*PROGRAM, "--output", "table", *shlex.split(line)], check=True)


def shown(line: str) -> str:
    """Run one of our commands, print what it prints, and return that."""
    typed(line)
    words = [*PROGRAM, "--output", "table", *shlex.split(line)]
    printed = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
    tell(printed.rstrip())
    return printed


def found(pattern: str, text: str) -> str:
    """Return what the pattern's group stands for in a text."""
    match = re.search(pattern, text)
    assert match is not None, text
    return match[1]


def head(title: str) -> None:
    """Begin a chapter."""
    console.print(f"\n== {title} ==", style="bold cyan")


def typed(line: str) -> None:
    """Print what somebody types."""
    console.print(f"$ incident-manager {line}", style="bold", soft_wrap=True)


def tell(words: str) -> None:
    """Print what is said in between, one thing a line however wide the terminal is."""
    console.print(words, soft_wrap=True)


if __name__ == "__main__":
    main()
