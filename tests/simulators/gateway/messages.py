"""Messages to a client that are not about orders, as lists of fields in the order its decoder takes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from portfolio.models import Bar, Contract, Position, Quote, ScanRow
from tests.simulators.gateway.wire import UNSET, Field, Fields

WITH_ADVANCED_REJECT = 166
WITHOUT_SIZE_MULTIPLIER = 164
SUGGESTED_INCREMENT_ONLY = 163
ORDER_TYPES = "ACTIVETIM,ADJUST,ALERT,DAY,LMT,MKT,OPG,STP,STPLMT,TRAIL,WHATIF"
RULE = 26
"""The market rule of US stocks: a cent from 0 USD on."""
ZONE = "US/Eastern"


@dataclass(frozen=True)
class Hours:
    """Of some days, as TWS writes them: with and without the time before and after the regular session."""

    trading: str
    liquid: str


def error(version: int, request: int, code: int, words: str) -> Fields:
    return [4, 2, request, code, words, *([""] if version >= WITH_ADVANCED_REJECT else [])]


# --- accounts ---


def managed_accounts(accounts: Sequence[str]) -> Fields:
    return [15, 1, ",".join(accounts)]


def account_value(account: str, tag: str, value: Field, currency: str) -> Fields:
    return [6, 2, tag, value, currency, account]


def account_value_multi(request: int, account: str, tag: str, value: Field, currency: str) -> Fields:
    return [73, 1, request, account, "", tag, value, currency]


def account_summary(request: int, account: str, tag: str, value: Field, currency: str) -> Fields:
    return [63, 1, request, account, tag, value, currency]


def stock(conid: int, symbol: str, exchange: str, *, right: str = "") -> Fields:
    """A stock as eleven fields; `right` is "?" where orders are told of."""
    return [conid, symbol, "STK", "", 0, right, "", exchange, "USD", symbol, symbol]


def portfolio(account: str, held: Position, exchange: str) -> Fields:
    value = held.market_value
    return [
        7, 8, *stock(held.conid, held.symbol, exchange, right="0"), held.quantity, held.market_price or 0, value or 0,
        held.average_cost, held.unrealized_pnl or 0, held.realized_pnl or 0, account,
    ]  # fmt: skip


def position(account: str, held: Position, exchange: str) -> Fields:
    return [61, 3, account, *stock(held.conid, held.symbol, exchange), held.quantity, held.average_cost]


def pnl(request: int, daily: Decimal, unrealized: Decimal, realized: Decimal | None) -> Fields:
    return [94, request, daily, unrealized, UNSET if realized is None else realized]


def pnl_single(request: int, held: Position, daily: Decimal | None) -> Fields:
    amounts = (daily, held.unrealized_pnl, held.realized_pnl, held.market_value)
    return [95, request, int(held.quantity), *(UNSET if amount is None else amount for amount in amounts)]


# --- contracts and prices ---


def contract_details(version: int, request: int, listed: Contract, exchange: str, hours: Hours) -> Fields:
    is_fund = any(word in listed.name for word in ("ETF", "Trust", "SPDR", "Fund"))
    step = Decimal("0.0001")
    begins: Fields = [10, request] if version >= WITHOUT_SIZE_MULTIPLIER else [10, 8, request]
    multiplier: Fields = [] if version >= WITHOUT_SIZE_MULTIPLIER else [100]
    sizes: Fields = [step, step, 100] if version >= WITHOUT_SIZE_MULTIPLIER else []
    if version == SUGGESTED_INCREMENT_ONLY:
        sizes = [100]
    return [
        *begins, listed.symbol, "STK", "", 0, "", exchange, listed.currency,
        listed.symbol, listed.symbol, listed.symbol, listed.conid, listed.min_tick, *multiplier,
        "", ORDER_TYPES, f"SMART,{listed.exchange}", 1, 0, listed.name, listed.exchange, "", "", "", "", ZONE,
        hours.trading, hours.liquid, "", 0, 0, 1, "", "", f"{RULE},{RULE}", "", "ETF" if is_fund else "COMMON",
        *sizes,
    ]  # fmt: skip


def market_rule(rule: int, step: Decimal) -> Fields:
    return [93, rule, 1, 0, step]


def ticks(request: int, quote: Quote, *, delayed: bool, is_frozen_out: bool = False) -> Iterable[Fields]:
    """All ticks of `quote`; with `is_frozen_out` there is no bid and ask, as in a market that is closed."""
    kinds = {
        "bid": 66, "ask": 67, "last": 68, "high": 72, "low": 73, "close": 75, "open": 76, "volume": 74, "time": 88,
    } if delayed else {
        "bid": 1, "ask": 2, "last": 4, "high": 6, "low": 7, "close": 9, "open": 14, "volume": 8, "time": 45,
    }  # fmt: skip
    for side, price, size in (("bid", quote.bid, quote.bid_size), ("ask", quote.ask, quote.ask_size)):
        yield _price(request, kinds[side], -1 if is_frozen_out else price, 0 if is_frozen_out else size)
    yield _price(request, kinds["last"], quote.last, 100)
    prices = {"high": quote.high, "low": quote.low, "close": quote.previous_close, "open": quote.open}
    for name, price in prices.items():
        yield _price(request, kinds[name], price, 0)
    if quote.volume is not None:
        yield [2, 6, request, kinds["volume"], int(quote.volume)]
    if quote.as_of is not None:
        yield [46, 6, request, kinds["time"], int(quote.as_of.timestamp())]


def _price(request: int, kind: int, price: Decimal | int | None, size: Decimal | int | None) -> Fields:
    return [1, 6, request, kind, -1 if price is None else price, int(size or 0), 0]


def history(request: int, start: str, end: str, bars: Sequence[Bar], dates: Sequence[str]) -> Fields:
    fields: Fields = [17, request, start, end, len(bars)]
    for bar, day in zip(bars, dates, strict=True):
        average = (bar.high + bar.low + bar.close) / 3
        trades = max(int(bar.volume) // 150, 1)
        fields += [day, bar.open, bar.high, bar.low, bar.close, int(bar.volume), round(average, 3), trades]
    return fields


def scan_data(request: int, rows: Sequence[ScanRow]) -> Fields:
    fields: Fields = [20, 3, request, len(rows)]
    for rank, row in enumerate(rows):
        fields += [
            rank, row.conid, row.symbol, "STK", "", 0, "", "SMART", "USD", row.symbol, row.symbol, row.symbol,
            "", "", "", "",
        ]  # fmt: skip
    return fields


def scanner_parameters(codes: Iterable[str]) -> Fields:
    kinds = "".join(
        f"<ScanType><displayName>{code.replace('_', ' ').title()}</displayName><scanCode>{code}</scanCode>"
        "<instruments>STK</instruments></ScanType>"
        for code in codes
    )
    page = (
        '<?xml version="1.0" encoding="UTF-8"?><ScanParameterResponse><InstrumentList varName="instrumentList">'
        "<Instrument><name>US Stocks</name><type>STK</type></Instrument></InstrumentList>"
        f'<ScanTypeList varName="scanTypeList">{kinds}</ScanTypeList></ScanParameterResponse>'
    )
    return [19, 1, page]
