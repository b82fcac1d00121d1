"""Contracts, quotes, bars, scans and trading hours, to and from their rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from portfolio.models import Bar, Contract, Quote, ScanRow, Session
from tools.rows.market import BarePrices, BarRow, FoundContract, ScanResultRow, SnapshotRow, TradingSchedule
from tools.wire.foreign_text import readable

PERCENT_STEP = Decimal("0.0001")
EPOCH = datetime.fromtimestamp(0, UTC)
MILLISECOND = timedelta(milliseconds=1)

# The regular hours of US stocks are those of New York, whichever exchange lists them.
EXCHANGE = "XNYS"
TIMEZONE = "America/New_York"


def contract_row(found: Contract) -> FoundContract:
    return FoundContract(**found.model_dump())


def read_contract(row: FoundContract) -> Contract:
    return Contract(**readable(row).model_dump(exclude_none=True))


def snapshot_row(quote: Quote) -> SnapshotRow:
    change = percent = None
    if quote.last is not None and quote.previous_close:
        change = quote.last - quote.previous_close
        percent = (100 * change / quote.previous_close).quantize(PERCENT_STEP)
    return SnapshotRow(
        last_price=quote.last,
        change=change,
        change_percent=percent,
        close=quote.previous_close,
        **quote.model_dump(exclude={"last", "previous_close"}),
    )


def read_quote(row: SnapshotRow) -> Quote:
    """The prices as the server gives them; whether `close` can be believed is for the reader of that server to say."""
    row = readable(row)
    return Quote(
        last=row.last_price,
        previous_close=row.close,
        **row.model_dump(exclude={"last_price", "close", "change", "change_percent"}),
    )


def read_prices(row: BarePrices) -> Quote:
    row = readable(row)
    return Quote(conid=row.conid, symbol=row.symbol, last=row.last_price, bid=row.bid, ask=row.ask, as_of=row.as_of)


def bar_row(bar: Bar) -> BarRow:
    start = (bar.start - EPOCH) // MILLISECOND
    return BarRow(t=start, o=bar.open, h=bar.high, l=bar.low, c=bar.close, v=bar.volume)


def read_bar(row: BarRow) -> Bar:
    return Bar(start=EPOCH + row.t * MILLISECOND, open=row.o, high=row.h, low=row.l, close=row.c, volume=row.v)


def scan_row(found: ScanRow) -> ScanResultRow:
    return ScanResultRow(
        conid=found.conid,
        symbol=found.symbol,
        contractDesc=found.symbol,
        secType="STK",
        price=found.price,
        change=found.change,
        changePercent=found.change_percent,
        volume=found.volume,
    )


def read_scan(row: ScanResultRow) -> ScanRow:
    row = readable(row)
    return ScanRow(
        conid=row.conid,
        symbol=row.symbol,
        price=row.price,
        change=row.change,
        change_percent=row.changePercent,
        volume=row.volume,
    )


def schedule_row(symbol: str, session: Session) -> TradingSchedule:
    return TradingSchedule(symbol=symbol, exchange=EXCHANGE, timezone=TIMEZONE, **session.model_dump())


def read_schedule(row: TradingSchedule) -> Session:
    return Session(now=row.now, is_open=row.is_open, opens_at=row.opens_at, closes_at=row.closes_at)
