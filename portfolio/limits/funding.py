"""Is the cash for this purchase really there? Asked once more before each purchase is sent.

The guard counts the sales of the batch at their limit prices, since they are sent first. What they brought is only
known once they are final, so here a sale counts for what has filled of it and nothing else: no purchase is made on
credit, and one that is too large is made smaller.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from decimal import Decimal

from config.settings import Settings
from portfolio.costs import commission
from portfolio.exposure import ZERO, cost_of, free_cash
from portfolio.limits.case import TradingDay
from portfolio.models import OrderRecord, OrderTerms, PortfolioSnapshot
from portfolio.percent import share_of


def affordable(
    purchase: OrderTerms,
    snapshot: PortfolioSnapshot,
    settings: Settings,
    day: TradingDay,
    done: Iterable[OrderRecord],
) -> int:
    """The most shares of `purchase` that leave `min_cash`, at its limit price; never more than it asks for.

    `snapshot` and `day` are of before the batch, `done` what has become of the orders sent since. 0 where nobody can
    tell, since an open purchase or a short position has no price.
    """
    left = spendable(snapshot, settings, day, done)
    if left is None:
        return 0
    shares = range(purchase.quantity + 1)
    return max(bisect_right(shares, left, key=lambda count: cost_of(Decimal(count), purchase.limit_price)) - 1, 0)


def spendable(
    snapshot: PortfolioSnapshot, settings: Settings, day: TradingDay, done: Iterable[OrderRecord]
) -> Decimal | None:
    """Cash in USD above `min_cash` once `done` is counted, as for `affordable`; None where nobody can tell."""
    before = free_cash(snapshot, day.unresolved)
    if before is None:
        return None
    there = before + sum((_brought_in(order) for order in done), ZERO)
    return there - share_of(snapshot.summary.net_liquidation, settings.min_cash)


def _brought_in(order: OrderRecord) -> Decimal:
    """What the order's fills brought in, in USD, commission taken off; below 0 for a purchase."""
    filled, price = order.filled_quantity, order.average_price
    if filled == 0 or price is None:
        return ZERO
    fee = commission(filled, price) if order.commission is None else order.commission
    return -order.side.sign * filled * price - fee
