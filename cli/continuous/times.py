"""When runs are due, and how that is said. A run that takes longer than the interval skips the times it missed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cli.slot import GRACE

if TYPE_CHECKING:
    from brokers.market_moment import MarketMoment

FIRST_RETRY = timedelta(minutes=5)
MOST_DOUBLINGS = 12
"""Fourteen days, which is longer than anybody should wait."""


def next_time(last: datetime, hours: float, now: datetime) -> datetime:
    """The first time after `now` that is whole intervals away from `last`; `last` itself while it is to come."""
    from apscheduler.triggers.interval import IntervalTrigger  # noqa: PLC0415  (not for the help page)

    just_after = now + timedelta(microseconds=1)
    due: datetime = IntervalTrigger(hours=hours, start_date=last).get_next_fire_time(None, just_after)
    return due.astimezone(UTC)


def retry_after(failures: int) -> timedelta:
    """How long to wait after so many failures in a row."""
    return FIRST_RETRY * (1 << min(failures - 1, MOST_DOUBLINGS))


def is_missed(begins: datetime, moment: MarketMoment, now: datetime) -> bool:
    """Whether it is too late for a run that was due at `begins`, one of the moments."""
    closes = moment.calendar.session_at(begins).closes_at
    return now >= min(begins + GRACE, closes)


def told(due: datetime, now: datetime) -> str:
    """A time by this computer's clock, and how far away it is."""
    minutes = round((due - now).total_seconds() / 60)
    hours, rest = divmod(minutes, 60)
    away = f"{hours} h {rest} min" if hours else f"{rest} min"
    return f"{due.astimezone():%a %Y-%m-%d %H:%M %Z} (in {away})"
