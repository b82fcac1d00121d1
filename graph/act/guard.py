"""ACT, first: the guard. Deterministic and model-free, it alone makes `ApprovedOrder`s.

Every rule is asked of every trade, sales first, each with the orders approved before it; what the broker's what-if says
of the exact order is one of the rules.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from langgraph.runtime import Runtime

from brokers.errors import BrokerError
from graph.sense import read_snapshot
from graph.state import Context, State
from portfolio.limits import Case, judge
from portfolio.models import (
    ApprovedOrder,
    PortfolioSnapshot,
    ProposedTrade,
    Side,
    TradePlan,
    Verdict,
    WhatIf,
    all_passed,
)
from portfolio.pricing import marketable_limit


async def guard(state: State, runtime: Runtime[Context]) -> State:
    context, snapshot = runtime.context, state["snapshot"]
    if "approval" in state:
        # A person may have taken hours to answer: nothing is sent on prices and balances from before the question.
        snapshot = await read_snapshot(snapshot.account, context.reader, context.settings)
    lookback = timedelta(hours=context.settings.reversal_cooldown_hours)
    day = context.journal.trading_day(snapshot.account.account_id, snapshot.as_of, lookback)
    verdicts: list[Verdict] = []
    batch: tuple[ApprovedOrder, ...] = ()
    discretionary = Decimal(0)
    for trade in _sales_first(state["plan"]):
        runtime.stream_writer(f"judging {trade.side} {trade.quantity} {trade.symbol}")
        order = _draft(state["run_id"], trade, snapshot, context.settings.limit_offset)
        case = Case(
            trade=trade,
            limit_price=order.limit_price if order else None,
            batch=batch,
            discretionary_value=discretionary,
            snapshot=snapshot,
            settings=context.settings,
            day=day,
            what_if=await _ask_broker(order, context) if order else None,
        )
        verdict = _verdict(case)
        verdicts.append(verdict)
        if verdict.passed and order:
            batch = (*batch, order)
            if not trade.protective:
                discretionary += order.quantity * order.limit_price
    return {"snapshot": snapshot, "verdicts": tuple(verdicts), "approved": batch}


def _sales_first(plan: TradePlan) -> list[ProposedTrade]:
    """Protective exits, then other sales, then purchases; the plan's own order within each."""
    return sorted(plan.trades, key=lambda trade: (not trade.protective, trade.side is Side.BUY))


def _draft(run_id: str, trade: ProposedTrade, snapshot: PortfolioSnapshot, offset: float) -> ApprovedOrder | None:
    """The exact order this trade would be; None when it cannot be one, which the rules then say why."""
    quote, contract = snapshot.quotes.get(trade.symbol), snapshot.contracts.get(trade.symbol)
    if quote is None or contract is None or trade.quantity <= 0:
        return None
    limit_price = marketable_limit(trade.side, quote, contract, offset)
    if limit_price is None:
        return None
    return ApprovedOrder(
        client_order_id=f"{run_id}-{trade.symbol}-{trade.side}",
        account_id=snapshot.account.account_id,
        conid=contract.conid,
        symbol=trade.symbol,
        side=trade.side,
        quantity=trade.quantity,
        limit_price=limit_price,
    )


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
