"""When an order fills, at what price and how much of it, and when the market will not have it: pure decisions.

A buy fills at the ask and a sale at the bid, never better and never worse, and at most the size shown there at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from brokers.protocol import OrderRequest
from brokers.simulated.market import TICK
from portfolio.costs import commission
from portfolio.models import BrokerOrder, OrderStatus, Quote, Side


@dataclass(frozen=True)
class Match:
    """One fill: shares, USD a share, and the commission of this fill alone."""

    quantity: Decimal
    price: Decimal
    commission: Decimal


def match(order: BrokerOrder, quote: Quote) -> Match | None:
    """The fill `order` gets at this look at the market, None if its limit is not reached or nothing is shown."""
    price, shown = (quote.ask, quote.ask_size) if order.side is Side.BUY else (quote.bid, quote.bid_size)
    if price is None or not shown:
        return None
    if order.limit_price is not None and (price - order.limit_price) * order.side.sign > 0:
        return None
    quantity = min(order.quantity - order.filled_quantity, shown)
    filled = order.filled_quantity + quantity
    average = _average(order, quantity, price)
    return Match(quantity, price, commission(filled, average) - (order.commission or 0))


def filled(order: BrokerOrder, fill: Match) -> BrokerOrder:
    """`order` after `fill`: commission is that of all that has filled, as one order pays it."""
    quantity = order.filled_quantity + fill.quantity
    done = quantity == order.quantity
    return order.model_copy(
        update={
            "status": OrderStatus.FILLED if done else OrderStatus.PARTIAL,
            "filled_quantity": quantity,
            "average_price": _average(order, fill.quantity, fill.price),
            "commission": (order.commission or 0) + fill.commission,
            "message": None,
        }
    )


def unfit(order: OrderRequest) -> str | None:
    """Why no exchange would take `order`, with IB's code and words; None if it would."""
    if order.quantity != order.quantity.to_integral_value():
        return f"10243: Fractional-sized order cannot be placed via API: {order.quantity} shares. Order whole shares."
    if order.limit_price is not None and order.limit_price % TICK:
        return (
            "110: The price does not conform to the minimum price variation for this contract: "
            f"{order.limit_price} is no multiple of {TICK}."
        )
    return None


def _average(order: BrokerOrder, quantity: Decimal, price: Decimal) -> Decimal:
    before = order.filled_quantity * (order.average_price or 0)
    return (before + quantity * price) / (order.filled_quantity + quantity)
