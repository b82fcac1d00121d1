"""The broker's reading tools as the model holds them: under their own names, by symbol, and for this account alone.

What a server says of its tools never reaches the model, only what they return, and that only as figures and names.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from config.rules import ticker
from graph.think.sheets import Column, Sheet, facts
from graph.think.study import MOST_SYMBOLS, Arguments, ModelTool, NoSuchThing, Study
from portfolio.drift import weight_of
from portfolio.models import Bar, OrderTerms, Quote, Side
from tools.contract import Tool

MOST_BARS = 24
MOST_SCANNED = 20
DOLLARS = 2

Names = Annotated[list[str], Field(min_length=1, max_length=MOST_SYMBOLS)]
Rows = Annotated[int, Field(ge=1, le=MOST_SCANNED)]


class Nothing(Arguments):
    pass


class OneSymbol(Arguments):
    symbol: str


class Symbols(Arguments):
    symbols: Names


class Past(Arguments):
    symbol: str
    period: Literal["5d", "1m", "3m", "6m", "1y"] = "3m"


class Ranking(Arguments):
    max_results: Rows = 10
    scan_code: Annotated[str, Field(min_length=1, max_length=40)]


class OrderIdea(Arguments):
    symbol: str
    side: Side
    quantity: Annotated[int, Field(ge=1, le=1_000_000)]
    price: Annotated[float, Field(gt=0, le=1_000_000)]


async def quotes(asked: Symbols, study: Study) -> tuple[Sheet, ...]:
    reader = study.context.reader
    contracts = {symbol: await reader.find_contract(study.spelt(symbol)) for symbol in dict.fromkeys(asked.symbols)}
    found = await reader.quotes(contract.conid for contract in contracts.values())
    columns = (Column("bid", "USD"), Column("ask", "USD"), Column("last", "USD"), Column("change", "%", DOLLARS))
    rows = [
        (ticker(symbol), (quote.bid, quote.ask, quote.last, _change(quote)))
        for symbol, contract in contracts.items()
        if (quote := found.get(contract.conid))
    ]
    return (Sheet(columns, tuple(rows)),)


def _change(quote: Quote) -> float | None:
    before, now = quote.previous_close, quote.last
    return float(100 * (now - before) / before) if before and now is not None else None


async def history(asked: Past, study: Study) -> tuple[Sheet, ...]:
    bars = await daily_bars(asked.symbol, asked.period, study)
    columns = (Column("close", "USD", DOLLARS), Column("high", "USD", DOLLARS), Column("low", "USD", DOLLARS))
    some = _spread_out(bars, MOST_BARS)
    rows = tuple((f"{bar.start:%Y-%m-%d}", (bar.close, bar.high, bar.low)) for bar in some)
    words = (f"{ticker(asked.symbol)}, {len(some)} of {len(bars)} daily bars",)
    return (Sheet(columns, rows, key="day", words=words),)


async def daily_bars(symbol: str, period: str, study: Study) -> Sequence[Bar]:
    contract = await study.context.reader.find_contract(study.spelt(symbol))
    bars = await study.context.reader.history(contract.conid, "1d", period)
    if not bars:
        raise NoSuchThing(f"{ticker(symbol)}: the broker has no prices of the past {period}")
    return bars


def _spread_out(bars: Sequence[Bar], most: int) -> Sequence[Bar]:
    """At most so many, evenly spread, the last among them."""
    if len(bars) <= most:
        return bars
    step = (len(bars) - 1) / (most - 1)
    return [bars[round(number * step)] for number in range(most)]


async def positions(_asked: Nothing, study: Study) -> tuple[Sheet, ...]:
    held = await study.context.reader.positions(study.snapshot.account.account_id)
    columns = (
        Column("shares", "shares"),
        Column("average_cost", "USD", DOLLARS),
        Column("value", "USD", DOLLARS),
        Column("unrealized", "USD", DOLLARS),
    )
    rows = ((row.symbol, (row.quantity, row.average_cost, row.market_value, row.unrealized_pnl)) for row in held)
    return (Sheet(columns, tuple(rows)),)


async def summary(_asked: Nothing, study: Study) -> tuple[Sheet, ...]:
    told = await study.context.reader.summary(study.snapshot.account.account_id)
    entries = {
        "net_liquidation": told.net_liquidation,
        "cash": told.total_cash,
        "available_funds": told.available_funds,
        "buying_power": told.buying_power,
        "gross_position_value": told.gross_position_value,
        "initial_margin": told.initial_margin,
    }
    shares = ("cash_weight", weight_of(told.total_cash, told.net_liquidation), "%")
    return (facts([*((name, amount, "USD") for name, amount in entries.items()), shares]),)


async def contract(asked: OneSymbol, study: Study) -> tuple[Sheet, ...]:
    found = await study.context.reader.find_contract(study.spelt(asked.symbol))
    named = ("exchange", found.exchange, ""), ("currency", found.currency, ""), ("name", found.name or None, "")
    return (facts([("symbol", found.symbol, ""), *named, ("min_tick", found.min_tick, "USD")], places=4),)


async def custom_scan(asked: Ranking, study: Study) -> tuple[Sheet, ...]:
    columns = (Column("price", "USD", DOLLARS), Column("change", "%", DOLLARS), Column("volume", "shares"))
    found = await study.context.reader.scan(asked.scan_code, asked.max_results)
    return (Sheet(columns, tuple((row.symbol, (row.price, row.change_percent, row.volume)) for row in found)),)


async def what_if(asked: OrderIdea, study: Study) -> tuple[Sheet, ...]:
    """The broker's preview of an order, which is not sent."""
    symbol = study.spelt(asked.symbol)
    found = await study.context.reader.find_contract(symbol)
    terms = OrderTerms(
        client_order_id="what-if",
        account_id=study.snapshot.account.account_id,
        conid=found.conid,
        symbol=symbol,
        side=asked.side,
        quantity=asked.quantity,
        limit_price=Decimal(str(asked.price)),
    )
    told = await study.context.reader.what_if(terms)
    amounts = ("initial_margin_after", "equity_after", "commission")
    words = ("warning", told.warning, ""), ("error", told.error, "")
    return (facts([*((name, getattr(told, name), "USD") for name in amounts), *words]),)


READING_TOOLS = (
    ModelTool("get_market_snapshots", "Bid, ask, last, day's change.", Symbols, quotes),
    ModelTool("get_history", "Daily closes, highs, lows.", Past, history, (Tool.GET_HISTORY,)),
    ModelTool("get_positions", "Holdings, read anew.", Nothing, positions),
    ModelTool("get_portfolio_summary", "Balances, read anew.", Nothing, summary),
    ModelTool("find_contract", "What a symbol is.", OneSymbol, contract),
    ModelTool(
        "custom_scan",
        "Market ranked by TOP_PERC_GAIN, TOP_PERC_LOSE, MOST_ACTIVE or another IB scan code.",
        Ranking,
        custom_scan,
        (Tool.CUSTOM_SCAN,),
    ),
    ModelTool("whatif_order", "Broker's margin preview of a limit order; sends nothing.", OrderIdea, what_if),
)
