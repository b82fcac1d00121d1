"""`trading_log.log`: what happened, one line an event, for the day somebody asks."""

from __future__ import annotations

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

MOST_BYTES = 5_000_000
OLD_FILES = 3
# One line for each call they make; worth it only to somebody who looks for a fault in them.
CHATTY = ("mcp", "httpx", "aiosqlite", "asyncio")


def log_to(file: Path, level: str) -> None:
    """Send the log of this process to `file`, from `level` on; nothing is logged on the screen."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(file, maxBytes=MOST_BYTES, backupCount=OLD_FILES, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    if level != "DEBUG":
        for chatty in CHATTY:
            logging.getLogger(chatty).setLevel(logging.WARNING)
