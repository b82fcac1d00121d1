"""The console that a command prints its answer on."""

from __future__ import annotations

import os
from typing import Any

from rich.console import Console

PLAIN_WIDTH = 120
"""Of a pipe or a file, which have no width of their own: enough for every table."""


LEAST_WIDTH = 80
"""Every table of figures or ids fits into it, and is rather broken by a narrower terminal than cut by us."""


def answer_console(kind: type[Console] = Console, least: int = 0, **options: Any) -> Console:
    """As wide as the terminal, elsewhere as COLUMNS says or wide enough for everything; never below `least`."""
    console = kind(highlight=False, **options)
    if not console.is_terminal and not os.environ.get("COLUMNS"):
        console.width = PLAIN_WIDTH
    console.width = max(console.width, least)
    return console
