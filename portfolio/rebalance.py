"""The rule-based plan: where a bucket has drifted too far, sell or buy its first tradable symbol.

Plain on purpose: one order a bucket, sized to pass every limit as it stands, the worst drift first. Sales come before
purchases, and purchases count only the cash that is there now, since a sale is money only once it is filled.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from config.settings import Settings, TradingRule
from portfolio.costs import commission
from portfolio.drift import BucketDrift, drift_table
from portfolio.models import PortfolioSnapshot, ProposedTrade, Side, TradePlan
from portfolio.percent import share_of
from portfolio.pricing import marketable_limit

SOURCE = "rules"


def first_symbol_plan(snapshot: PortfolioSnapshot, settings: Settings) -> TradePlan:
    """At most one trade for each bucket that is more than `rebalance_threshold` % points off its target."""
    table = drift_table(snapshot, settings)
    drifted = [
        (rule, bucket)
        for rule, bucket in zip(settings.rules, table.buckets, strict=True)
        if abs(bucket.drift) > settings.rebalance_threshold
    ]
    drifted.sort(key=lambda pair: -abs(pair[1].drift))
    trades = tuple(_trades(drifted, snapshot, settings))
    return TradePlan(source=SOURCE, trades=trades, summary=_summary(len(drifted), len(trades), settings))


def _trades(
    drifted: list[tuple[TradingRule, BucketDrift]], snapshot: PortfolioSnapshot, settings: Settings
) -> Iterator[ProposedTrade]:
    net = snapshot.summary.net_liquidation
    turnover = share_of(net, settings.max_portfolio_change)
    cash = snapshot.summary.total_cash - share_of(net, settings.min_cash)
    for rule, bucket in (pair for pair in drifted if pair[1].drift > 0):
        sale = _first(rule, bucket, Side.SELL, turnover, snapshot, settings)
        if sale:
            trade, value = sale
            turnover -= value
            yield trade
    for rule, bucket in (pair for pair in drifted if pair[1].drift < 0):
        purchase = _first(rule, bucket, Side.BUY, min(turnover, cash), snapshot, settings)
        if purchase:
            trade, value = purchase
            turnover -= value
            cash -= value + commission(Decimal(trade.quantity), value / trade.quantity)
            yield trade


def _first(
    rule: TradingRule, bucket: BucketDrift, side: Side, budget: Decimal, snapshot: PortfolioSnapshot, settings: Settings
) -> tuple[ProposedTrade, Decimal] | None:
    """The first symbol of `rule` of which at least one share can be traded, with the trade's value in USD."""
    wanted = share_of(snapshot.summary.net_liquidation, abs(bucket.drift))
    most = min(wanted, budget, settings.risk_threshold, settings.max_trade_value)
    for symbol in rule.symbols:
        priced = _limit_price(symbol, side, snapshot, settings)
        if priced is None or any(order.symbol == symbol for order in snapshot.open_orders):
            continue
        if side is Side.BUY:
            room = min(most, _room(rule, symbol, snapshot))
            shares = _affordable(int(max(room, Decimal(0)) / priced), priced, budget)
        else:
            shares = min(int(max(most, Decimal(0)) / priced), int(snapshot.held(symbol)))
        if shares > 0:
            return ProposedTrade(symbol=symbol, side=side, quantity=shares, reason=_reason(bucket)), shares * priced
    return None


def _limit_price(symbol: str, side: Side, snapshot: PortfolioSnapshot, settings: Settings) -> Decimal | None:
    quote, contract = snapshot.quotes.get(symbol), snapshot.contracts.get(symbol)
    if quote is None or contract is None:
        return None
    return marketable_limit(side, quote, contract, settings.limit_offset)


def _room(rule: TradingRule, symbol: str, snapshot: PortfolioSnapshot) -> Decimal:
    """USD that may still be added to `symbol` under the rule's position cap."""
    cap = share_of(snapshot.summary.net_liquidation, rule.max_position_size)
    position = snapshot.position(symbol)
    return cap - ((position.market_value if position else None) or Decimal(0))


def _affordable(shares: int, price: Decimal, budget: Decimal) -> int:
    """As many of `shares` as the budget pays for, commission included."""
    while shares > 0 and shares * price + commission(Decimal(shares), price) > budget:
        shares -= 1
    return shares


def _reason(bucket: BucketDrift) -> str:
    direction = "above" if bucket.drift > 0 else "below"
    return (
        f"{bucket.name} is at {bucket.weight:.1f} %, {abs(bucket.drift):.1f} points {direction} "
        f"its target of {bucket.target:g} %"
    )


def _summary(drifted: int, trades: int, settings: Settings) -> str:
    if not drifted:
        return f"Every bucket is within {settings.rebalance_threshold:g} points of its target."
    if not trades:
        return f"{drifted} of {len(settings.rules)} buckets off target, but no whole share fits the limits."
    return f"{drifted} of {len(settings.rules)} buckets off target; {trades} trade(s) towards it."
