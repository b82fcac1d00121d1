"""ACT, first: the guard. Deterministic and model-free, it alone makes `ApprovedOrder`s.

Every rule is asked of every trade, sales first, each with the orders let through before it; what the broker's what-if
says of the exact order is one of the rules. Where a person is to be asked, nothing is approved before the answer: then
the orders that were shown, and no others, are priced and judged anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple

from langgraph.runtime import Runtime

from brokers.errors import BrokerError
from graph.events import Progress
from graph.journal import Question
from graph.record import Approval
from graph.sense import observe
from graph.state import Context, State
from portfolio.limits import Batch, evidence_of, judge, sales_first
from portfolio.models import (
    ApprovedOrder,
    OrderTerms,
    PortfolioSnapshot,
    ProposedTrade,
    TradePlan,
    Verdict,
    WhatIf,
    all_passed,
)

APPROVAL_LASTS = timedelta(minutes=5)
"""How long an order may be sent on its verdict; afterwards it is judged anew."""


class Judged(NamedTuple):
    """What became of one trade.

    `approved` is the permission to send it, None where it has none; then `terms` is the order that only a person's word
    on a warning of the broker keeps back, if it is that.
    """

    verdict: Verdict
    approved: ApprovedOrder | None
    terms: OrderTerms | None

    @property
    def warning(self) -> str | None:
        """The broker's warning that a person has to approve."""
        if self.terms is None or self.approved:
            return None
        return next(check.actual for check in self.verdict.failures)


async def guard(state: State, runtime: Runtime[Context]) -> State:
    context, snapshot, approval = runtime.context, state["snapshot"], state.get("approval")
    run_id, wanted = state["run_id"], _wanted(state)
    if approval is None:
        context.journal.orders.plan(run_id, snapshot.account.account_id, wanted, context.clock())
    else:
        wanted = _granted(wanted, approval, state["asked"], context)
        if not wanted:
            return {"approved": ()}
        # The process may be another one: nothing is sent beside another run.
        context.claim(snapshot.account.account_id)
    if approval or "thought" in state:
        # A person may have taken hours, a model minutes: nothing is sent on prices and balances from before that.
        snapshot = await observe(snapshot.account, context)
    batch = Batch(
        snapshot,
        context.settings,
        context.trading_day(snapshot),
        shown=None if approval is None else state["asked"],
        accepted_warnings=frozenset(() if approval is None else state["warnings"]),
    )
    judged: list[Judged] = []
    for client_order_id, trade in wanted:
        runtime.stream_writer(Progress(f"judging {trade.side} {trade.quantity} {trade.symbol}"))
        judged.append(await judge_trade(trade, client_order_id, batch, context))
        if judged[-1].terms and (approval is None or judged[-1].approved):
            batch = batch.beside(judged[-1].terms)
    verdicts = tuple(one.verdict for one in judged)
    warnings = tuple(one.warning for one in judged if one.warning)
    why = None if approval else why_asked(batch, warnings) or _why_wanted(state, batch)
    if why:
        context.journal.questions.ask(_question(run_id, batch, why, warnings, context))
        keep(judged, run_id, snapshot, context, final=False)
        asked: State = {"snapshot": snapshot, "verdicts": verdicts, "asked": batch.orders, "warnings": warnings}
        return {**asked, "approved": ()}
    keep(judged, run_id, snapshot, context, final=True)
    approved = tuple(one.approved for one in judged if one.approved)
    done: State = {"snapshot": snapshot, "verdicts": verdicts, "approved": approved}
    return done if batch.day.halted is None else {**done, "halted": batch.day.halted}


async def rehearse(plan: TradePlan, batch: Batch, context: Context) -> tuple[Verdict, ...]:
    """What the guard would say of `plan`, in the order its trades would be sent; nothing is kept or approved."""
    verdicts = []
    for place, trade in enumerate(sales_first(plan), start=1):
        judged = await judge_trade(trade, f"rehearsal-{place}", batch, context)
        verdicts.append(judged.verdict)
        batch = batch.beside(judged.terms) if judged.terms else batch
    return tuple(verdicts)


