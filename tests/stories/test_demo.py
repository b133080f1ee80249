"""`make demo` tells its story, ends by itself, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.untraced import untraced

ROOT = Path(__file__).parents[2]
STORY = (
    r"Serving on http://127\.0\.0\.1:\d+",
    r"Address +http://127\.0\.0\.1:\d+/v1/integrations/alertmanager/\w{32}",
    r"140 alerts in",
    r" 6 opened an incident",
    r" 114 were repeats, and folded into it",
    r" 20 said that something is over",
    r"P0 +Detected +Connect fail +20 ",
    r"Accepted \(first_seen\)",
    r"Duplicate \(within_window\)",
    r"Acknowledged .* by ada",
    r"Accepted \(source_resolved\)",
    r"severity_raised .* raised from P3 to P1",
    r"resolved +checkout-probe",
    r"P1 +Resolved +Checkout is slow +2 ",
    r"That was it, in",
)


def started(folder: Path) -> "subprocess.Popen[str]":
    """Start the demo with a temporary folder of its own, in a session of its own, as a terminal would."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.demo"],
        cwd=ROOT,
        env=untraced() | {"TMPDIR": str(folder), "COLUMNS": "80"},  # its tracer swallows an interrupt that it sees
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_the_story_is_told_in_its_order_and_nothing_is_left(tmp_path: Path) -> None:
    demo = started(tmp_path)
    told, complaints = demo.communicate(timeout=120)
    assert demo.returncode == 0, complaints
    place = 0
    for line in STORY:
        found = re.compile(line).search(told, place)
        assert found, f"{line} does not stand behind:\n{told[:place]}"
        place = found.end()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_story_leaves_nothing_either(tmp_path: Path, number: signal.Signals, code: int) -> None:
    demo = started(tmp_path)
    assert demo.stdout is not None
    lines = iter(demo.stdout.readline, "")
    address = next(line.rpartition(" ")[2].strip() for line in lines if line.startswith("Serving on"))
    next(line for line in lines if "A storm breaks loose" in line)
    os.killpg(demo.pid, number) if number is signal.SIGINT else demo.send_signal(number)
    _, complaints = demo.communicate(timeout=60)
    assert demo.returncode == code
    assert "Traceback" not in complaints
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(address, trust_env=False)
