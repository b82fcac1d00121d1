"""Protective exits: what hit its rule's stop_loss is sold out, what reached take_profit is trimmed to its share.

By the broker's mark and by the quote, as the guard proves it.

A trim waits until the position has outgrown its share by its part of the bucket's band (in a bucket of 20 % with a band
of 5 points by a quarter); a winner would else be shaved every morning its price has risen.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from config.settings import Settings, TradingRule
from portfolio.limits import TradingDay, first_refusal
from portfolio.limits.protection import Gain, above_share, gain_of
from portfolio.models import PortfolioSnapshot, Position, ProposedTrade, Side, TradePlan
from portfolio.percent import exact, share_of
from portfolio.pricing import limit_price_of
from portfolio.rebalance.market import DOWN, Rows, whole


@dataclass(frozen=True)
class Exits:
    """The protective sales of one run, and a sentence for each that is due but cannot be made, or not whole."""

    trades: tuple[ProposedTrade, ...]
    notes: tuple[str, ...]
    symbols: frozenset[str]
    """Those with an exit that is due, or in doubt, whether it can be made or not: they are not to be bought."""
    unfinished: tuple[str, ...]
    """Those whose exit is due and will not be wholly made by `trades`."""


@dataclass(frozen=True)
class _Due:
    """An exit that the prices ask for: so many shares, and why."""

    quantity: int
    reason: str


def protective_exits(snapshot: PortfolioSnapshot, settings: Settings, day: TradingDay) -> Exits:
    """Every exit that is due, in the order of the rules, each worth at most `max_trade_value` USD."""
    rows = Rows(snapshot)
    trades: list[ProposedTrade] = []
    notes: list[str] = []
    symbols: set[str] = set()
    doubted: set[str] = set()
    sold: set[int] = set()
    whole_exits: set[str] = set()
    for rule in settings.rules:
        for symbol in rule.symbols:
            about = rows.about(symbol)
            held = about.positions_in(symbol)
            dues = [due for row in held if (due := _due(symbol, row, rule, settings, about)) is not None]
            if not dues:
                doubts = [why for row in held if (why := _in_doubt(symbol, row, rule, about)) is not None]
                doubted |= {symbol} if doubts else set()
                notes += doubts
                continue
            symbols.add(symbol)
            found = _slice(dues[0], symbol, about, settings, day) if len(held) == 1 else _doubt(dues[0], len(held))
            if isinstance(found, str):
                notes.append(found)
            elif held[0].conid in sold:
                notes.append(f"{dues[0].reason}; it is the same contract as another symbol, and not sold twice.")
            else:
                sold.add(held[0].conid)
                trades.append(found)
                if found.quantity < dues[0].quantity:
                    notes.append(_in_slices(found, dues[0], settings))
                else:
                    whole_exits.add(symbol)
    most = max(settings.max_orders_per_day - day.orders_sent, 0)
    notes += [f"{late.symbol}: its exit waits, since max_orders_per_day is reached." for late in trades[most:]]
    made = whole_exits & {trade.symbol for trade in trades[:most]}
    return Exits(tuple(trades[:most]), tuple(notes), frozenset(symbols | doubted), tuple(sorted(symbols - made)))


def _doubt(due: _Due, rows: int) -> str:
    return f"{due.reason}; it is not sold, since the broker shows it as {rows} positions."


def _in_slices(first: ProposedTrade, due: _Due, settings: Settings) -> str:
    return (
        f"{first.symbol}: {first.quantity} of {due.quantity} shares are sold now, and the rest in later runs if it is "
        f"still due, since an order may be worth at most max_trade_value, {settings.max_trade_value:,.2f} USD."
    )


def _due(
    symbol: str, held: Position, rule: TradingRule, settings: Settings, snapshot: PortfolioSnapshot
) -> _Due | None:
    gain = gain_of(held, snapshot.quotes.get(symbol))
    if gain is None or held.quantity <= 0:
        return None
    if gain.stops(rule):
        away = f"{symbol} is {gain.most:+.1f} % from its average cost"
        return _Due(int(held.quantity), f"{away}, at or below its stop_loss of {rule.stop_loss:g} %")
    if gain.takes_profit(rule):
        return _trim(symbol, held, gain, rule, settings, snapshot.summary.net_liquidation)
    return None


def _in_doubt(symbol: str, held: Position, rule: TradingRule, snapshot: PortfolioSnapshot) -> str | None:
    """Why the position is not sold though its mark or its quote, and not both, is at its stop_loss."""
    gain = gain_of(held, snapshot.quotes.get(symbol))
    if gain is None or held.quantity <= 0 or rule.stop_loss is None or gain.least > exact(rule.stop_loss):
        return None
    return (
        f"{symbol} is {gain.least:+.1f} % from its average cost by one of its mark and its quote, and "
        f"{gain.most:+.1f} % by the other; it is not sold before both are at its stop_loss of {rule.stop_loss:g} %, "
        "and not bought."
    )


def _trim(symbol: str, held: Position, gain: Gain, rule: TradingRule, settings: Settings, net: Decimal) -> _Due | None:
    price, above = gain.low, above_share(symbol, held.quantity * gain.low, rule, net)
    part_of_band = (
        share_of(net, rule.share_of(symbol)) * exact(settings.rebalance_threshold) / exact(rule.target_allocation)
    )
    if above <= part_of_band:
        return None
    quantity = whole(above, price, DOWN)
    if quantity < 1 or quantity * price < settings.min_order_value:
        return None
    away = (
        f"{symbol} is {gain.least:+.1f} % from its average cost, at or above its take_profit of {rule.take_profit:g} %"
    )
    return _Due(quantity, f"{away}, and {above:,.2f} USD above its share of {rule.name}")


def _slice(
    due: _Due, symbol: str, about: PortfolioSnapshot, settings: Settings, day: TradingDay
) -> ProposedTrade | str:
    """As much of the exit as one order may be, or why there is none."""
    if due.quantity < 1:
        return f"{due.reason}; less than one share of it is left, which cannot be sold."
    quote, contract = about.quotes.get(symbol), about.contracts.get(symbol)
    limit = limit_price_of(Side.SELL, quote, contract, settings) if quote and contract else None
    if limit is None:
        return f"{due.reason}; it cannot be sold now, since it has no contract or no limit price."
    most = whole(settings.max_trade_value, limit, DOWN)
    if most < 1:
        return f"{due.reason}; it cannot be sold, since one share is worth more than max_trade_value."
    trade = ProposedTrade(
        symbol=symbol, side=Side.SELL, quantity=min(due.quantity, most), reason=due.reason, protective=True
    )
    refused = first_refusal(TradePlan(source="exits", trades=(trade,)), about, settings, day)
    return f"{due.reason}; it cannot be sold now: {refused.why}." if refused else trade
