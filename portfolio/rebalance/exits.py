"""Protective exits: what hit its rule's stop_loss is sold out, what reached take_profit is trimmed to its share.

A trim waits until the position has outgrown its share by its part of the bucket's band (in a bucket of 20 % with a band
of 5 points by a quarter); a winner would else be shaved every morning its price has risen.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from config.settings import Settings, TradingRule
from portfolio.limits import TradingDay, first_refusal
from portfolio.limits.protection import above_share, gain_of
from portfolio.models import PortfolioSnapshot, Position, ProposedTrade, Side, TradePlan
from portfolio.percent import exact, share_of
from portfolio.pricing import marketable_limit
from portfolio.rebalance.market import DOWN, Rows, whole


@dataclass(frozen=True)
class Exits:
    """The protective sales of one run, and a sentence for each that is due but cannot be made, or not whole."""

    trades: tuple[ProposedTrade, ...]
    notes: tuple[str, ...]

    @property
    def symbols(self) -> frozenset[str]:
        return frozenset(trade.symbol for trade in self.trades)


@dataclass(frozen=True)
class _Due:
    """An exit that the prices ask for: so many shares of one position, and why."""

    position: Position
    quantity: int
    reason: str


def protective_exits(snapshot: PortfolioSnapshot, settings: Settings, day: TradingDay) -> Exits:
    """Every exit that is due, in the order of the rules, each worth at most `max_trade_value` USD."""
    rows = Rows(snapshot)
    trades: list[ProposedTrade] = []
    notes: list[str] = []
    for rule in settings.rules:
        for symbol in rule.symbols:
            about = rows.about(symbol)
            held = about.positions_in(symbol)
            due = _due(held[0], rule, settings, snapshot.summary.net_liquidation) if len(held) == 1 else None
            if due is None:
                continue
            found = _slice(due, symbol, about, settings, day)
            if isinstance(found, str):
                notes.append(found)
                continue
            trades.append(found)
            if found.quantity < due.quantity:
                notes.append(
                    f"{symbol}: {found.quantity} of {due.quantity} shares are sold now and the rest in later runs, "
                    f"since an order may be worth at most max_trade_value, {settings.max_trade_value:,.2f} USD."
                )
    most = max(settings.max_orders_per_day - day.orders_sent, 0)
    notes += [f"{late.symbol}: its exit waits, since max_orders_per_day is reached." for late in trades[most:]]
    return Exits(tuple(trades[:most]), tuple(notes))


def _due(held: Position, rule: TradingRule, settings: Settings, net: Decimal) -> _Due | None:
    gain = gain_of(held)
    if gain is None or held.quantity <= 0:
        return None
    if rule.stop_loss is not None and gain <= exact(rule.stop_loss):
        reason = (
            f"{held.symbol} is {gain:+.1f} % from its average cost, at or below its stop_loss of {rule.stop_loss:g} %"
        )
        return _Due(held, int(held.quantity), reason) if held.quantity >= 1 else None
    if rule.take_profit is not None and gain >= exact(rule.take_profit):
        return _trim(held, rule, settings, net, gain)
    return None


def _trim(held: Position, rule: TradingRule, settings: Settings, net: Decimal, gain: Decimal) -> _Due | None:
    price, above = held.market_price, above_share(held, rule, net)
    part_of_band = (
        share_of(net, rule.share_of(held.symbol)) * exact(settings.rebalance_threshold) / exact(rule.target_allocation)
    )
    if price is None or above <= part_of_band:
        return None
    quantity = whole(above, price, DOWN)
    if quantity < 1 or quantity * price < settings.min_order_value:
        return None
    reason = (
        f"{held.symbol} is {gain:+.1f} % from its average cost, at or above its take_profit of {rule.take_profit:g} %, "
        f"and {above:,.2f} USD above its share of {rule.name}"
    )
    return _Due(held, quantity, reason)


def _slice(
    due: _Due, symbol: str, about: PortfolioSnapshot, settings: Settings, day: TradingDay
) -> ProposedTrade | str:
    """As much of the exit as one order may be, or why there is none."""
    quote, contract = about.quotes.get(symbol), about.contracts.get(symbol)
    limit = marketable_limit(Side.SELL, quote, contract, settings.limit_offset) if quote and contract else None
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
