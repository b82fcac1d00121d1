"""Quotes from a server that has one snapshot a call, and never says of when it is.

Of its snapshots only last, bid and ask are believed: its other prices may be of another kind than their names say. A
snapshot is dated by the newest minute bar, and only where that bar ends near the last price; the rest have no time, and
the guard trades on none of those. A delayed feed that moved by less than that is not found out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from brokers.errors import BrokerError, Unreachable
from portfolio.models import Bar, Quote
from portfolio.percent import in_percent
from tools.answers import ask, complete, strange, understood
from tools.client import Tools
from tools.contract import Tool
from tools.rows.market import BarePrices, BareSnapshot, History
from tools.wire.market import read_bar, read_prices

MOST_LOOKS = 4
"""How often a snapshot is asked for until its prices are all there: the first ones after a login are empty."""
PAUSE_SECONDS = 0.5
MOST_HISTORIES = 5
"""IB answers so many history requests at once, and refuses the next."""
MOST_QUOTES = 10
"""Quotes begun and not finished: the histories of the first are then asked for while others are looked at."""
MOST_GAP = Decimal("0.5")
"""Between the last price and the close of the newest minute, in % of that close."""
MINUTE = timedelta(minutes=1)


class Snapshots:
    """`pause` waits that many seconds between two looks at a snapshot; `clock` gives the time in UTC."""

    def __init__(self, tools: Tools, clock: Callable[[], datetime], pause: Callable[[float], Awaitable[None]]) -> None:
        self._tools = tools
        self._clock = clock
        self._pause = pause
        self._histories = asyncio.Semaphore(MOST_HISTORIES)
        self._under_way = asyncio.Semaphore(MOST_QUOTES)

    async def quote(self, conid: int) -> Quote | None:
        """Last, bid and ask of a contract, in its currency; None where it has none of them, or no name.

        Raises:
            Terminal: the answer is an error, or about another contract.
            Retryable: there was no answer.
        """
        async with self._under_way:
            return await self._quote(conid)

    async def _quote(self, conid: int) -> Quote | None:
        prices = await self._look(conid)
        for _ in range(MOST_LOOKS - 1):
            if _is_whole(prices):
                break
            await self._pause(PAUSE_SECONDS)
            prices = await self._look(conid)
        if not prices.symbol or (prices.last_price, prices.bid, prices.ask) == (None, None, None):
            return None
        quote = understood(Tool.GET_MARKET_SNAPSHOT, lambda: read_prices(prices))
        return quote if quote.as_of else quote.model_copy(update={"as_of": await self._time_of(quote)})

    async def _look(self, conid: int) -> BarePrices:
        def read(got: BareSnapshot) -> BarePrices:
            if got.snapshot.conid != conid:
                raise strange(Tool.GET_MARKET_SNAPSHOT, f"contract {conid}", f"contract {got.snapshot.conid}")
            return got.snapshot

        return await ask(self._tools, Tool.GET_MARKET_SNAPSHOT, BareSnapshot, read, conid=conid)

    async def _time_of(self, quote: Quote) -> datetime | None:
        """When `quote` was true; a history that cannot be had or believed costs the time, not the run."""

        def read(got: History) -> list[Bar]:
            if got.conid != quote.conid:
                raise strange(Tool.GET_HISTORY, f"contract {quote.conid}", f"contract {got.conid}")
            complete(Tool.GET_HISTORY, "bars", len(got.bars), got.count)
            return [read_bar(row) for row in got.bars]

        asked = {"conid": quote.conid, "bar": "1min", "period": "1d"}
        try:
            async with self._histories:
                bars = await ask(self._tools, Tool.GET_HISTORY, History, read, **asked)
        except Unreachable:
            raise
        except BrokerError:
            return None
        return time_of(quote, bars, self._clock())


def time_of(quote: Quote, minutes: Sequence[Bar], now: datetime) -> datetime | None:
    """The end of the newest of `minutes`, never after `now`, where it closes within 0.5 % of the last price.

    None where it does not, or begins more than a minute after `now`: then one of the two is not of this market.
    """
    if quote.last is None or not minutes:
        return None
    newest = max(minutes, key=lambda bar: bar.start)
    if newest.close <= 0 or in_percent(abs(quote.last - newest.close), newest.close) > MOST_GAP:
        return None
    return None if newest.start > now + MINUTE else min(newest.start + MINUTE, now)


def _is_whole(prices: BarePrices) -> bool:
    return None not in (prices.symbol, prices.last_price, prices.bid, prices.ask)
