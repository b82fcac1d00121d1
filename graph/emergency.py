"""Cancel every open order of ours, whatever else goes on.

An order that may still trade is cancelled, also one in a state that nobody knows, and the broker's books say whether it
is over. Whatever goes wrong with one order, the others are gone on with.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from contextlib import suppress

from brokers.errors import BrokerError
from graph.failure import MoreThanOrdered
from graph.journal import JournalError, JournalledOrder
from graph.sightings import held_to, record_of, terms_of, what_became_of
from graph.state import Context
from portfolio.models import BrokerOrder, Fact

OUR_NAMES = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}-\d+(-again)?")
"""The client order ids that this program makes, of run and trade."""
LOOK = "look in the broker's own screens"


class Cancelled(Fact):
    """One open order: whether it is certainly over now, and a sentence about it."""

    done: bool
    words: str


async def cancel_open_orders(context: Context, *, by_name: bool = False) -> tuple[Cancelled, ...]:
    """Ask the broker to cancel every order of ours that may still trade, and look what became of it.

    `by_name` takes those for ours that are called like ours, where the journal of them cannot be read.

    Raises:
        BrokerError: the broker does not say which accounts there are.
    """

    def is_ours(client_order_id: str) -> bool:
        named = OUR_NAMES.fullmatch(client_order_id)
        return bool(named if by_name else context.journal.orders.find(client_order_id))

    told = [
        await _or_why_not(_cancel_journalled(sent, context), _name_of(sent))
        for sent in context.journal.orders.unsettled()
    ]
    accounts = await context.reader.accounts()
    last = next(iter(context.journal.history.accounts()), None)
    if last and last not in {account.account_id for account in accounts}:
        elsewhere = f"The last run was at account {last}, which this broker does not show; name the broker it was at."
        told.append(Cancelled(done=False, words=elsewhere))
    for account in accounts:
        listed = f"the open orders of {account.account_id}"
        try:
            orders = await context.reader.open_orders(account.account_id)
        except BrokerError as error:
            told.append(Cancelled(done=False, words=f"{listed}: they could not be listed ({error}); {LOOK}."))
            continue
        for order in orders:
            if order.client_order_id and is_ours(order.client_order_id):
                name = f"{order.side} {order.quantity:f} {order.symbol} ({order.client_order_id})"
                told.append(await _or_why_not(_cancel(order, name, context), name))
    return tuple(told)


async def _or_why_not(cancelling: Awaitable[Cancelled], name: str) -> Cancelled:
    try:
        return await cancelling
    except Exception as error:  # noqa: BLE001  (no mistake of ours about one order may leave the others working)
        why = str(error) or type(error).__name__
        return Cancelled(done=False, words=f"{name}: it could not be cancelled ({why}); {LOOK}.")


def _name_of(sent: JournalledOrder) -> str:
    return f"{sent.side} {sent.quantity} {sent.symbol} ({sent.client_order_id})"


async def _cancel_journalled(sent: JournalledOrder, context: Context) -> Cancelled:
    name, order_id = _name_of(sent), sent.record and sent.record.broker_order_id
    trouble = "the broker does not show it"
    try:
        known = await what_became_of(sent, context)
    except (BrokerError, MoreThanOrdered) as error:  # it may work all the same, and its id is enough to cancel it
        known, trouble = None, str(error)
    if known:
        record = held_to(sent, record_of(terms_of(sent), known))
        order_id = known.order_id or order_id
        if not record.status.is_unresolved:
            return Cancelled(done=True, words=f"{name}: it is {record.status} already.")
    if not order_id:
        unnamed = "it could not be cancelled, as its id at the broker is not known"
        return Cancelled(done=False, words=f"{name}: {unnamed} ({trouble}); {LOOK}.")
    asked = "its cancellation was sent"
    try:
        await context.desk.cancel(sent.account_id, order_id)
    except BrokerError as error:  # whatever the answer, the books tell
        asked = f"it could not be cancelled ({error})"
    known = await what_became_of(sent, context)
    if known is None:
        return Cancelled(done=False, words=f"{name}: {asked}, and the broker does not show it; {LOOK}.")
    record = held_to(sent, record_of(terms_of(sent), known))
    done = not record.status.is_unresolved
    words = f"{name}: {asked}, and it is {record.status} now{'' if done else f'; {LOOK}'}."
    if done:
        with suppress(JournalError):  # the next run writes it down; what counts here is that it is over
            context.journal.orders.settle(record, context.clock())
    return Cancelled(done=done, words=words)


async def _cancel(order: BrokerOrder, name: str, context: Context) -> Cancelled:
    await context.desk.cancel(order.account_id, order.order_id)
    left = await context.reader.open_orders(order.account_id)
    done = order.order_id not in {one.order_id for one in left}
    return Cancelled(done=done, words=f"{name}: {'cancelled' if done else 'it still works after the cancellation'}.")
