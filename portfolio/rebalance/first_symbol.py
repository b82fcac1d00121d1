"""`rebalance_method` first_symbol: where a bucket has drifted too far, sell or buy its first tradable symbol.

Plain on purpose: one order a bucket, sized to pass every limit as it stands, the worst drift first. Sales come before
purchases, and purchases count only the cash that is there now, since a sale is money only once it is filled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from config.settings import Settings
from portfolio.costs import commission
from portfolio.drift import BucketDrift
from portfolio.exposure import ZERO, cost_of, free_cash
from portfolio.limits import TradingDay, first_refusal
from portfolio.models import PortfolioSnapshot, ProposedTrade, Side, TradePlan
from portfolio.percent import share_of
from portfolio.rebalance.market import DOWN, Market, Room, whole


def first_symbol_trades(
    snapshot: PortfolioSnapshot,
    settings: Settings,
    day: TradingDay,
    market: Market,
    buckets: Sequence[BucketDrift],
    exits: tuple[ProposedTrade, ...],
) -> tuple[ProposedTrade, ...]:
    """At most one trade for each of `buckets` outside its band, as they stand after `exits`."""
    drifted = [number for number, bucket in enumerate(buckets) if bucket.is_outside(settings.rebalance_threshold)]
    drifted.sort(key=lambda number: (buckets[number].drift < 0, -abs(buckets[number].drift)))
    net, cash = snapshot.summary.net_liquidation, free_cash(snapshot, day.unresolved)
    turnover = share_of(net, settings.max_portfolio_change)
    cash = ZERO if cash is None else cash - share_of(net, settings.min_cash)
    trades = exits
    for number in drifted:
        bucket = buckets[number]
        wanted = min(share_of(net, abs(bucket.drift)), turnover)
        for trade, price in _candidates(bucket, number, market, wanted, cash):
            plan = TradePlan(source="first_symbol", trades=(*trades, trade))
            if first_refusal(plan, snapshot, settings, day) is None:
                trades = plan.trades
                turnover -= trade.quantity * price
                cash -= cost_of(Decimal(trade.quantity), price) if trade.side is Side.BUY else ZERO
                break
    return trades[len(exits) :]


def _candidates(
    bucket: BucketDrift, number: int, market: Market, wanted: Decimal, cash: Decimal
) -> Iterator[tuple[ProposedTrade, Decimal]]:
    """A trade worth at most `wanted` USD for each tradable symbol of the bucket, and its limit price, in rule order."""
    side = Side.SELL if bucket.drift > 0 else Side.BUY
    for one in market.tradable:
        room = one.sell if side is Side.SELL else one.buy
        if one.bucket != number or room is None:
            continue
        quantity = min(room.most, whole(wanted, room.price, DOWN))
        if side is Side.BUY:
            quantity = _paid_by(cash, quantity, room)
        if quantity > 0:
            yield ProposedTrade(symbol=one.symbol, side=side, quantity=quantity, reason=bucket.in_words), room.price


def _paid_by(cash: Decimal, quantity: int, room: Room) -> int:
    """As many of `quantity` shares as `cash` USD pay for, commission included."""
    if cost_of(Decimal(quantity), room.price) <= cash:
        return quantity
    return min(quantity, whole(cash - commission(Decimal(quantity), room.price), room.price, DOWN))
