"""Cancel every open order of ours, whatever else goes on."""

from __future__ import annotations

from brokers.errors import BrokerError
from graph.failure import MoreThanOrdered
from graph.journal import JournalError, JournalledOrder
from graph.sightings import record_of, terms_of, what_became_of
from graph.state import Context
from portfolio.models import BrokerOrder, Fact


class Cancelled(Fact):
    """One open order: whether it is certainly over now, and a sentence about it."""

    done: bool
    words: str


async def cancel_open_orders(context: Context) -> tuple[Cancelled, ...]:
    """Ask the broker to cancel every order of ours that may still trade, and look what became of it.

    Raises:
        BrokerError: the broker does not say which orders are open.
    """
    told = [await _cancel_journalled(sent, context) for sent in context.journal.orders.unsettled()]
    left = [
        order
        for account in await context.reader.accounts()
        for order in await context.reader.open_orders(account.account_id)
        if order.client_order_id and context.journal.orders.find(order.client_order_id)
    ]
    return (*told, *[await _cancel(order, context) for order in left])


async def _cancel_journalled(sent: JournalledOrder, context: Context) -> Cancelled:
    name = f"{sent.side} {sent.quantity} {sent.symbol} ({sent.client_order_id})"
    try:
        known = await what_became_of(sent, context)
        if known is None:
            return await _cancel_unseen(sent, name, context)
        if not known.status.is_working:
            return Cancelled(done=True, words=f"{name}: it is {known.status} already.")
        await context.desk.cancel(known.account_id, known.order_id)
        known = await what_became_of(sent, context)
        if known and not known.status.is_working:
            context.journal.orders.settle(record_of(terms_of(sent), known), context.clock())
    except (BrokerError, JournalError, MoreThanOrdered) as error:
        return Cancelled(done=False, words=f"{name}: it could not be cancelled ({error}).")
    done = known is not None and not known.status.is_working
    became = known.status if known else "out of sight"
    return Cancelled(done=done, words=f"{name}: its cancellation was asked for, and it is {became} now.")


async def _cancel_unseen(sent: JournalledOrder, name: str, context: Context) -> Cancelled:
    """An order that the broker does not show is cancelled all the same where its id there is known."""
    order_id, look = sent.record and sent.record.broker_order_id, "look in the broker's own screens"
    if not order_id:
        return Cancelled(done=False, words=f"{name}: the broker does not show it; {look}.")
    await context.desk.cancel(sent.account_id, order_id)
    return Cancelled(done=False, words=f"{name}: its cancellation was sent, and the broker does not show it; {look}.")


async def _cancel(order: BrokerOrder, context: Context) -> Cancelled:
    name = f"{order.side} {order.quantity:f} {order.symbol} ({order.client_order_id})"
    try:
        await context.desk.cancel(order.account_id, order.order_id)
        left = await context.reader.open_orders(order.account_id)
    except BrokerError as error:
        return Cancelled(done=False, words=f"{name}: it could not be cancelled ({error}).")
    done = order.order_id not in {one.order_id for one in left}
    return Cancelled(done=done, words=f"{name}: {'cancelled' if done else 'it still works after the cancellation'}.")
