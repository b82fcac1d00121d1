"""The console that a command prints its answer on."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from itertools import accumulate
from textwrap import TextWrapper
from typing import Any

from rich.console import Console
from rich.text import Text

from cli.speech import printable

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
    # Never markup, and nothing that steers a terminal: it may quote anything.
    words = Text(printable(sentence)) if isinstance(sentence, str) else sentence
    console.print(_broken(words, console.width) if console.is_terminal else words, style=style, soft_wrap=True)


def _broken(words: Text, width: int) -> Text:
    """In lines of at most `width`, each of whole words; a longer word, such as a path, is left to the terminal."""
    wrapper = TextWrapper(width, break_long_words=False, break_on_hyphens=False, drop_whitespace=False, tabsize=1)
    broken = []
    for line in words.split("\n", allow_blank=True):
        ends = list(accumulate(map(len, wrapper.wrap(line.plain))))
        for number, part in enumerate(line.divide(ends[:-1])):
            part.rstrip()
            before = len(part.plain) - len(part.plain.lstrip()) if number else 0  # spaces that did not fit before
            broken.append(part[before:])
    return Text("\n").join(broken)


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
