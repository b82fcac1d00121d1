"""Before anything else, a run finds out what became of the orders that earlier runs left open.

An order that is not to be seen may be on its way, so it stays unknown, and blocks its symbol, until every source agrees
that nothing happened, or its session is over; day orders do not outlive that.
"""

from __future__ import annotations

from contextlib import suppress

from brokers.errors import BrokerError
from graph.journal import Answer, JournalledOrder, OrderState, trading_day
from graph.sightings import from_shares, held_to, not_sent, record_of, shares_since, terms_of, unknown, what_became_of
from graph.state import Context
from portfolio.models import BrokerOrder, OrderRecord, OrderStatus

NEVER_SEEN = "the broker never saw this order, and the shares held are as they were; nothing was placed"


def close_earlier_plans(account_id: str, run_id: str, context: Context) -> tuple[str, ...]:
    """A new run plans anew: what earlier ones planned and did not send never is, and their questions are closed.

    Says of each question that it is.
    """
    now, superseded = context.clock(), f"superseded by run {run_id}"
    asked = {question.run_id for question in context.journal.questions.open() if question.account_id == account_id}
    for waiting in asked:
        context.journal.questions.answer(waiting, Answer.SUPERSEDED, superseded, now)
    for order in context.journal.orders.unsent(account_id):
        why = superseded if order.run_id in asked else "its run ended before it was sent"
        context.journal.orders.withdraw(order.client_order_id, why, now)
    return tuple(f"The question of run {waiting} is closed, as this run plans anew." for waiting in sorted(asked))


async def settle_earlier_orders(account_id: str, context: Context) -> None:
    """Find out what became of every order that earlier runs left open, as far as it can be told.

    Raises:
        MoreThanOrdered: more shares changed hands than were ordered; trading is halted.
        BrokerError: the broker did not answer; everything stays as it was.
    """
    for sent in context.journal.orders.unsettled(account_id):
        context.journal.orders.settle(held_to(sent, await _settled(sent, context)), context.clock())


async def _settled(sent: JournalledOrder, context: Context) -> OrderRecord:
    terms = terms_of(sent)
    known = await what_became_of(sent, context)
    if known is None and await _is_over(sent, context):
        known = await from_shares(sent, context)  # some brokers show the orders of their own day alone
    if known and known.status.is_unresolved:
        known = await _ended(known, sent, context)
    if known:
        return record_of(terms, known)
    if await _certainly_not_placed(sent, context):
        return not_sent(terms, NEVER_SEEN)
    words, order_id = (sent.record.message, sent.record.broker_order_id) if sent.record else (None, None)
    return unknown(terms, words or f"{terms.symbol}: nobody can tell yet whether this order was placed", order_id)


async def _ended(known: BrokerOrder, sent: JournalledOrder, context: Context) -> BrokerOrder:
    """An order that may still work is cancelled: its run is over, and the rest of it would trade on an old plan."""
    if known.order_id:
        with suppress(BrokerError):  # whatever the answer, the books tell
            await context.desk.cancel(known.account_id, known.order_id)
        known = await what_became_of(sent, context) or known
    if known.status.is_working and await _is_over(sent, context):
        return known.model_copy(update={"status": OrderStatus.CANCELLED, "message": "its session is over"})
    return known


async def _is_over(sent: JournalledOrder, context: Context) -> bool:
    """Whether the session of a day order has passed, by the broker's clock."""
    today = trading_day((await context.reader.session(sent.symbol)).now)
    return sent.trading_day is not None and sent.trading_day < today


async def _certainly_not_placed(sent: JournalledOrder, context: Context) -> bool:
    """Whether every source says so: no such order, shares as they were, and no way left for it to arrive."""
    if await shares_since(sent, context) != 0:
        return False
    return await _is_over(sent, context) or _cannot_arrive_any_more(sent, context)


def _cannot_arrive_any_more(sent: JournalledOrder, context: Context) -> bool:
    """Of an order whose process died over it, before any answer, and the broker with it, whose books are whole.

    A request to a server in another process may still be lying there, however long ago it left.
    """
    return sent.state is OrderState.SUBMITTING and context.alone and context.reader.tells_order_status