async def judge_trade(trade: ProposedTrade, client_order_id: str, batch: Batch, context: Context) -> Judged:
    """The verdict on one trade beside the `batch`, and the permission to send it if every rule passed."""
    terms = batch.draft(trade, client_order_id)
    case = batch.case(trade, terms, await _ask_broker(terms, context) if terms else None)
    checks, now = judge(case), context.clock()
    verdict = Verdict(
        client_order_id=client_order_id,
        symbol=trade.symbol,
        side=trade.side,
        quantity=trade.quantity,
        limit_price=case.limit_price,
        judged_at=now,
        evidence=evidence_of(case),
        passed=all_passed(checks),
        checks=checks,
    )
    if terms is None or not verdict.passed:
        return Judged(verdict, None, terms if verdict.awaits_person else None)
    expires_at = now + min(APPROVAL_LASTS, batch.snapshot.session.closes_at - batch.snapshot.as_of)
    approved = ApprovedOrder(terms=terms, evidence=verdict.evidence, approved_at=now, expires_at=expires_at)
    return Judged(verdict, approved, terms)


def keep(judged: Iterable[Judged], run_id: str, snapshot: PortfolioSnapshot, context: Context, *, final: bool) -> None:
    """Write the verdicts down, and what they permit; of a plan that waits for a person, nothing is permitted yet."""
    orders = context.journal.orders
    for one in judged:
        if final and one.approved:
            orders.approve(one.verdict, one.approved, run_id, snapshot)
        elif final or one.terms is None:
            orders.refuse(one.verdict, run_id)
        else:
            orders.keep(one.verdict, run_id)


def why_asked(batch: Batch, warnings: tuple[str, ...]) -> str | None:
    """Why a person has to approve the batch before it is sent; None where nobody is asked."""
    account, settings = batch.snapshot.account, batch.settings
    total = sum((order.value for order in batch.orders), Decimal(0))
    if not batch.orders:
        return None
    if warnings:
        return "the broker warns"
    if settings.require_approval == "always":
        return "every run is to be approved"
    if settings.require_approval == "live" and not account.is_paper:
        return f"{account.account_id} is a live account"
    if settings.approval_above is not None and total > settings.approval_above:
        return f"the orders are worth {total:,.2f} USD together, above {settings.approval_above:,.2f} USD"
    return None


def _why_wanted(state: State, batch: Batch) -> str | None:
    """A plan that came with the run is a proposal: whatever the settings say, a person has the last word."""
    return "it was proposed in a chat" if "wanted" in state and batch.orders else None


async def _ask_broker(terms: OrderTerms, context: Context) -> WhatIf | None:
    """The broker's what-if on the exact order; a failure to answer is its error, never a pass."""
    try:
        return await context.reader.what_if(terms)
    except BrokerError as error:
        return WhatIf(error=str(error))


def _wanted(state: State) -> list[tuple[str, ProposedTrade]]:
    """The trades in the order they would be sent, each with an id made of the run's and its place there."""
    return [(f"{state['run_id']}-{place}", trade) for place, trade in enumerate(sales_first(state["plan"]), start=1)]


def _granted(
    wanted: Iterable[tuple[str, ProposedTrade]], approval: Approval, asked: tuple[OrderTerms, ...], context: Context
) -> list[tuple[str, ProposedTrade]]:
    """The trades a person was shown and said yes to; the others of those shown are at their end."""
    shown = {order.client_order_id for order in asked}
    answered = [(client_order_id, trade) for client_order_id, trade in wanted if client_order_id in shown]
    for client_order_id, trade in answered:
        if not approval.covers(trade.symbol):
            declined = f"not approved: {approval.why}" if approval.why else "not approved"
            why = "left out of the approval" if approval.granted else declined
            context.journal.orders.withdraw(client_order_id, why, context.clock())
    return [(client_order_id, trade) for client_order_id, trade in answered if approval.covers(trade.symbol)]


def _question(run_id: str, batch: Batch, why: str, warnings: tuple[str, ...], context: Context) -> Question:
    """Open for `approval_expires_hours`, and never past the end of the session."""
    now, session = context.clock(), batch.snapshot.session
    longest, to_close = timedelta(hours=context.settings.approval_expires_hours), session.closes_at - session.now
    return Question(
        run_id=run_id,
        account_id=batch.snapshot.account.account_id,
        asked_at=now,
        expires_at=now + min(longest, to_close),
        to_close=to_close < longest,
        why=why,
        orders=batch.orders,
        warnings=warnings,
        command=context.command,
    )
