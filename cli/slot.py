"""`smart-agent run --market`: a run at one moment of a session, for whatever starts it every few minutes.

Of the starts within a session one becomes a run. That is settled by a file, which only one process can make and which
is on disk before the run begins, so that neither a crash nor a second start leads to another run.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from cli.console import say
from cli.exit_codes import ExitCode
from cli.options import exit_with, home_or_exit

if TYPE_CHECKING:
    from brokers.market_moment import MarketMoment
    from config.home import Home

GRACE = timedelta(hours=2)
"""How late a run may begin: a computer that slept shall not trade at an hour that nobody chose."""
EARLIEST, LATEST = time(9, 30), time(16, 0)
"""Between these, in New York and from Monday to Friday, is every session; others are told without the calendar."""


@dataclass(frozen=True)
class Slot:
    """The one run of a home at a moment of a session."""

    file: Path

    @property
    def is_taken(self) -> bool:
        return self.file.exists()

    def take(self) -> bool:
        """Take it for good, on disk before this returns; False where another process did."""
        self.file.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            os.close(os.open(self.file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            return False
        if os.name == "posix":  # elsewhere a folder cannot be opened
            folder = os.open(self.file.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        return True


def slot_of(home: Home, moment: MarketMoment, at: datetime) -> Slot:
    """The slot of that moment in the session of `at`, to come or over."""
    from brokers.session import NEW_YORK  # noqa: PLC0415  (costs more than the help page)

    day = at.astimezone(NEW_YORK).date()
    return Slot(home.slots / f"{day}-{moment.bell}-{moment.distance // timedelta(minutes=1)}")


def due_slot(home: Home, moment: MarketMoment, now: datetime) -> Slot | None:
    """The slot to run in now: its moment has come, within `GRACE` and before the close, and it is not taken."""
    from brokers.session import NEW_YORK  # noqa: PLC0415  (costs more than the help page)

    there = now.astimezone(NEW_YORK)
    slot = slot_of(home, moment, now)
    is_hopeless = there.weekday() > 4 or not EARLIEST <= there.time() < LATEST  # noqa: PLR2004  (Friday)
    if is_hopeless or slot.is_taken:
        return None
    begins, closes = moment.of(there.date()), moment.calendar.close_of(there.date())
    is_due = begins is not None and closes is not None and begins <= now < min(begins + GRACE, closes)
    return slot if is_due else None


def slot_or_exit(home: Path | None, market: str) -> Slot:
    """The slot to run in now; where there is none, leave with exit code 0 and nothing on stdout.

    Why there is none is told to a person alone: a crontab would send a letter every five minutes.
    """
    moment, place, now = moment_or_exit(market, "Nothing was started."), home_or_exit(home), datetime.now(UTC)
    slot = due_slot(place, moment, now)
    if slot is None:
        console = Console(stderr=True, highlight=False)
        if console.is_terminal:
            say(console, f"No run now: {why_not_due(place, moment, now)}.", "dim")
        raise typer.Exit(ExitCode.DONE)
    return slot


def why_not_due(home: Home, moment: MarketMoment, now: datetime) -> str:
    """What keeps a run from being due now; the moment, in New York, is that of the session of the day there."""
    from brokers.session import NEW_YORK  # noqa: PLC0415  (costs more than the help page)

    day = now.astimezone(NEW_YORK).date()
    begins = moment.of(day)
    if begins is None:
        session = moment.calendar.is_session(day)
        why = f"the session of today has no {moment.text}" if session else "the market has no session today"
        return f"{why}; the next {moment.text} is {moment.next(now).astimezone(NEW_YORK):%A %Y-%m-%d %H:%M} New York"
    then = f"{begins.astimezone(NEW_YORK):%H:%M} New York"
    if now < begins:
        return f"{moment.text} comes at {then} today"
    if slot_of(home, moment, now).is_taken:
        return f"{moment.text}, at {then}, had its run today"
    return f"{moment.text} was at {then}, and a run may begin until {GRACE // timedelta(hours=1)} h later or the close"


def moment_or_exit(market: str, consequence: str) -> MarketMoment:
    from brokers.market_moment import MarketMoment  # noqa: PLC0415  (costs more than the help page)

    try:
        return MarketMoment.parse(market)
    except ValueError as error:
        exit_with(ExitCode.BAD_USAGE, f"--market: {error} {consequence}")
