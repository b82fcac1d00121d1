"""Past prices, as slowly as IB permits: 60 requests in ten minutes, and no identical one within 15 seconds.

What was fetched is kept in files for an hour, so that a run after a run asks for little, and nothing twice.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ib_async import BarData
from pydantic import ValidationError

from brokers.errors import Retryable, Terminal
from brokers.tws.contracts import ContractBook, Listed
from brokers.tws.line import Line
from brokers.tws.numbers import number, price
from brokers.tws.words import NO_HISTORY
from portfolio.models import Bar, Fact, Utc

SIZES = {
    "1min": "1 min",
    "5min": "5 mins",
    "15min": "15 mins",
    "30min": "30 mins",
    "1h": "1 hour",
    "1d": "1 day",
    "1w": "1 week",
}
PERIOD = re.compile(r"([1-9]\d{0,3})([dwmy])")
FRESH = timedelta(hours=1)
MOST, WITHIN_SECONDS = 60, 600.0
LONGEST_WAIT = 20.0


class Fetched(Fact):
    """Bars as they were at `fetched_at`."""

    fetched_at: Utc
    bars: tuple[Bar, ...]


class Pace:
    """At most `most` requests in `seconds`; times are those of a clock that cannot jump."""

    def __init__(self, most: int = MOST, seconds: float = WITHIN_SECONDS) -> None:
        self._seconds = seconds
        self._sent: deque[float] = deque(maxlen=most)

    def wait(self, now: float) -> float:
        """Seconds until the next request may go out."""
        is_full = len(self._sent) == self._sent.maxlen
        return max(self._sent[0] + self._seconds - now, 0.0) if is_full else 0.0

    def sent(self, now: float) -> None:
        self._sent.append(now)


class PriceHistory:
    """Bars of regular trading hours, adjusted for splits, kept in `cache`."""

    def __init__(self, line: Line, contracts: ContractBook, cache: Path) -> None:
        self._line = line
        self._contracts = contracts
        self._cache = cache
        self._pace = Pace()
        self._turn = asyncio.Lock()

    async def bars(self, conid: int, bar: str, period: str) -> list[Bar]:
        """Oldest first.

        Raises:
            Terminal: no such bar or period.
            Retryable: it is not this request's turn yet.
        """
        asked = PERIOD.fullmatch(period)
        if bar not in SIZES or not asked:
            raise Terminal(
                f"History: bar {bar!r} over {period!r} is not served; ask for a bar of {', '.join(SIZES)} and a period "
                'such as "5d", "2w", "1m" or "1y".',
                code=NO_HISTORY,
            )
        listed = await self._contracts.by_conid(conid)
        file = self._cache / f"{conid}_{bar}_{period}.json"
        async with self._turn:
            now = datetime.now(UTC)
            known = _kept(file)
            if known is None or not now - FRESH <= known.fetched_at <= now:
                span = f"{asked[1]} {asked[2].upper()}"
                known = Fetched(fetched_at=now, bars=await self._fetch(listed, SIZES[bar], span))
                if known.bars:
                    _keep(file, known)
        return [*known.bars]

    async def _fetch(self, listed: Listed, size: str, span: str) -> tuple[Bar, ...]:
        wait = self._pace.wait(time.monotonic())
        if wait > LONGEST_WAIT:
            raise Retryable(
                f"History of {listed.facts.symbol}: IB permits {MOST} requests in ten minutes, and the next one in "
                f"{wait:.0f} s; nothing was asked."
            )
        await asyncio.sleep(wait)
        self._pace.sent(time.monotonic())
        what = f"the history of {listed.facts.symbol}"
        try:
            told = await self._line.ask(
                what,
                lambda ib: ib.reqHistoricalDataAsync(
                    listed.asked, "", span, size, "TRADES", useRTH=True, formatDate=2, timeout=0
                ),
                self._line.patience.bars,
            )
        except Terminal as error:
            if error.code == NO_HISTORY and "no data" in str(error).lower():
                return ()
            raise
        return tuple(sorted((_bar(one) for one in told), key=lambda past: past.start))


def _bar(told: BarData) -> Bar:
    day = told.date
    # A day's bar comes with its date alone.
    start = day if isinstance(day, datetime) else datetime(day.year, day.month, day.day, tzinfo=UTC)
    facts: dict[str, Any] = {name: price(getattr(told, name)) for name in ("open", "high", "low", "close")}
    return Bar.model_validate({**facts, "start": start, "volume": max(number(told.volume) or 0, 0)})


def _kept(file: Path) -> Fetched | None:
    try:
        return Fetched.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None


def _keep(file: Path, fetched: Fetched) -> None:
    """Write the bars; a cache that cannot be written costs only time."""
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(fetched.model_dump_json(), encoding="utf-8")
        part.replace(file)
