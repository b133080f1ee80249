"""Monitor integrations, one file each; the file's name is the monitor's in addresses and in the database.

A monitor reads the bytes its tool sends and returns alerts, or why there are none. It never sees the database and knows
no other monitor. To add one: a new file here that defines `MONITOR` (see base.py), its real payloads in tests/payloads/<name>/.
"""

import sys
from collections.abc import Mapping
from typing import Final

from incident_manager.monitors.base import Monitor
from incident_manager.registry import load

MONITORS: Final[Mapping[str, Monitor]] = load(sys.modules[__name__], "MONITOR", Monitor)
