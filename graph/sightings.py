"""What became of an order, from everything the broker shows.

The order's own status decides, then its executions. Where a server cannot show either, the list of orders and the
shares held since the intent tell. That an order is not to be seen proves nothing by itself. More shares than were
ordered mean that something sent the order twice: trading halts.
"""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import NoReturn

from pydantic import ValidationError

from config.rules import ticker
from graph.failure import MoreThanOrdered
from graph.journal import JournalledOrder
from graph.state import Context
from portfolio.models import BrokerOrder, Execution, OrderRecord, OrderStatus, OrderTerms


async def what_became_of(sent: JournalledOrder, context: Context) -> BrokerOrder | None:
    """The order as the broker's books show it; None where they do not.

    Raises:
        MoreThanOrdered: more shares changed hands than were ordered; trading is halted.
        BrokerError: the broker did not answer, or with something that cannot be.
    """
    terms, reader = terms_of(sent), context.reader
    if reader.tells_order_status:
        known = await reader.order_status(terms.account_id, terms.client_order_id)
        if known is not None:
            return known
    fills = await reader.executions(terms.account_id, sent.sent_at) if sent.sent_at else None
    ours = [fill for fill in fills or () if fill.client_order_id == terms.client_order_id]
    if ours:
        return _from_fills(terms, ours)
    if reader.tells_order_status:
        return None
    return await from_shares(sent, context)


def _from_fills(terms: OrderTerms, fills: list[Execution]) -> BrokerOrder:
    """The order as its executions tell it; of a part that did not fill they say nothing.

    UNKNOWN where their sum cannot be, as with a fill that was taken back: such an order may still trade.
    """
    filled = sum((fill.quantity for fill in fills), Decimal(0))
    paid = sum((fill.quantity * fill.price for fill in fills), Decimal(0))
    costs = [fill.commission for fill in fills if fill.commission is not None]
    with suppress(ValidationError):  # a price or a commission that cannot be
        if 0 < filled <= terms.quantity and paid > 0:
            return _as_told(
                terms,
                order_id=fills[0].order_id,
                status=OrderStatus.FILLED if filled == terms.quantity else OrderStatus.PARTIAL,
                filled_quantity=filled,
                average_price=paid / filled,
                commission=sum(costs, Decimal(0)) if len(costs) == len(fills) else None,
            )
    told = f"its executions add up to {filled:f} of {terms.quantity} shares for {paid:f} USD"
    return _as_told(
        terms,
        order_id=fills[0].order_id,
        status=OrderStatus.UNKNOWN,
        message=f"{terms.symbol}: {told}, which no order can come to.",
    )


async def from_shares(sent: JournalledOrder, context: Context) -> BrokerOrder | None:
    """From the list of orders and the shares held since: all there is where a server knows no client order ids.

    The price of a fill is not told there; the limit stands in for it, which it cannot be worse than.
    """
    terms, order_id = terms_of(sent), sent.record.broker_order_id if sent.record else None
    listed = await context.reader.find_order(terms, order_id)
    traded = await shares_since(sent, context)
    if traded < 0 or (traded == 0 and listed is None):
        return None
    filled = max(traded, listed.filled_quantity if listed else Decimal(0))
    price = listed.average_price if listed and filled == listed.filled_quantity else None
    so_far = listed.status if listed else OrderStatus.PARTIAL
    return _as_told(
        terms,
        order_id=listed.order_id if listed else order_id or "",
        status=OrderStatus.FILLED if filled == terms.quantity else so_far,
        filled_quantity=filled,
        average_price=price or (terms.limit_price if filled else None),
        commission=None,
        message="its price is not told; the limit is given" if filled and price is None else None,
    )


def _as_told(terms: OrderTerms, **told: object) -> BrokerOrder:
    return BrokerOrder.model_validate(
        {
            **terms.model_dump(include={"client_order_id", "account_id", "conid", "symbol", "side", "quantity"}),
            "limit_price": terms.limit_price,
            "order_type": "LMT",
            **told,
        }
    )


async def shares_since(sent: JournalledOrder, context: Context) -> Decimal:
    """Shares that changed hands in the order's direction since it was about to be sent; below 0: in the other.

    Raises:
        MoreThanOrdered: more than the order asked for; trading is halted.
    """
    terms = terms_of(sent)
    positions = await context.reader.positions(terms.account_id)
    held = sum((row.quantity for row in positions if row.conid == terms.conid), Decimal(0))
    traded = (held - (sent.held_before or Decimal(0))) * terms.side.sign
    if traded > terms.quantity:
        _halt(
            f"{terms.symbol}: {traded:f} shares changed hands where {terms.side} {terms.quantity} was ordered "
            f"({terms.client_order_id})",
            context,
        )
    return traded


