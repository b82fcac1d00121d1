"""Requests for history: daily bars, of which the last is that of the day still running, as TWS has it."""

from __future__ import annotations

import re
import time
from collections import deque
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day

from brokers.errors import Terminal
from brokers.protocol import Broker
from brokers.session import NEW_YORK
from portfolio.models import Bar, Quote
from tests.simulators.gateway.faults import Faults

DURATION = re.compile(r"([1-9]\d*) ([DWMY])")
DAYS = {"W": 7, "M": 30.4375, "Y": 365.25}
MOST, WITHIN_SECONDS, SAME_SECONDS = 60, 600.0, 15.0
FAILED = "Historical Market Data Service error message:"
NO_DATA = 162


class Pacing:
    """IB's limits on how often history may be asked for."""

    def __init__(self) -> None:
        self._asked: deque[tuple[float, tuple[str, ...]]] = deque()

    def is_violated_by(self, question: tuple[str, ...]) -> bool:
        now = time.monotonic()
        while self._asked and now - self._asked[0][0] > WITHIN_SECONDS:
            self._asked.popleft()
        same = any(asked == question and now - moment < SAME_SECONDS for moment, asked in self._asked)
        self._asked.append((now, question))
        return same or len(self._asked) > MOST


class Past:
    """Daily bars from the broker."""

    def __init__(self, broker: Broker, faults: Faults) -> None:
        self._broker = broker
        self._faults = faults
        self._pacing = Pacing()

    async def bars(self, quote: Quote, size: str, duration: str, until: str, question: tuple[str, ...]) -> list[Bar]:
        """Bars of `quote`'s contract that end at `until` (empty: now).

        Raises:
            Terminal: there are none, or they are asked for too often.
        """
        is_violated = self._pacing.is_violated_by(question)
        if self._faults.pacing_violation or (self._faults.pacing_enforced and is_violated):
            raise Terminal(f"{FAILED}Historical data request pacing violation", code=NO_DATA)
        asked = DURATION.fullmatch(duration)
        if self._faults.no_history or size != "1 day" or not asked:
            raise Terminal(f"{FAILED}HMDS query returned no data: {quote.symbol}@SMART Trades", code=NO_DATA)
        session = await self._broker.session(quote.symbol)
        end = _day(until) if until else session.now.astimezone(NEW_YORK).date()
        number, unit = int(asked[1]), asked[2]
        ago = (session.now.date() - end).days
        reach = number + ago if unit == "D" else round(number * DAYS[unit]) + ago
        past = await self._broker.history(quote.conid, "1d", f"{min(max(reach, 1), 9999)}d")
        if session.is_open:
            past.append(_running(quote, session.now))
        known = [bar for bar in past if bar.start.date() <= end]
        if unit == "D":
            return known[-number:]
        since = end - timedelta(days=round(number * DAYS[unit]))
        return [bar for bar in known if bar.start.date() > since]


def _day(until: str) -> date:
    return datetime.strptime(until[:8], "%Y%m%d").date()  # noqa: DTZ007  (a day has no zone)


def _running(quote: Quote, now: datetime) -> Bar:
    start = datetime.combine(now.astimezone(NEW_YORK).date(), time_of_day(), UTC)
    facts = {"open": quote.open, "high": quote.high, "low": quote.low, "close": quote.last, "volume": quote.volume}
    return Bar.model_validate({"start": start, **facts})
