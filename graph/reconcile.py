"""Before anything else, a run finds out what became of the orders that earlier runs left open.

The broker's books decide, as far as they can be believed. An order they do not show may be on its way, so it stays
unknown, and blocks its symbol, until its session is over; day orders do not outlive that.
"""

from __future__ import annotations

from graph.journal import trading_day
from graph.state import Context
from portfolio.models import ApprovedOrder, BrokerOrder, OrderRecord, OrderStatus

NEVER_SEEN = "The broker never saw this order; nothing was placed."


async def settle_earlier_orders(account_id: str, context: Context) -> None:
    unsettled = context.journal.unsettled(account_id)
    if not unsettled:
        return
    today = trading_day((await context.reader.session(unsettled[0].order.symbol)).now)
    for sent in unsettled:
        known = await context.reader.order_status(account_id, sent.order.client_order_id)
        if known:
            context.journal.settle(record_of(sent.order, known))
        elif sent.trading_day < today:
            context.journal.settle(not_sent(sent.order, NEVER_SEEN))


def record_of(order: ApprovedOrder, known: BrokerOrder) -> OrderRecord:
    """The approved order with what the broker's books say of it; UNKNOWN where they speak of something else."""
    if not _is_that_order(order, known) or not _adds_up(order, known):
        return unknown(
            order,
            f"{order.symbol}: the broker's books show {known.side} {known.quantity} {known.symbol}, {known.status}, "
            f"{known.filled_quantity} filled, under the id of {order.side} {order.quantity} {order.symbol}.",
        )
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


def _is_that_order(order: ApprovedOrder, known: BrokerOrder) -> bool:
    return (
        known.client_order_id == order.client_order_id
        and known.account_id == order.account_id
        and known.conid == order.conid
        and known.side is order.side
        and known.quantity == order.quantity
    )


def _adds_up(order: ApprovedOrder, known: BrokerOrder) -> bool:
    """No fill beyond the order, a price for every fill, and FILLED only for the whole of it."""
    filled = known.filled_quantity
    priced = filled == 0 or (known.average_price is not None and known.average_price > 0)
    whole = known.status is not OrderStatus.FILLED or filled == order.quantity
    return 0 <= filled <= order.quantity and priced and whole


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
