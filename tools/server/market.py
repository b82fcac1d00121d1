"""The market tools: contracts, prices, history, scans and trading hours."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from pydantic import Field

from brokers.errors import Terminal
from tools.rows.market import (
    BookLevel,
    BookRow,
    CustomScan,
    FoundContract,
    FoundContracts,
    History,
    MarketSnapshot,
    MarketSnapshots,
    OrderBook,
    Scan,
    ScanCodes,
    ScanResultRow,
    SnapshotRow,
    TradingSchedule,
)
from tools.server.base import BrokerTools
from tools.server.parameters import Conid, Conids, Location, MaxResults, OutsideHours, Symbol, Symbols
from tools.wire.market import bar_row, contract_row, scan_row, schedule_row, snapshot_row


class MarketTools(BrokerTools):
    """Read-only tools about the market."""

    async def find_contract(
        self,
        symbol: Symbol,
        sec_type: Annotated[str, Field(description="STK for stocks and ETFs.")] = "STK",
    ) -> FoundContract:
        """The contract of a symbol: its conid, exchange, currency and smallest price step."""
        return contract_row(await self._broker.find_contract(symbol, sec_type))

    async def find_contracts(self, symbols: Symbols) -> FoundContracts:
        """The contracts of many symbols in one call; a symbol without one is left out."""
        found = await asyncio.gather(*map(self._broker.find_contract, symbols), return_exceptions=True)
        rows = []
        for contract in found:
            if isinstance(contract, BaseException):
                if not isinstance(contract, Terminal):
                    raise contract
                continue
            rows.append(contract_row(contract))
        return FoundContracts(contracts=rows, count=len(rows))

    async def get_market_snapshot(self, conid: Conid) -> MarketSnapshot:
        """Bid, ask, last and the day's prices of one contract, USD a share, as of `as_of`.

        `close` is the previous session's close, and `change` and `change_percent` (in %) are against it.
        """
        quotes = await self._broker.quotes([conid])
        row = snapshot_row(quotes[0]) if quotes else SnapshotRow(conid=conid)
        return MarketSnapshot(conid=conid, snapshot=row)

    async def get_market_snapshots(self, conids: Conids) -> MarketSnapshots:
        """Snapshots of many contracts in one call, in the order asked; a contract without a quote is left out."""
        rows = [snapshot_row(quote) for quote in await self._broker.quotes(conids)]
        return MarketSnapshots(snapshots=rows, count=len(rows))

    async def get_history(
        self,
        conid: Conid,
        bar: Annotated[str, Field(description='Length of a bar, such as "1d".')] = "1d",
        period: Annotated[str, Field(description='How far back, such as "5d", "1m", "1y".')] = "1m",
        outside_rth: OutsideHours = True,  # noqa: ARG002, FBT002 - the contract has it, our brokers do not
    ) -> History:
        """Past bars, oldest first: t (milliseconds since 1970), o, h, l, c in USD a share, v in shares."""
        rows = [bar_row(past) for past in await self._broker.history(conid, bar, period)]
        return History(conid=conid, bar=bar, period=period, bars=rows, count=len(rows))

    async def get_order_book(
        self,
        conid: Conid,
        exchange: Annotated[Literal["SMART"] | None, Field(description="SMART or nothing: the best of all.")] = None,
    ) -> OrderBook:
        """The best bid and ask of one contract with their sizes; there is no depth below them."""
        quotes = await self._broker.quotes([conid])
        bids = [BookLevel(price=q.bid, size=q.bid_size, exchange=exchange) for q in quotes if q.bid is not None]
        asks = [BookLevel(price=q.ask, size=q.ask_size, exchange=exchange) for q in quotes if q.ask is not None]
        as_of = quotes[0].as_of if quotes else None
        timestamp = as_of.isoformat() if as_of else None
        return OrderBook(conid=conid, order_book=BookRow(conid=conid, bids=bids, asks=asks, timestamp=timestamp))

    async def get_trading_schedule(self, symbol: Symbol) -> TradingSchedule:
        """Regular trading hours of the session running now, else of the next one, by the broker's own clock."""
        return schedule_row(symbol, await self._broker.session(symbol))

    async def scan_top_gainers(self, max_results: MaxResults = 20, location: Location = "STK.US") -> Scan:
        """The largest gains in % against the previous close, best first."""
        return await self._scan("top_gainers", "TOP_PERC_GAIN", max_results, location)

    async def scan_top_losers(self, max_results: MaxResults = 20, location: Location = "STK.US") -> Scan:
        """The largest losses in % against the previous close, worst first."""
        return await self._scan("top_losers", "TOP_PERC_LOSE", max_results, location)

    async def scan_most_active(self, max_results: MaxResults = 20, location: Location = "STK.US") -> Scan:
        """The most traded, by volume."""
        return await self._scan("most_active", "MOST_ACTIVE", max_results, location)

    async def custom_scan(
        self,
        scan_code: Annotated[str, Field(description="One of get_scan_codes.", min_length=1)],
        max_results: MaxResults = 20,
        location: Location = "STK.US",
    ) -> CustomScan:
        """The market ranked by any of get_scan_codes, best first."""
        rows = await self._scan_rows(scan_code, max_results)
        return CustomScan(scan_type="custom", scan_code=scan_code, location=location, results=rows, count=len(rows))

    async def get_scan_codes(self) -> ScanCodes:
        """What custom_scan can rank the market by."""
        codes = await self._broker.scan_codes()
        return ScanCodes(scan_codes=codes, count=len(codes))

    async def _scan(self, scan_type: str, code: str, limit: int, location: str) -> Scan:
        rows = await self._scan_rows(code, limit)
        return Scan(scan_type=scan_type, location=location, results=rows, count=len(rows))

    async def _scan_rows(self, code: str, limit: int) -> list[ScanResultRow]:
        return [scan_row(found) for found in await self._broker.scan(code, limit)]
