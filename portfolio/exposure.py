"""What is held, and what working orders may still take: the arithmetic the plan and the guard's limits share.

Whatever is uncertain counts at its worst: a purchase that may be out there is paid for, a sale is money only once it
has filled, and what was sold short is owed.
"""

from __future__ import annotations

from decimal import Decimal

from portfolio.costs import commission
from portfolio.models import BrokerOrder, OrderTerms, PortfolioSnapshot, Position, Side

ZERO = Decimal(0)


def cost_of(quantity: Decimal, price: Decimal) -> Decimal:
    """What a purchase takes out of the cash, in USD, commission included."""
    return quantity * price + commission(quantity, price)


def cash_change(order: OrderTerms) -> Decimal:
    """What the order brings in when it fills at its limit, in USD, commission taken off; below 0 for a purchase."""
    quantity = Decimal(order.quantity)
    return -order.side.sign * quantity * order.limit_price - commission(quantity, order.limit_price)


def held_value(symbol: str, price: Decimal, snapshot: PortfolioSnapshot) -> Decimal:
    """What is held of `symbol`, in USD, at the dearer of the broker's mark and `price` (USD a share)."""
    positions = snapshot.positions_in(symbol)
    return sum((max(held.market_value or ZERO, held.quantity * price) for held in positions), ZERO)


def contracts_held(snapshot: PortfolioSnapshot) -> frozenset[int]:
    """The contracts that are held, or will be if the working purchases fill."""
    held = {position.conid for position in snapshot.positions if position.quantity != 0}
    return frozenset(held | {order.conid for order in snapshot.open_orders if order.side is Side.BUY})


def free_cash(snapshot: PortfolioSnapshot, unresolved: tuple[OrderTerms, ...] = ()) -> Decimal | None:
    """Cash in USD that is neither promised to a purchase nor owed for shares sold short.

    `unresolved` are orders that may be working though the broker's list of open orders does not show them. None where
    a working purchase or a short position has no price.
    """
    shown = {order.client_order_id for order in snapshot.open_orders}
    lost = [order for order in unresolved if order.side is Side.BUY and order.client_order_id not in shown]
    claims = [
        *(_promised(order) for order in snapshot.open_orders if order.side is Side.BUY),
        *(_owed(position) for position in snapshot.positions if position.quantity < 0),
        *(cost_of(Decimal(order.quantity), order.limit_price) for order in lost),
    ]
    known = [claim for claim in claims if claim is not None]
    return snapshot.summary.total_cash - sum(known, ZERO) if len(known) == len(claims) else None


def _promised(order: BrokerOrder) -> Decimal | None:
    if order.order_type != "LMT" or order.limit_price is None or order.limit_price <= 0:
        return None
    return cost_of(order.remaining, order.limit_price)


def _owed(short: Position) -> Decimal | None:
    return None if short.market_value is None else abs(short.market_value)
