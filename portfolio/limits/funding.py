"""Is the cash for this purchase really there? Asked once more before each purchase is sent.

The guard counts the sales of the batch at their limit prices, since they are sent first. What they brought is only
known once they are final, so here a sale counts for what has filled of it and nothing else: no purchase is made on
credit.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from config.settings import Settings
from portfolio.costs import commission
from portfolio.exposure import ZERO, cost_of, free_cash
from portfolio.limits.case import TradingDay
from portfolio.models import ApprovedOrder, OrderRecord, PortfolioSnapshot
from portfolio.percent import share_of


def why_unfunded(
    purchase: ApprovedOrder,
    snapshot: PortfolioSnapshot,
    settings: Settings,
    day: TradingDay,
    done: Iterable[OrderRecord],
) -> str | None:
    """One sentence where `purchase` would leave less than `min_cash`; None where the cash is there.

    `snapshot` is of before the batch, `done` what has become of the orders sent since.
    """
    before = free_cash(snapshot, day.unresolved)
    if before is None:
        return f"{purchase.symbol}: not bought, since an open purchase or a short position has no price."
    there = before + sum((_brought_in(order) for order in done), ZERO)
    left = there - cost_of(Decimal(purchase.quantity), purchase.limit_price)
    least = share_of(snapshot.summary.net_liquidation, settings.min_cash)
    if left >= least:
        return None
    return (
        f"{purchase.symbol}: not bought, since the sales before it brought too little: {there:,.2f} USD of cash are "
        f"there, and {least:,.2f} USD must be left. The next run plans anew."
    )


def _brought_in(order: OrderRecord) -> Decimal:
    """What the order's fills brought in, in USD, commission taken off; below 0 for a purchase."""
    filled, price = order.filled_quantity, order.average_price
    if filled == 0 or price is None:
        return ZERO
    fee = commission(filled, price) if order.commission is None else order.commission
    return -order.side.sign * filled * price - fee
