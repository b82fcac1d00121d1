"""A plan as the orders it would become, in the order they would be sent: what the guard and every dry run share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from config.settings import Settings
from portfolio.limits.case import Case, TradingDay
from portfolio.limits.rules import OF_THE_TRADE
from portfolio.models import ApprovedOrder, Check, PortfolioSnapshot, ProposedTrade, Side, TradePlan, WhatIf
from portfolio.pricing import marketable_limit


@dataclass(frozen=True)
class Batch:
    """What a run's trades are judged by, and the orders of it let through so far."""

    run_id: str
    snapshot: PortfolioSnapshot
    settings: Settings
    day: TradingDay
    orders: tuple[ApprovedOrder, ...] = ()
    discretionary_value: Decimal = Decimal(0)

    def draft(self, trade: ProposedTrade) -> ApprovedOrder | None:
        """The exact order this trade would be; None when it cannot be one, which the rules then say why."""
        quote, contract = self.snapshot.quotes.get(trade.symbol), self.snapshot.contracts.get(trade.symbol)
        if quote is None or contract is None or trade.quantity <= 0:
            return None
        limit_price = marketable_limit(trade.side, quote, contract, self.settings.limit_offset)
        if limit_price is None:
            return None
        return ApprovedOrder(
            client_order_id=f"{self.run_id}-{trade.symbol}-{trade.side}",
            account_id=self.snapshot.account.account_id,
            conid=contract.conid,
            symbol=trade.symbol,
            side=trade.side,
            quantity=trade.quantity,
            limit_price=limit_price,
        )

    def case(self, trade: ProposedTrade, order: ApprovedOrder | None, what_if: WhatIf | None) -> Case:
        return Case(
            trade=trade,
            limit_price=order.limit_price if order else None,
            batch=self.orders,
            discretionary_value=self.discretionary_value,
            snapshot=self.snapshot,
            settings=self.settings,
            day=self.day,
            what_if=what_if,
        )

    def beside(self, trade: ProposedTrade, order: ApprovedOrder) -> Batch:
        """The batch with one order more."""
        value = Decimal(0) if trade.protective else order.quantity * order.limit_price
        return replace(self, orders=(*self.orders, order), discretionary_value=self.discretionary_value + value)


def sales_first(plan: TradePlan) -> list[ProposedTrade]:
    """Protective exits, then other sales, then purchases; the plan's own order within each."""
    return sorted(plan.trades, key=lambda trade: (not trade.protective, trade.side is Side.BUY))


def first_refusal(plan: TradePlan, snapshot: PortfolioSnapshot, settings: Settings, day: TradingDay) -> Check | None:
    """The first rule about a trade that `plan` would break; None if the guard can only refuse it for other reasons.

    Those are what concerns the run as a whole, such as a live account where paper is wanted, and the broker's what-if.
    """
    batch = Batch("dry-run", snapshot, settings, day)
    for trade in sales_first(plan):
        order = batch.draft(trade)
        checks = (rule(batch.case(trade, order, None)) for rule in OF_THE_TRADE)
        refused = next((check for check in checks if not check.passed), None)
        if refused or order is None:
            return refused
        batch = batch.beside(trade, order)
    return None
