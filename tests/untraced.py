"""The environment of processes that coverage does not look into: they repeat what is covered elsewhere, thousands of times."""

import os
from collections.abc import Mapping


def untraced(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith("COVERAGE_")}
