"""Logging: loguru alone, to standard error, constant messages with keywords; the standard library's records go there too."""

import logging
import sys

from loguru import logger

_FORMAT = "{time:YYYY-MM-DDTHH:mm:ss.SSS!UTC}Z {level: <7} {message} {extra}"


class _Forward(logging.Handler):
    """Hands what libraries log to loguru, as one constant message with the text as a value."""

    def emit(self, record: logging.LogRecord) -> None:
        level = (
            record.levelname
            if record.levelname in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}
            else record.levelno
        )
        logger.opt(exception=record.exc_info).log(level, "library", logger=record.name, text=record.getMessage())


def configure(level: str) -> None:
    """Send everything of `level` and above to standard error. `diagnose` stays off: it would print values of variables."""
    logger.remove()
    logger.add(sys.stderr, level=level.upper(), format=_FORMAT, diagnose=False, backtrace=False, enqueue=False)
    logging.basicConfig(handlers=[_Forward()], level=level.upper(), force=True)
    for name in ("uvicorn.access", "aiosqlite", "asyncio", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
