"""Plain builders: the least that is valid, and what a test changes of it."""

from typing import Any


def alert(**fields: Any) -> dict[str, Any]:
    """Return the body of an alert."""
    return {"source": "prometheus", "title": "Disk is full", **fields}


def incident(**fields: Any) -> dict[str, Any]:
    """Return the body of an incident opened by hand."""
    return {"source": "desk", "title": "Checkout is slow", "severity": "P2", "incident_type": "Performance", **fields}
