"""Quotes, the clock, trading hours and scanners."""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from ib_async import IB, ScannerSubscription, Ticker

from brokers.errors import BrokerError, Retryable, Terminal
from brokers.tws.contracts import ContractBook, Listed
from brokers.tws.hours import session_at
from brokers.tws.line import Line
from brokers.tws.numbers import number, price
from portfolio.models import Feed, Quote, ScanRow, Session

MOST_AT_ONCE = 40
"""Of the 100 symbols that a login may look at by default, and of the 45 messages a second."""
FEEDS = {1: Feed.LIVE, 2: Feed.FROZEN, 3: Feed.DELAYED, 4: Feed.DELAYED_FROZEN}
DELAY = timedelta(minutes=15)
MOST_SCANNED = 50


class TwsMarket:
    """The market as TWS shows it; quotes are snapshots."""

    def __init__(self, line: Line, contracts: ContractBook) -> None:
        self._line = line
        self._contracts = contracts
        self._quoting = asyncio.Lock()
        self._codes: list[str] = []

    async def quotes(self, conids: Sequence[int]) -> list[Quote]:
        """One for each contract, in the order asked; a quote without prices says why in its `note`."""
        wanted = list(dict.fromkeys(conids))
        listed = await asyncio.gather(*map(self._contracts.by_conid, wanted))
        seen: list[Ticker | BrokerError] = []
        async with self._quoting:  # two snapshots of one contract at the same time would share their prices
            for start in range(0, len(listed), MOST_AT_ONCE):
                seen += await asyncio.gather(*map(self._look, listed[start : start + MOST_AT_ONCE]))
        now = await self._line.now() if seen else None
        found = {one.facts.conid: _quote(one, told, now) for one, told in zip(listed, seen, strict=True)}
        return [found[conid] for conid in conids]

    async def _look(self, listed: Listed) -> Ticker | BrokerError:
        """One symbol's prices, or why there are none: that costs the symbol, and not the others."""
        try:
            return await self._line.ask(_question(listed), lambda ib: _snapshot(ib, listed), self._line.patience.quote)
        except (Terminal, Retryable) as error:
            return error

    async def session(self, symbol: str) -> Session:
        listed = await self._contracts.by_symbol(symbol)
        return session_at(await self._line.now(), listed.hours, listed.zone, listed.facts.symbol)

    async def scan_codes(self) -> list[str]:
        """The codes of all scanners of US stocks."""
        if not self._codes:
            text = await self._line.ask_alone("the scanners", lambda ib: ib.reqScannerParametersAsync())
            try:
                kinds = ET.fromstring(text).iter("ScanType")  # noqa: S314  (TWS on the investor's own machine wrote it)
                self._codes = sorted({code for kind in kinds if (code := kind.findtext("scanCode"))})
            except ET.ParseError as error:
                raise Terminal(f"The list of scanners from TWS cannot be read ({error}).") from error
        return self._codes

    async def scan(self, code: str, limit: int) -> list[ScanRow]:
        wanted = ScannerSubscription(
            numberOfRows=min(max(limit, 1), MOST_SCANNED), instrument="STK", locationCode="STK.US.MAJOR", scanCode=code
        )
        rows = await self._line.ask(f"the scanner {code}", lambda ib: ib.reqScannerDataAsync(wanted))
        named = [row.contractDetails.contract for row in rows]
        return [ScanRow(conid=one.conId, symbol=one.symbol) for one in named if one][: max(limit, 0)]


async def _snapshot(ib: IB, listed: Listed) -> Ticker:
    """The ticker once the snapshot is complete; prices of earlier ones are not left in it."""
    ib.wrapper.tickers.pop(hash(listed.asked), None)
    try:
        (ticker,) = await ib.reqTickersAsync(listed.asked)
    except asyncio.CancelledError:
        with suppress(ConnectionError):
            _forget(ib, listed)
        raise
    return ticker


def _forget(ib: IB, listed: Listed) -> None:
    """End a snapshot that stays incomplete, so that it does not count among the symbols looked at."""
    ticker = ib.wrapper.tickers.get(hash(listed.asked))
    request = ib.wrapper.endTicker(ticker, "snapshot") if ticker else 0
    if request:
        ib.client.cancelMktData(request)


def _question(listed: Listed) -> str:
    return f"the quote of {listed.facts.symbol}"


def _quote(listed: Listed, told: Ticker | BrokerError, now: datetime | None) -> Quote:
    named = {"conid": listed.facts.conid, "symbol": listed.facts.symbol}
    if isinstance(told, BrokerError) or now is None:
        note = str(told).removeprefix(f"{_question(listed)}: ")  # so that one note can stand for many symbols
        return Quote.model_validate({**named, "note": note})
    feed = FEEDS.get(told.marketDataType, Feed.FROZEN)
    return Quote.model_validate(
        {
            **named,
            "bid": price(told.bid),
            "ask": price(told.ask),
            "last": price(told.last),
            "bid_size": number(told.bidSize),
            "ask_size": number(told.askSize),
            "open": price(told.open),
            "high": price(told.high),
            "low": price(told.low),
            "previous_close": price(told.close),
            "volume": number(told.volume),
            "as_of": _as_of(told, feed, now),
            "feed": feed,
        }
    )


def _as_of(ticker: Ticker, feed: Feed, now: datetime) -> datetime | None:
    """When the prices held; a live snapshot is of this moment, whatever the last trade's time."""
    traded = ticker.lastTimestamp or ticker.delayedLastTimestamp
    if feed is Feed.LIVE:
        return now
    if feed is Feed.DELAYED:
        return traded or now - DELAY
    return traded
