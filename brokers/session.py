"""When the exchange trades: regular hours, holidays and half days, from exchange_calendars.

A calendar is built once per process and decade, as its cost is the building and not its length; the library behind it
(with pandas) is imported only when the first question is asked.
"""

from __future__ import annotations

import warnings
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from portfolio.models import Session

FIRST_DAY = date(1962, 1, 2)
LAST_DAY = date(2100, 12, 31)
NEW_YORK = ZoneInfo("America/New_York")
BEFORE_THE_BELL = timedelta(minutes=5)

_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class _Hours:
    """Sessions in order: `days` as ordinals, `opens` and `closes` as seconds since the epoch."""

    days: list[int]
    opens: list[int]
    closes: list[int]


@cache
def _hours(name: str, last_year: int) -> _Hours:
    import exchange_calendars  # noqa: PLC0415 - pandas behind it costs a second, which light commands must not pay

    with warnings.catch_warnings():
        # The library's own use of a pandas call that pandas 3.1 deprecates; nothing of ours can avoid it.
        warnings.filterwarnings("ignore", "Series.values returning", DeprecationWarning)
        calendar = exchange_calendars.get_calendar(name, start=FIRST_DAY.isoformat(), end=f"{last_year}-12-31")
    epoch = date(1970, 1, 1).toordinal()
    return _Hours(
        days=[epoch + moment // (86_400 * _NANOSECONDS) for moment in calendar.sessions_nanos.tolist()],
        opens=[moment // _NANOSECONDS for moment in calendar.opens_nanos.tolist()],
        closes=[moment // _NANOSECONDS for moment in calendar.closes_nanos.tolist()],
    )


class ExchangeCalendar:
    """Regular trading hours of one exchange, named by its market identifier code (XNYS: New York).

    Days are the exchange's own; moments must carry a time zone and come back in UTC. A day before 1962
    or after 2100 raises `ValueError`, as nothing is known about it.
    """

    def __init__(self, name: str = "XNYS") -> None:
        self.name = name

    def session_at(self, now: datetime) -> Session:
        """The session running at `now`, else the next one; the closing minute itself is closed."""
        hours = self._around(now.astimezone(NEW_YORK).date())
        running = bisect_right(hours.closes, now.timestamp())
        opens_at, closes_at = _utc(hours.opens[running]), _utc(hours.closes[running])
        return Session(now=now, is_open=opens_at <= now, opens_at=opens_at, closes_at=closes_at)

    def last_session(self, now: datetime) -> date:
        """The day of the last session that has begun at `now`."""
        hours = self._around(now.astimezone(NEW_YORK).date())
        begun = bisect_right(hours.opens, now.timestamp())
        if begun == 0:
            raise ValueError(f"{now.isoformat()} is before the opening of {FIRST_DAY}, the first session known.")
        return date.fromordinal(hours.days[begun - 1])

    def last_session_noon(self, now: datetime) -> datetime:
        """Noon in New York of the last session that has begun at `now`; every session is open at noon."""
        return noon(self.last_session(now))

    def before_the_bell(self, day: date) -> datetime | None:
        """Five minutes before the close of `day`, half days included; None where `day` has no session."""
        closes_at = self.close_of(day)
        return closes_at - BEFORE_THE_BELL if closes_at else None

    def close_of(self, day: date) -> datetime | None:
        """When the session of `day` ends; None where `day` has no session."""
        hours = self._around(day)
        place = bisect_left(hours.days, day.toordinal())
        return _utc(hours.closes[place]) if self.is_session(day) else None

    def is_session(self, day: date) -> bool:
        hours = self._around(day)
        place = bisect_left(hours.days, day.toordinal())
        return place < len(hours.days) and hours.days[place] == day.toordinal()

    def sessions(self, start: date, end: date) -> list[date]:
        """The days with a session from `start` to `end`, both included."""
        hours = self._around(end)
        first, after = bisect_left(hours.days, start.toordinal()), bisect_right(hours.days, end.toordinal())
        return [date.fromordinal(ordinal) for ordinal in hours.days[first:after]]

    def _around(self, day: date) -> _Hours:
        if not FIRST_DAY <= day <= LAST_DAY:
            raise ValueError(f"{day}: sessions are known from {FIRST_DAY} to {LAST_DAY}; take a day between them.")
        return _hours(self.name, day.year // 10 * 10 + 11)


def noon(day: date) -> datetime:
    """Noon in New York of `day`, in UTC."""
    return datetime.combine(day, time(12), NEW_YORK).astimezone(UTC)


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
