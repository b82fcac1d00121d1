"""ACT, first: the guard. Deterministic and model-free, it alone makes `ApprovedOrder`s.

Every rule is asked of every trade, sales first, each with the orders approved before it; what the broker's what-if says
of the exact order is one of the rules.
"""

from __future__ import annotations

from langgraph.runtime import Runtime

from brokers.errors import BrokerError
from graph.sense import read_snapshot
from graph.state import Context, State
from portfolio.limits import Batch, Case, judge, sales_first
from portfolio.models import ApprovedOrder, Verdict, WhatIf, all_passed


async def guard(state: State, runtime: Runtime[Context]) -> State:
    context, snapshot = runtime.context, state["snapshot"]
    if "approval" in state:
        # A person may have taken hours to answer: nothing is sent on prices and balances from before the question.
        snapshot = await read_snapshot(snapshot.account, context.reader, context.settings)
    verdicts: list[Verdict] = []
    batch = Batch(state["run_id"], snapshot, context.settings, context.trading_day(snapshot))
    for trade in sales_first(state["plan"]):
        runtime.stream_writer(f"judging {trade.side} {trade.quantity} {trade.symbol}")
        order = batch.draft(trade)
        what_if = await _ask_broker(order, context) if order else None
        verdict = _verdict(batch.case(trade, order, what_if))
        verdicts.append(verdict)
        if verdict.passed and order:
            batch = batch.beside(trade, order)
    return {"snapshot": snapshot, "verdicts": tuple(verdicts), "approved": batch.orders}


async def _ask_broker(order: ApprovedOrder, context: Context) -> WhatIf | None:
    """The broker's what-if on the exact order; a failure to answer is its error, never a pass."""
    try:
        return await context.reader.what_if(order)
    except BrokerError as error:
        return WhatIf(error=str(error))


def _verdict(case: Case) -> Verdict:
    checks = judge(case)
    return Verdict(
        symbol=case.trade.symbol,
        side=case.trade.side,
        quantity=case.trade.quantity,
        limit_price=case.limit_price,
        passed=all_passed(checks),
        checks=checks,
    )
