"""ACT, third: send what was approved, one order after the other, and follow each to its end.

Sales come first, and a purchase is sent only if the cash is there by what they really brought.

The intent is on disk before an order leaves. An answer that does not come leaves the order UNKNOWN, never failed, and
nothing more is sent after it, nor after one that still works when it was cancelled: what is out there must be known.
"""

from __future__ import annotations

from datetime import timedelta

from langgraph.runtime import Runtime

from brokers.errors import BrokerError, OutcomeUnknown, Terminal
from graph.failure import describe
from graph.journal import JournalError
from graph.reconcile import not_sent, record_of, unknown
from graph.state import Context, State
from portfolio.limits import why_unfunded
from portfolio.models import ApprovedOrder, BrokerOrder, OrderRecord, Side

LOOK_SECONDS = 0.25


async def order(state: State, runtime: Runtime[Context]) -> State:
    context, snapshot = runtime.context, state["snapshot"]
    day = context.trading_day(snapshot)
    records: list[OrderRecord] = []
    for approved in state["approved"]:
        if approved.side is Side.BUY and (why := why_unfunded(approved, snapshot, context.settings, day, records)):
            records.append(not_sent(approved, why))
            continue
        try:
            await _prove_account(approved, context)
        except BrokerError as error:
            # Raising would lose what is already done; the failure travels beside it.
            return {"orders": tuple(records), "failure": describe("order", error)}
        runtime.stream_writer(f"sending {approved.side} {approved.quantity} {approved.symbol}")
        try:
            context.journal.intend(state["run_id"], approved, state["snapshot"].as_of)
            records.append(await _execute(approved, runtime))
            context.journal.settle(records[-1])
        except JournalError as error:
            return {"orders": tuple(records), "failure": describe("order", error)}
        if records[-1].status.is_unresolved:
            break
    return {"orders": tuple(records)}


async def _prove_account(approved: ApprovedOrder, context: Context) -> None:
    """The session may have changed hands since sense: the account must still be the one the guard judged.

    Raises:
        Terminal: the broker no longer shows that account; nothing more is sent.
    """
    shown = {account.account_id for account in await context.reader.accounts()}
    if approved.account_id not in shown:
        raise Terminal(
            f"{approved.symbol}: the broker now shows {', '.join(sorted(shown)) or 'no account'} instead of "
            f"{approved.account_id}; no more orders were sent. Check who is logged in, and run again."
        )


async def _execute(approved: ApprovedOrder, runtime: Runtime[Context]) -> OrderRecord:
    doubt = f"{approved.symbol}: sent, and then lost sight of"
    try:
        await runtime.context.desk.place(approved)
    except OutcomeUnknown as error:
        doubt = str(error)  # the broker's books may still tell
    except BrokerError as error:
        return not_sent(approved, str(error))
    try:
        return await _follow(approved, runtime)
    except BrokerError as error:
        return unknown(approved, f"{doubt} ({error})")


async def _follow(approved: ApprovedOrder, runtime: Runtime[Context]) -> OrderRecord:
    """Look at the order until it is final; at the deadline cancel what is left, and look once more."""
    context = runtime.context
    deadline = context.clock() + timedelta(seconds=context.settings.fill_timeout_seconds)
    known = await _books(approved, context)
    while known.status.is_working and context.clock() < deadline:
        runtime.stream_writer(f"{approved.symbol}: {known.filled_quantity} of {approved.quantity} filled")
        await context.pause(LOOK_SECONDS)
        known = await _books(approved, context)
    if known.status.is_working:
        await context.desk.cancel(approved.account_id, known.order_id)
        known = await _books(approved, context)
    return record_of(approved, known)


async def _books(approved: ApprovedOrder, context: Context) -> BrokerOrder:
    known = await context.reader.order_status(approved.account_id, approved.client_order_id)
    if known is None:
        raise Terminal("the broker's books do not show it")
    return known
