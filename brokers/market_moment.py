"""A moment of every session, told by its open or its close: "open+30m", "close-1h30m", "open"."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Literal, Self

from brokers.session import NEW_YORK, ExchangeCalendar, noon

FORM = re.compile(r"(?P<bell>open|close)(?:(?P<sign>[+-])(?:(?P<hours>\d{1,2})h)?(?:(?P<minutes>\d{1,3})m)?)?")
LONGEST = timedelta(hours=6, minutes=29)
"""A whole session lasts 6 h 30 min."""
MOST_DAYS = 15
"""More than the exchange was ever closed at a stretch since 1962."""


@dataclass(frozen=True)
class MarketMoment:
    """So long after the open, or before the close; on a half day too, where the session is long enough for it."""

    text: str
    bell: Literal["open", "close"]
    distance: timedelta
    calendar: ExchangeCalendar = field(default_factory=ExchangeCalendar, compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The moment that `text` names.

        Raises:
            ValueError: it names none within a session; the message is a sentence.
        """
        found = FORM.fullmatch(text.strip().lower())
        distance = timedelta(hours=int(found["hours"] or 0), minutes=int(found["minutes"] or 0)) if found else None
        inside = {"open": "+", "close": "-"}
        if (
            found is None
            or distance is None
            or distance > LONGEST
            or (found["sign"] and (found["sign"] != inside[found["bell"]] or not distance))
            or (found["bell"] == "close" and not distance)
        ):
            raise ValueError(
                f'{text!r} is no moment of a session: write such as "open", "open+30m" or "close-1h", '
                "at most 6h29m from either."
            )
        return cls(text.strip().lower(), "open" if found["bell"] == "open" else "close", distance)

    def of(self, day: date) -> datetime | None:
        """When it is on that day (UTC); None where the exchange is closed, or closes before it, or opens after it."""
        if not self.calendar.is_session(day):
            return None
        session = self.calendar.session_at(noon(day))
        is_after_open = self.bell == "open"
        moment = session.opens_at + self.distance if is_after_open else session.closes_at - self.distance
        return moment if session.opens_at <= moment < session.closes_at else None

    def next(self, after: datetime) -> datetime:
        """The first of these moments after `after` (UTC)."""
        day = after.astimezone(NEW_YORK).date()
        for number in range(MOST_DAYS):
            moment = self.of(day + timedelta(days=number))
            if moment is not None and moment > after:
                return moment.astimezone(UTC)
        raise ValueError(f"No session within {MOST_DAYS} days after {after:%Y-%m-%d} has a moment {self.text}.")
