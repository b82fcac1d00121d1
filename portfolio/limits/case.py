"""What a rule is asked: one trade, the orders of the same batch approved before it, and all it is judged by."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import MAX_PREC, ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from config.rules import ticker
from config.settings import Settings
from portfolio.costs import CENT
from portfolio.limits.tightening import Tightening
from portfolio.models import (
    BrokerOrder,
    Check,
    Contract,
    Fact,
    OrderTerms,
    PortfolioSnapshot,
    Position,
    ProposedTrade,
    Quote,
    Side,
    Utc,
    WhatIf,
)

MOST_SHARES = 10**9 - 1
"""Nobody orders more, and arithmetic with 28 digits is at home below."""


def is_orderable(quantity: int) -> bool:
    """Whether so many shares can be an order at all."""
    return 1 <= quantity <= MOST_SHARES


class PastTrade(Fact):
    """An order of ours that traded: what the cooldown looks at."""

    symbol: str
    side: Side
    traded_at: Utc

    def is_reversed_by(self, later: ProposedTrade | OrderTerms) -> bool:
        """Whether `later` trades the same symbol the other way."""
        return ticker(self.symbol) == ticker(later.symbol) and self.side is not later.side


class TradingDay(Fact):
    """What the journal knows of this account today, besides the snapshot. Money in USD.

    `lowest_net_liquidation` is the lowest a run has seen today.

    `unresolved` are orders of ours that may still be working, whether or not the broker's open orders show them;
    `halted` says why trading is halted, None where it is not. `tightenings` are those in force.
    """

    first_net_liquidation: Decimal | None
    lowest_net_liquidation: Decimal | None = None
    orders_sent: int
    past_trades: tuple[PastTrade, ...]
    unresolved: tuple[OrderTerms, ...] = ()
    halted: str | None = None
    tightenings: tuple[Tightening, ...] = ()


@dataclass(frozen=True)
class Case:
    """One trade, the orders of the same batch already approved before it, and everything it is judged by.

    `accepted_warnings` are the broker's warnings that a person has seen and approved for this run, each written as the
    symbol, a colon, a space and the text.
    """

    trade: ProposedTrade
    limit_price: Decimal | None
    batch: tuple[OrderTerms, ...]
    discretionary_value: Decimal
    snapshot: PortfolioSnapshot
    settings: Settings
    day: TradingDay
    what_if: WhatIf | None
    shown: tuple[OrderTerms, ...] | None = None
    accepted_warnings: frozenset[str] = frozenset()

    @property
    def value(self) -> Decimal | None:
        """The order's value in USD at its limit price; None when there is no sane price or quantity."""
        if self.limit_price is None or self.limit_price <= 0 or not is_orderable(self.trade.quantity):
            return None
        return self.limit_price * self.trade.quantity

    @property
    def net_liquidation(self) -> Decimal:
        return self.snapshot.summary.net_liquidation

    @property
    def quote(self) -> Quote | None:
        return self.snapshot.quotes.get(self.trade.symbol)

    @property
    def contract(self) -> Contract | None:
        return self.snapshot.contracts.get(self.trade.symbol)

    @property
    def positions(self) -> tuple[Position, ...]:
        return self.snapshot.positions_in(self.trade.symbol)

    def working(self, side: Side) -> tuple[BrokerOrder, ...]:
        """The account's open orders on this symbol and side."""
        return tuple(order for order in self.snapshot.open_orders_in(self.trade.symbol) if order.side is side)

    def batched(self, side: Side) -> tuple[OrderTerms, ...]:
        """The batch's earlier orders on this symbol and side."""
        return tuple(order for order in self.same_symbol(self.batch) if order.side is side)

    def same_symbol(self, orders: tuple[OrderTerms, ...]) -> tuple[OrderTerms, ...]:
        return self.snapshot.rows_in(self.trade.symbol, orders)

    def opposite_trades(self) -> tuple[PastTrade, ...]:
        return tuple(past for past in self.day.past_trades if past.is_reversed_by(self.trade))


def answer(rule: str, limit: object, actual: object, unit: str, *, passed: bool | None, why: str) -> Check:
    """A check row; `why` is kept only where the rule did not pass."""
    return Check(rule=rule, limit=str(limit), actual=str(actual), unit=unit, passed=passed, why="" if passed else why)


def not_evaluated(rule: str, limit: object, unit: str, why: str) -> Check:
    """A rule that lacks a fact it needs: never passed."""
    return answer(rule, limit, "-", unit, passed=None, why=why)


def exempt(rule: str, reason: str, unit: str) -> Check:
    """A rule that does not bind this kind of trade."""
    return answer(rule, reason, "exempt", unit, passed=True, why="")


UP, DOWN = Context(prec=MAX_PREC, rounding=ROUND_CEILING), Context(prec=MAX_PREC, rounding=ROUND_FLOOR)


def shown(actual: Decimal, limit: Decimal) -> str:
    """`actual` to two places, rounded away from `limit`, so that a value just beyond it never reads like the limit."""
    return str((UP if actual > limit else DOWN).quantize(actual, CENT))


NO_VALUE = "the order has no price, or no quantity that can be ordered"
