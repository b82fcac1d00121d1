"""Before anything else, a run finds out what became of the orders that earlier runs left open.

The broker's books decide. An order they never saw was not placed; one that still works or cannot be asked about stays
unresolved, and blocks its symbol.
"""

from __future__ import annotations

from graph.state import Context
from portfolio.models import ApprovedOrder, BrokerOrder, OrderRecord, OrderStatus


NEVER_SEEN = "The broker never saw this order; nothing was placed."


async def settle_earlier_orders(account_id: str, context: Context) -> None:
    for order in context.journal.unsettled(account_id):
        known = await context.reader.order_status(account_id, order.client_order_id)
        context.journal.settle(record_of(order, known) if known else not_sent(order, NEVER_SEEN))


def record_of(order: ApprovedOrder, known: BrokerOrder) -> OrderRecord:
    """The approved order with what the broker's books say of it."""
    return OrderRecord(
        client_order_id=order.client_order_id,
        broker_order_id=known.order_id,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        limit_price=order.limit_price,
        status=known.status,
        filled_quantity=known.filled_quantity,
        average_price=known.average_price,
        commission=known.commission,
        message=known.message,
    )


def unknown(order: ApprovedOrder, why: str) -> OrderRecord:
    """The approved order while nobody can tell whether it was placed."""
    return _without_books(order, OrderStatus.UNKNOWN, why)


def not_sent(order: ApprovedOrder, why: str) -> OrderRecord:
    """The approved order when it is certain that the broker never got it."""
    return _without_books(order, OrderStatus.REJECTED, why)


def _without_books(order: ApprovedOrder, status: OrderStatus, why: str) -> OrderRecord:
    return OrderRecord(
        client_order_id=order.client_order_id,
        broker_order_id=None,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        limit_price=order.limit_price,
        status=status,
        message=why,
    )
