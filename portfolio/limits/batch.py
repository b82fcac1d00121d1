"""A plan as the orders it would become, in the order they would be sent: what the guard and every dry run share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from config.settings import Settings
from portfolio.limits.case import Case, TradingDay, is_orderable
from portfolio.limits.rules import OF_THE_TRADE
from portfolio.limits.tightening import tightened
from portfolio.models import Check, OrderTerms, PortfolioSnapshot, ProposedTrade, Side, TradePlan, WhatIf
from portfolio.pricing import limit_price_of


@dataclass(frozen=True)
class Batch:
    """What a run's trades are judged by, and the orders of it let through so far.

    `spent` is what discretionary orders of this run have traded before `snapshot` was read, in USD; `shown` are the
    orders a person has approved, None where nobody was asked.
    `accepted_warnings` are the broker's warnings that a person has approved, as `Case` has them.
    """

    snapshot: PortfolioSnapshot
    settings: Settings
    day: TradingDay
    orders: tuple[OrderTerms, ...] = ()
    spent: Decimal = Decimal(0)
    shown: tuple[OrderTerms, ...] | None = None
    accepted_warnings: frozenset[str] = frozenset()

    def draft(self, trade: ProposedTrade, client_order_id: str = "") -> OrderTerms | None:
        """The exact order this trade would be; None when it cannot be one, which the rules then say why."""
        quote, contract = self.snapshot.quotes.get(trade.symbol), self.snapshot.contracts.get(trade.symbol)
        if quote is None or contract is None or not is_orderable(trade.quantity):
            return None
        limit_price = limit_price_of(trade.side, quote, contract, self.settings)
        if limit_price is None:
            return None
        return OrderTerms(
            client_order_id=client_order_id,
            account_id=self.snapshot.account.account_id,
            conid=contract.conid,
            symbol=trade.symbol,
            side=trade.side,
            quantity=trade.quantity,
            limit_price=limit_price,
            protective=trade.protective,
        )

    def case(self, trade: ProposedTrade, order: OrderTerms | None, what_if: WhatIf | None) -> Case:
        return Case(
            trade=trade,
            limit_price=order.limit_price if order else None,
            batch=self.orders,
            discretionary_value=self.spent + discretionary_value(self.orders),
            snapshot=self.snapshot,
            settings=tightened(self.settings, self.day.tightenings),
            day=self.day,
            what_if=what_if,
            shown=self.shown,
            accepted_warnings=self.accepted_warnings,
        )

    def beside(self, order: OrderTerms) -> Batch:
        """The batch with one order more."""
        return replace(self, orders=(*self.orders, order))


def discretionary_value(orders: Iterable[OrderTerms]) -> Decimal:
    """What the orders are worth at their limits, protective exits aside, in USD."""
    return sum((order.value for order in orders if not order.protective), Decimal(0))


def sales_first(plan: TradePlan) -> list[ProposedTrade]:
    """Protective exits, then other sales, then purchases; the plan's own order within each."""
    return sorted(plan.trades, key=lambda trade: (not trade.protective, trade.side is Side.BUY))


def first_refusal(plan: TradePlan, snapshot: PortfolioSnapshot, settings: Settings, day: TradingDay) -> Check | None:
    """The first rule about a trade that `plan` would break; None if the guard can only refuse it for other reasons.

    Those are what concerns the run as a whole, such as a live account where paper is wanted, and the broker's what-if.
    """
    batch = Batch(snapshot, settings, day)
    for trade in sales_first(plan):
        order = batch.draft(trade)
        checks = (rule(batch.case(trade, order, None)) for rule in OF_THE_TRADE)
        refused = next((check for check in checks if not check.passed), None)
        if refused or order is None:
            return refused
        batch = batch.beside(order)
    return None
