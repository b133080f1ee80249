"""Logging as it was before, after a test that set it up."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from loguru import logger


@contextmanager
def restored() -> Iterator[None]:
    """Leave the process's logging as it was found: loguru's one sink, and what the root logger has."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logger.remove()
    logger.add(sys.__stderr__)
