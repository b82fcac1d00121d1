"""Trading hours as TWS writes them: "20260615:0930-20260615:1600;20260620:CLOSED"."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from brokers.session import NEW_YORK, ExchangeCalendar
from tests.simulators.gateway.messages import Hours

DAYS = 7


def hours_from(now: datetime) -> Hours:
    """Of a week, today included."""
    calendar, today = ExchangeCalendar(), now.astimezone(NEW_YORK).date()
    days = [today + timedelta(days=ahead) for ahead in range(DAYS)]
    closes = [(day, calendar.close_of(day)) for day in days]
    return Hours(
        trading=";".join(_day(day, close, "0400", 4) for day, close in closes),
        liquid=";".join(_day(day, close, "0930", 0) for day, close in closes),
    )


def _day(day: date, closes_at: datetime | None, opens: str, longer: int) -> str:
    """`longer` is for how many hours trading goes on after the close."""
    if closes_at is None:
        return f"{day:%Y%m%d}:CLOSED"
    ends = closes_at.astimezone(NEW_YORK) + timedelta(hours=longer)
    return f"{day:%Y%m%d}:{opens}-{ends:%Y%m%d:%H%M}"
