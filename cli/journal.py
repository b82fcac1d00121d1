"""The journal for commands that need no broker: whatever else is wrong, a halt must get through."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from cli.exit_codes import ExitCode
from cli.options import exit_with, home_or_exit
from cli.problems import print_problems
from config.problems import ConfigError

if TYPE_CHECKING:
    from config.home import Home
    from graph.journal import Journal


@contextmanager
def journal_of(home: Path | None) -> Iterator[tuple[Home, Journal]]:
    """The home and its journal; one that cannot be used is told on stderr, exit 6, since it counts as halted."""
    from graph.journal import Journal, JournalError, JournalUnusable  # noqa: PLC0415  (costs more than the help page)

    place = home_or_exit(home)
    try:
        journal = Journal(_address(place))
        try:
            yield place, journal
        finally:
            journal.close()
    except JournalUnusable as error:
        exit_with(ExitCode.HALTED, str(error))
    except JournalError as error:
        exit_with(ExitCode.BAD_USAGE, str(error))


def _address(place: Home) -> str:
    from config.load import load_settings  # noqa: PLC0415

    try:
        settings = load_settings(file=place.find_config(None), environ=os.environ, overrides={})
    except ConfigError as error:
        # With such a configuration no run starts, but one may be under way.
        print_problems(Console(stderr=True), error)
        typer.echo(f"The journal in {place.root} is used all the same.", err=True)
        return place.database_url
    return settings.database_url or place.database_url


def now() -> datetime:
    return datetime.now(UTC)