async def nothing_beside(sent: JournalledOrder, context: Context) -> Decimal:
    """Hold what the broker shows to what was ordered, once the order is at its end or given up.

    Gives the shares that changed hands in the order's direction.

    Raises:
        MoreThanOrdered: more shares changed hands, or another order of the same terms works; trading is halted.
    """
    traded = await shares_since(sent, context)
    if context.reader.tells_order_status:
        return traded  # such a server takes an order once under its client order id
    terms, order_id = terms_of(sent), sent.record.broker_order_id if sent.record else None
    wanted = (terms.conid, terms.side, Decimal(terms.quantity), terms.limit_price)
    same = [
        order.order_id
        for order in await context.reader.open_orders(terms.account_id)
        if (order.conid, order.side, order.quantity, order.limit_price) == wanted and order.order_id != order_id
    ]
    if len(same) > (order_id is None):  # without a receipt, one of them may be ours
        _halt(
            f"{terms.symbol}: {terms.side} {terms.quantity} was ordered once ({terms.client_order_id}), and the broker "
            f"lists the same as order {', '.join(same)} too",
            context,
        )
    return traded


def _halt(why: str, context: Context) -> NoReturn:
    why = f"{why}, so something sent the order more than once"
    context.journal.halts.halt(why, context.clock())
    raise MoreThanOrdered(
        f"{why}. Trading is halted: look in the broker's own screens, put it right, settle the order with "
        "`smart-agent orders resolve`, and run `smart-agent resume`."
    )


def terms_of(sent: JournalledOrder) -> OrderTerms:
    if sent.approved is None:
        raise ValueError(f"{sent.client_order_id} was never approved, so there is nothing to look for")
    return sent.approved.terms


def record_of(order: OrderTerms, known: BrokerOrder) -> OrderRecord:
    """The approved order with what the broker's books say of it; UNKNOWN where they speak of something else."""
    if not _is_that_order(order, known) or not _adds_up(order, known):
        return unknown(
            order,
            f"{order.symbol}: the broker's books show {known.side} {known.quantity} {known.symbol}, {known.status}, "
            f"{known.filled_quantity} filled, under the id of {order.side} {order.quantity} {order.symbol}.",
        )
    strange = f"{order.symbol}: the broker shows this order in a state that nobody knows."
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
        message=known.message or (strange if known.status is OrderStatus.UNKNOWN else None),
    )


def held_to(sent: JournalledOrder, record: OrderRecord) -> OrderRecord:
    """The record, unless it tells of less than the journal knows to have filled: then nobody can tell what is true.

    What has filled cannot unfill, so it stays on record, and what is left of the order is never ordered again.
    """
    known = sent.record
    if known is None or known.filled_quantity == 0:
        return record
    is_less = record.filled_quantity < known.filled_quantity
    if not is_less and record.status is not OrderStatus.REJECTED:
        return record
    said = f"{record.status}, {record.filled_quantity:f} filled"
    why = f"{record.symbol}: it is shown as {said} where {known.filled_quantity:f} had filled already."
    if record.status.is_unresolved and record.message:
        why = record.message
    fills = known if is_less else record
    return fills.model_copy(update={"status": OrderStatus.UNKNOWN, "message": why})


def _is_that_order(order: OrderTerms, known: BrokerOrder) -> bool:
    return (
        known.client_order_id == order.client_order_id
        and known.account_id == order.account_id
        and known.conid == order.conid
        and ticker(known.symbol) == ticker(order.symbol)
        and known.side is order.side
        and known.quantity == order.quantity
    )


def _adds_up(order: OrderTerms, known: BrokerOrder) -> bool:
    """No fill beyond the order, a price for every fill, and FILLED only for the whole of it."""
    filled = known.filled_quantity
    priced = filled == 0 or (known.average_price is not None and known.average_price > 0)
    whole = known.status is not OrderStatus.FILLED or filled == order.quantity
    return 0 <= filled <= order.quantity and priced and whole


def unknown(order: OrderTerms, why: str, broker_order_id: str | None = None) -> OrderRecord:
    """The approved order while nobody can tell what became of it; its id at the broker is kept where it is known."""
    return _without_books(order, OrderStatus.UNKNOWN, why, broker_order_id)


def submitted(order: OrderTerms, broker_order_id: str | None) -> OrderRecord:
    """The approved order with the broker's receipt in hand, before anything filled."""
    return _without_books(order, OrderStatus.SUBMITTED, None, broker_order_id)


def not_sent(order: OrderTerms, why: str) -> OrderRecord:
    """The approved order when it is certain that the broker never got it."""
    return _without_books(order, OrderStatus.CANCELLED, why)


def settled_by_a_person(sent: JournalledOrder, *, filled: bool) -> OrderRecord:
    """The order as a person says it ended; the limit stands in for a price that was not told.

    What is known to have filled stays filled, whatever the person says of the rest.
    """
    terms, known = terms_of(sent), sent.record
    if not filled and known and known.filled_quantity:
        why = f"a person says that no more of it was filled than {known.filled_quantity:f}"
        return known.model_copy(update={"status": OrderStatus.CANCELLED, "message": why})
    if not filled:
        return not_sent(terms, "a person says that it was not sent")
    why = "a person says that it was filled; its limit is given as the price"
    record = _without_books(terms, OrderStatus.FILLED, why, known.broker_order_id if known else None)
    return record.model_copy(update={"filled_quantity": Decimal(terms.quantity), "average_price": terms.limit_price})


def _without_books(
    order: OrderTerms, status: OrderStatus, why: str | None, broker_order_id: str | None = None
) -> OrderRecord:
    return OrderRecord(
        client_order_id=order.client_order_id,
        broker_order_id=broker_order_id,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        limit_price=order.limit_price,
        status=status,
        message=why,
    )
