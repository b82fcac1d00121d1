"""`rebalance_method` first_symbol: where a bucket has drifted too far, sell or buy its first tradable symbol.

Plain on purpose: one order a bucket, sized to pass every limit as it stands, the worst drift first. Sales come before
purchases, and purchases count only the cash that is there now, since a sale is money only once it is filled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal, localcontext

from config.settings import Settings, TradingRule
from portfolio.costs import commission
from portfolio.drift import BucketDrift, DriftTable
from portfolio.exposure import ZERO, contracts_held, cost_of, free_cash, held_value
from portfolio.models import Contract, PortfolioSnapshot, ProposedTrade, Side
from portfolio.percent import share_of
from portfolio.pricing import marketable_limit


@dataclass(frozen=True)
class _Tradable:
    """A symbol that could be ordered now, at a limit `price` in USD a share."""

    symbol: str
    contract: Contract
    price: Decimal


@dataclass(frozen=True)
class _Room:
    """What the limits leave for the next trade: USD of turnover and of cash, and the contracts already in."""

    turnover: Decimal
    cash: Decimal
    contracts: frozenset[int]

    def after(self, side: Side, quantity: int, traded: _Tradable) -> _Room:
        turnover = self.turnover - quantity * traded.price
        if side is Side.SELL:
            return _Room(turnover, self.cash, self.contracts)
        cash = self.cash - cost_of(Decimal(quantity), traded.price)
        return _Room(turnover, cash, self.contracts | {traded.contract.conid})


def first_symbol_trades(
    snapshot: PortfolioSnapshot, settings: Settings, table: DriftTable, exited: frozenset[str]
) -> tuple[ProposedTrade, ...]:
    """At most one trade for each bucket outside its band, in none of the symbols that protective exits took."""
    drifted = [
        (rule, bucket)
        for rule, bucket in zip(settings.rules, table.buckets, strict=True)
        if bucket.is_outside(settings.rebalance_threshold)
    ]
    drifted.sort(key=lambda pair: (pair[1].drift < 0, -abs(pair[1].drift)))
    return tuple(_trades(drifted, snapshot, settings, exited))


def _trades(
    drifted: list[tuple[TradingRule, BucketDrift]],
    snapshot: PortfolioSnapshot,
    settings: Settings,
    exited: frozenset[str],
) -> Iterator[ProposedTrade]:
    """One trade a bucket, where the room that those before it leave has place for a share."""
    net, cash = snapshot.summary.net_liquidation, free_cash(snapshot)
    room = _Room(
        turnover=share_of(net, settings.max_portfolio_change),
        cash=ZERO if cash is None else cash - share_of(net, settings.min_cash),
        contracts=contracts_held(snapshot),
    )
    for rule, bucket in drifted:
        side = Side.SELL if bucket.drift > 0 else Side.BUY
        wanted = share_of(net, abs(bucket.drift))
        most = min(wanted, room.turnover, settings.risk_threshold, settings.max_trade_value)
        for offered in _tradable(rule, side, snapshot, settings):
            if offered.symbol in exited:
                continue
            if side is Side.BUY:
                quantity = _purchase(offered, rule, most, room, snapshot, settings)
            else:
                quantity = min(_whole_shares(most, offered.price), int(snapshot.held(offered.symbol)))
            if quantity > 0:
                room = room.after(side, quantity, offered)
                yield ProposedTrade(symbol=offered.symbol, side=side, quantity=quantity, reason=bucket.in_words)
                break


def _tradable(rule: TradingRule, side: Side, snapshot: PortfolioSnapshot, settings: Settings) -> Iterator[_Tradable]:
    """The rule's symbols that have a price and no open order, in its order."""
    for symbol in rule.symbols:
        quote, contract = snapshot.quotes.get(symbol), snapshot.contracts.get(symbol)
        if quote is None or contract is None or snapshot.open_orders_in(symbol):
            continue
        price = marketable_limit(side, quote, contract, settings.limit_offset)
        if price is not None:
            yield _Tradable(symbol, contract, price)


def _purchase(
    offered: _Tradable, rule: TradingRule, most: Decimal, room: _Room, snapshot: PortfolioSnapshot, settings: Settings
) -> int:
    """Shares worth at most `most` USD that the position cap, the number of positions and the cash allow."""
    if len(room.contracts | {offered.contract.conid}) > settings.max_positions:
        return 0
    cap = share_of(snapshot.summary.net_liquidation, rule.max_position_size)
    shares = _whole_shares(min(most, cap - held_value(offered.symbol, offered.price, snapshot)), offered.price)
    if cost_of(Decimal(shares), offered.price) <= room.cash:
        return shares
    return _whole_shares(room.cash - commission(Decimal(shares), offered.price), offered.price)


def _whole_shares(amount: Decimal, price: Decimal) -> int:
    # A quotient that is rounded up could be one share too many.
    with localcontext(rounding=ROUND_FLOOR):
        return max(int(amount / price), 0)
