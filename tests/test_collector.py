"""The collector of a server that has started."""

import subprocess
import sys

from incident_manager.collector import THRESHOLDS

TOLD = "import gc; from incident_manager.collector import settle; settle(); print(gc.get_threshold(), gc.get_freeze_count())"


def test_what_is_there_at_the_start_is_left_alone_and_the_rest_is_looked_at_less_often() -> None:
    said = subprocess.run([sys.executable, "-c", TOLD], capture_output=True, text=True, check=True)
    thresholds, _, frozen = said.stdout.rpartition(" ")
    assert (thresholds, int(frozen) > 0) == (str(THRESHOLDS), True)
