"""What fills cost against the price of the moment the order was decided on."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from portfolio.models import Amount, Fact, OrderStatus, Side
from portfolio.percent import in_percent

ZERO = Decimal(0)
BASIS_POINTS = 100
"""In one percent."""


class Execution(Fact):
    """How an order of ours ended. `arrival` is the mid of bid and ask when it was decided on, in USD a share."""

    symbol: str
    side: Side
    status: OrderStatus
    quantity: Amount
    filled: Amount
    price: Amount | None
    arrival: Amount | None

    @property
    def slippage(self) -> Decimal | None:
        """What the fill cost above the arrival mid, in USD (Perold 1988: implementation shortfall); below 0: gained."""
        if not self.filled or self.price is None or not self.arrival:
            return None
        return self.side.sign * self.filled * (self.price - self.arrival)


class Executions(Fact):
    """Of many orders: how they ended, and their slippage together in USD and in basis points of what was traded."""

    orders: int
    filled: int
    rejected: int
    cancelled: int
    slippage: Decimal
    slippage_bps: float | None

    @classmethod
    def of(cls, orders: Sequence[Execution]) -> Executions:
        def count(status: OrderStatus) -> int:
            return sum(order.status is status for order in orders)

        measured = [(cost, order) for order in orders if (cost := order.slippage) is not None]
        slippage = sum((cost for cost, _ in measured), ZERO)
        traded = sum((order.filled * order.arrival for _, order in measured if order.arrival), ZERO)
        return cls(
            orders=len(orders),
            filled=count(OrderStatus.FILLED),
            rejected=count(OrderStatus.REJECTED),
            cancelled=count(OrderStatus.CANCELLED),
            slippage=slippage,
            slippage_bps=float(BASIS_POINTS * in_percent(slippage, traded)) if traded else None,
        )
