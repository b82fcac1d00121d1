"""The console that a command prints its answer on."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.text import Text

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


def say(console: Console, sentence: Text | str, style: str = "") -> None:
    """Print it with its lines broken between words, and never in a path; whoever greps a pipe gets one line."""
    words = Text(sentence) if isinstance(sentence, str) else sentence  # never markup: it may quote what has brackets
    console.print(words, style=style, soft_wrap=not console.is_terminal, overflow="ignore", crop=False)


def forget_typed() -> None:
    """Throw away what was typed at the terminal so far: nobody answers a question that was not there yet."""
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415  (of that system alone)

        while msvcrt.kbhit():
            msvcrt.getwch()
    else:
        import termios  # noqa: PLC0415  (of the other systems)

        with suppress(termios.error, OSError, ValueError):  # no terminal has anything typed
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
