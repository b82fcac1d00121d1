"""How a run ended: one word for the exit code and the scripts, and one sentence for the investor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from graph.record import Outcome
from graph.state import State
from portfolio.models import OrderStatus, Verdict

OF_THE_ACCOUNT = frozenset({"account_kind", "whatif"})
"""Rules that fail over what the account is, or over what its broker says, and not over how the investor limits it."""

Ending = tuple[Outcome, str]


def outcome_of(state: State, *, waiting: bool, stopped: bool) -> Ending:
    """How the run ended; an order nobody can account for outranks everything but the halt that it led to."""
    failure = state.get("failure")
    if failure and failure.halted_trading:
        return failure.outcome, failure.message
    if lost := _lost(state):
        return Outcome.ORDER_UNKNOWN, lost
    if failure:
        return failure.outcome, failure.message
    return (
        _kept_from_trading(state)
        or (_waiting(state) if waiting else None)
        or _not_to_be_sent(state)
        or _traded(state, stopped=stopped)
    )


def _lost(state: State) -> str | None:
    """A sentence about an order of this run, or of an earlier one, that may still be out there."""
    advice = (
        "Look in the broker's own screens, then settle it: `smart-agent orders resolve {} --as filled`, or not-sent."
    )
    for order in state.get("orders", ()):
        if order.status.is_unresolved:
            words = order.message or f"{order.side} {order.quantity} {order.symbol} still works after it was cancelled."
            return f"{words} {advice.format(order.client_order_id)}"
    for terms in state.get("unresolved", ()):
        return (
            f"{terms.symbol}: what became of the earlier order {terms.client_order_id} ({terms.side} {terms.quantity}) "
            f"is not known, and its symbol is not traded until it is. {advice.format(terms.client_order_id)}"
        )
    return None


def _kept_from_trading(state: State) -> Ending | None:
    """Before any plan was made."""
    snapshot = state["snapshot"]
    if "halted" in state:
        why = f"Trading is halted: {state['halted']}. Nothing was sent; `smart-agent resume` lets it go on."
        return Outcome.HALTED, why
    if not snapshot.fit_to_trade:
        why = "; ".join(check.why for check in snapshot.data_quality if check.required and not check.passed)
        return Outcome.DATA_UNFIT, f"The data is not fit to trade on: {why}. Nothing was traded."
    if not snapshot.session.is_open:
        opens = snapshot.session.opens_at
        return Outcome.MARKET_CLOSED, f"The market is closed until {opens:%a %Y-%m-%d %H:%M} UTC; nothing was sent."
    return None


def _waiting(state: State) -> Ending:
    count, run_id = len(state["asked"]), state["run_id"]
    return Outcome.WAITING_FOR_APPROVAL, (
        f"{count} order{'s wait' if count > 1 else ' waits'} for approval; nothing was sent. "
        f"See `smart-agent pending`, and answer with `smart-agent approve {run_id}` or `smart-agent reject {run_id}`."
    )


def _not_to_be_sent(state: State) -> Ending | None:
    """A plan without trades, or one that a person did not want."""
    approval = state.get("approval")
    if not state["plan"].trades:
        return Outcome.NOTHING_TO_DO, state["plan"].why_empty
    if approval and approval.expired:
        return Outcome.EXPIRED, f"The orders were not approved in time ({approval.why}); nothing was sent."
    if approval and not approval.granted:
        why = f" ({approval.why})" if approval.why else ""
        return Outcome.DECLINED, f"The orders were declined{why}; nothing was sent."
    return None


def _traded(state: State, *, stopped: bool) -> Ending:
    orders = state.get("orders", ())
    done = f"{sum(order.status is OrderStatus.FILLED for order in orders)} of {len(state['plan'].trades)} trades"
    if stopped:
        return Outcome.INTERRUPTED, f"Stopped as asked, with {done} completed; the rest was not sent."
    if not state["approved"]:
        return _all_refused(state["verdicts"])
    if any(order.filled_quantity > 0 for order in orders):
        return Outcome.TRADED, f"Completed {done}."
    if all(order.status is OrderStatus.REJECTED for order in orders):
        return Outcome.REFUSED, f"The broker rejected {_all(orders, 'order')} ({_listed(o.message for o in orders)})."
    none = "The order was not" if len(orders) == 1 else f"None of {len(orders)} orders was"
    return Outcome.NOTHING_FILLED, f"{none} filled."


def _all_refused(verdicts: Sequence[Verdict]) -> Ending:
    """That the investor's limits refuse every trade is as it should be; what stands against the account is not.

    Why is told by our own rules first, as they are told shortest.
    """
    is_account = all(any(check.rule in OF_THE_ACCOUNT for check in verdict.failures) for verdict in verdicts)
    failures = [check for verdict in verdicts for check in verdict.failures]
    why = _listed(check.why for check in sorted(failures, key=lambda check: check.rule == "whatif"))
    outcome = Outcome.REFUSED if is_account else Outcome.NOTHING_APPROVED
    return outcome, f"The guard refused {_all(verdicts, 'trade')} ({why}); nothing was sent."


def _all(things: Sequence[object], noun: str) -> str:
    return f"the {noun}" if len(things) == 1 else f"all {len(things)} {noun}s"


def _listed(reasons: Iterable[str | None]) -> str:
    """The first of them, each once."""
    first, *more = dict.fromkeys(filter(None, reasons)) or ("no reason was given",)
    return f"{first.rstrip('.')}, and {len(more)} more" if more else first.rstrip(".")
