"""The payloads of tests/payloads: real bodies of real monitors, each with what an ideal reading of it finds."""

import json
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parents[1] / "payloads"


class Payload(NamedTuple):
    """One message of a monitor."""

    monitor: str
    variant: str
    body: bytes
    meta: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.monitor}/{self.variant}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Content-Type": self.meta["content_type"], **self.meta["headers"]}

    @property
    def events(self) -> list[dict[str, Any]]:
        return self.meta["expected"]["events"]


def payload(monitor: str, variant: str) -> Payload:
    path = FOLDER / monitor / f"{variant}.json"
    return Payload(monitor, variant, path.read_bytes(), json.loads(path.with_suffix(".meta.json").read_bytes()))


def payloads(*monitors: str) -> list[Payload]:
    """Return all payloads of some monitors, or of all."""
    found = sorted(path for path in FOLDER.glob("*/*.json") if not path.name.endswith(".meta.json"))
    every = [payload(path.parent.name, path.stem) for path in found]
    return [each for each in every if not monitors or each.monitor in monitors]


def value(event: dict[str, Any], name: str) -> Any:
    """Return what an event's field holds; None where the monitor does not send it."""
    return event.get(name, {}).get("value")
