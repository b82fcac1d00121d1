"""The journal for commands that need no broker, and no settings: a halt gets through whatever else is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cli.exit_codes import ExitCode
from cli.options import exit_with, home_or_exit

if TYPE_CHECKING:
    from config.home import Home
    from graph.journal import Journal


@contextmanager
def journal_of(home: Path | None) -> Iterator[tuple[Home, Journal]]:
    """The home and its journal; one that cannot be used is told on stderr, exit 6, since it counts as halted."""
    from graph.journal import Journal, JournalError, JournalUnusable  # noqa: PLC0415  (costs more than the help page)

    place = home_or_exit(home)
    try:
        journal = Journal(place.database)
        try:
            yield place, journal
        finally:
            journal.close()
    except JournalUnusable as error:
        exit_with(ExitCode.HALTED, str(error))
    except JournalError as error:
        exit_with(ExitCode.BAD_USAGE, str(error))


def now() -> datetime:
    return datetime.now(UTC)


def plain(text: str) -> str:
    """What a person wrote, as one printable line of at most 300 characters."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:300]
