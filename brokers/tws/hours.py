"""Regular trading hours out of a contract's own, which TWS writes as "20260615:0930-20260615:1600;20260620:CLOSED"."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from brokers.errors import Terminal
from portfolio.models import Session

NEW_YORK = ("EST", "EST5EDT", "EST (Eastern Standard Time)", "US/Eastern", "America/New_York")
"""Names that TWS has given New York; the first of them is another time zone by the book, without summer time."""
MOMENT = "%Y%m%d:%H%M"
CLOSED = "CLOSED"


def session_at(now: datetime, hours: str, zone: str, symbol: str) -> Session:
    """The session running at `now`, else the next one of `hours`, which are days in `zone`.

    Raises:
        Terminal: the hours cannot be read, or tell of no session from now on.
    """
    try:
        sessions = sorted(_sessions(hours, zone))
    except (ValueError, KeyError, OSError, OverflowError):
        told = f"{hours[:80]!r} in {zone!r}"
        raise Terminal(
            f"{symbol}: its trading hours cannot be read ({told}); nothing was traded. Look at it in TWS."
        ) from None
    for opens_at, closes_at in sessions:
        if now < closes_at:
            return Session(now=now, is_open=opens_at <= now, opens_at=opens_at, closes_at=closes_at)
    raise Terminal(f"{symbol}: TWS tells of no trading hours after {now:%Y-%m-%d %H:%M} UTC.")


def _sessions(hours: str, zone: str) -> Iterator[tuple[datetime, datetime]]:
    place = ZoneInfo("America/New_York" if zone in NEW_YORK else zone)
    for part in filter(None, hours.split(";")):
        first, dash, last = part.partition("-")
        if CLOSED in part:
            continue
        if not dash:
            raise ValueError(part)
        yield _moment(first, place), _moment(last, place)


def _moment(text: str, place: ZoneInfo) -> datetime:
    return datetime.strptime(text, MOMENT).replace(tzinfo=place).astimezone(UTC)
