"""What the market tools answer: contracts, prices, history, scans, trading hours."""

# ruff: noqa: N815 - the keys are the contract's, not ours

from __future__ import annotations

from portfolio.models import Utc
from tools.rows.base import Number, Row


class FoundContract(Row):
    """`sec_type`, `currency`, `name` and `min_tick` (smallest price step) come from our server only."""

    conid: int
    symbol: str
    exchange: str
    sec_type: str | None = None
    currency: str | None = None
    name: str | None = None
    min_tick: Number | None = None


class FoundContracts(Row):
    """Those of the symbols asked for that have a contract."""

    contracts: list[FoundContract]
    count: int


class SnapshotRow(Row):
    """Prices per share; `close` is the previous session's, `change` is against it.

    From our server only: `as_of`; `feed`, one of live, frozen, delayed and delayed_frozen; and `note`, which says why
    there are no prices.
    """

    conid: int
    symbol: str | None = None
    last_price: Number | None = None
    bid: Number | None = None
    ask: Number | None = None
    bid_size: Number | None = None
    ask_size: Number | None = None
    volume: Number | None = None
    change: Number | None = None
    change_percent: Number | None = None
    high: Number | None = None
    low: Number | None = None
    open: Number | None = None
    close: Number | None = None
    as_of: Utc | None = None
    feed: str | None = None
    note: str | None = None


class MarketSnapshot(Row):
    conid: int
    snapshot: SnapshotRow


class BarePrices(Row):
    """What is believed of the snapshot of a server whose other prices may not be what they are called."""

    conid: int
    symbol: str | None = None
    last_price: Number | None = None
    bid: Number | None = None
    ask: Number | None = None
    as_of: Utc | None = None


class BareSnapshot(Row):
    conid: int
    snapshot: BarePrices


class MarketSnapshots(Row):
    snapshots: list[SnapshotRow]
    count: int


class BarRow(Row):
    """One bar; `t` is its beginning in milliseconds since 1970, UTC."""

    t: int
    o: Number
    h: Number
    l: Number  # noqa: E741 - the contract's own key
    c: Number
    v: Number | None = None


class History(Row):
    conid: int
    bar: str
    period: str
    bars: list[BarRow]
    count: int


class BookLevel(Row):
    price: Number | None = None
    size: Number | None = None
    exchange: str | None = None


class BookRow(Row):
    conid: int
    bids: list[BookLevel]
    asks: list[BookLevel]
    timestamp: str | None = None


class OrderBook(Row):
    conid: int
    order_book: BookRow


class ScanResultRow(Row):
    conid: int | None = None
    symbol: str | None = None
    contractDesc: str | None = None
    secType: str | None = None
    exchange: str | None = None
    currency: str | None = None
    price: Number | None = None
    change: Number | None = None
    changePercent: Number | None = None
    volume: Number | None = None


class Scan(Row):
    scan_type: str
    location: str
    results: list[ScanResultRow]
    count: int


class CustomScan(Scan):
    scan_code: str


class ScanCodes(Row):
    scan_codes: list[str]
    count: int


class TradingSchedule(Row):
    """Regular hours, UTC, of the session running `now`, else of the next one. `exchange` is a market code (MIC)."""

    symbol: str
    exchange: str
    timezone: str
    now: Utc
    is_open: bool
    opens_at: Utc
    closes_at: Utc
