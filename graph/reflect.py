"""REFLECT: compare what was intended with what was done, write it down, and leave the next run a lesson.

It runs after every outcome, a failed run's too, and must not fail a run that already traded: what it cannot read it
leaves out.
"""

from __future__ import annotations

import os
import sqlite3
from decimal import Decimal
from pathlib import Path

from langgraph.runtime import Runtime

from brokers.errors import BrokerError
from config.settings import Settings
from graph.history import keep_look
from graph.journal import JournalError
from graph.memory import remember
from graph.outcome import outcome_of
from graph.record import Lesson, Outcome, Reflection
from graph.scoring import keep_and_score
from graph.sense import read_snapshot
from graph.state import Context, State
from portfolio.costs import to_cents
from portfolio.drift import BucketDrift, drift_table
from portfolio.models import OrderRecord, OrderStatus, PortfolioSnapshot


async def reflect(state: State, runtime: Runtime[Context]) -> State:
    context = runtime.context
    after = await _look_again(state, context)
    reflection = _reflection(state, after, context)
    notes: list[str] = []
    if context.settings.save_reflections:
        try:
            write_reflection(reflection, context.reflections)
        except OSError as error:
            notes.append(f"The reflection could not be written to {context.reflections} ({error.strerror}).")
    try:
        if after and state.get("orders"):
            keep_look(after, state["run_id"], context.journal)
        await keep_and_score(state, context)
    except JournalError as error:
        notes.append(f"The account's history could not be kept ({error}).")
    try:
        await _keep_lesson(state, reflection, runtime)
    except (sqlite3.Error, OSError) as error:
        notes.append(f"The lesson of this run could not be kept ({error}).")
    update: State = {"reflection": reflection, "notes": tuple(notes)}
    return update if after is None else {**update, "snapshot_after": after}


async def _keep_lesson(state: State, reflection: Reflection, runtime: Runtime[Context]) -> None:
    """Leave the next run a lesson, if there was anything to learn: a plan, or a failure."""
    snapshot = state.get("snapshot")
    if runtime.store is None or snapshot is None or not ("plan" in state or "failure" in state):
        return
    lesson = Lesson(
        run_id=state["run_id"],
        learned_at=snapshot.as_of,
        statement=" ".join(reflection.lessons_learned),
        evidence=_evidence(reflection),
    )
    await remember(runtime.store, snapshot.account.account_id, lesson)


async def _look_again(state: State, context: Context) -> PortfolioSnapshot | None:
    """The account after the orders; where none was sent it is as it was, and where it cannot be read, None."""
    before = state.get("snapshot")
    if before is None or not state.get("orders"):
        return before
    try:
        return await read_snapshot(before.account, context.reader, context.settings)
    except BrokerError:
        return None


def _reflection(state: State, after: PortfolioSnapshot | None, context: Context) -> Reflection:
    before, orders = state.get("snapshot"), state.get("orders", ())
    failure, settings = state.get("failure"), context.settings
    drift_before, drift_after = _drift(before, settings), _drift(after, settings)
    return Reflection(
        run_id=state["run_id"],
        reflected_at=context.clock(),
        portfolio_value_before=before.summary.net_liquidation if before else None,
        portfolio_value_after=after.summary.net_liquidation if after else None,
        decisions_made=len(state["plan"].trades) if "plan" in state else 0,
        trades_executed=sum(order.filled_quantity > 0 for order in orders),
        successful_trades=sum(order.status is OrderStatus.FILLED for order in orders),
        total_trade_value=to_cents(sum((_traded(order) for order in orders), Decimal(0))),
        commissions=to_cents(sum((order.commission or Decimal(0) for order in orders), Decimal(0))),
        lessons_learned=_lessons(state, drift_before, drift_after),
        next_actions=_next_actions(state, drift_after, settings),
        current_allocations=_allocations(after, settings),
        drift_before={name: round(points, 2) for name, points in drift_before.items()},
        drift_after={name: round(points, 2) for name, points in drift_after.items()},
        failure=failure.message if failure else None,
    )


def _traded(order: OrderRecord) -> Decimal:
    return order.filled_quantity * (order.average_price or Decimal(0))


def _drift(snapshot: PortfolioSnapshot | None, settings: Settings) -> dict[str, float]:
    """In % points, as they are: what is shown is rounded once."""
    return {bucket.name: bucket.drift for bucket in _buckets(snapshot, settings)}


def _allocations(snapshot: PortfolioSnapshot | None, settings: Settings) -> dict[str, float]:
    return {bucket.name: round(bucket.weight, 2) for bucket in _buckets(snapshot, settings)}


def _buckets(snapshot: PortfolioSnapshot | None, settings: Settings) -> list[BucketDrift]:
    """Those of known value."""
    buckets = drift_table(snapshot, settings).buckets if snapshot else ()
    return [bucket for bucket in buckets if not bucket.unvalued]


def _lessons(state: State, before: dict[str, float], after: dict[str, float]) -> tuple[str, ...]:
    failure = state.get("failure")
    if failure:
        return (f"The run broke off in {failure.step}: {failure.message}",)
    orders, verdicts = state.get("orders", ()), state.get("verdicts", ())
    lessons = []
    if "plan" in state and not state["plan"].trades:
        lessons.append(state["plan"].why_empty)
    for verdict in verdicts:
        if not verdict.passed:
            rules = ", ".join(check.rule for check in verdict.failures)
            lessons.append(f"The guard refused {verdict.side} {verdict.quantity} {verdict.symbol} on {rules}.")
    approval = state.get("approval")
    if approval and not approval.granted:
        lessons.append(f"The orders were not approved: {approval.why or 'no reason given'}.")
    filled = [order for order in orders if order.status is OrderStatus.FILLED]
    if orders:
        lessons.append(f"Filled {len(filled)} of {len(orders)} orders.")
        lessons.extend(
            f"{order.symbol}: {order.message.removeprefix(f'{order.symbol}: ')}"
            for order in orders
            if order not in filled and order.message
        )
        then, now = ({name: drift[name] for name in before.keys() & after.keys()} for drift in (before, after))
        lessons.append(f"Total drift went from {_total(then):.1f} to {_total(now):.1f} points.")
    return tuple(lessons)


def _next_actions(state: State, after: dict[str, float], settings: Settings) -> tuple[str, ...]:
    return (_obstacle(state) or _left_to_do(state, after, settings),)


def _obstacle(state: State) -> str | None:
    """What a person has to do, or wait for, before the next run can help."""
    snapshot, (outcome, _) = state.get("snapshot"), outcome_of(state, waiting=False, stopped=False)
    if outcome is Outcome.HALTED:
        return "Run again after `smart-agent resume`."
    if "failure" in state or outcome in (Outcome.DATA_UNFIT, Outcome.REFUSED):
        return "Mend what the message names, then run again."
    if snapshot and not snapshot.session.is_open:
        return f"Run again after {snapshot.session.opens_at:%Y-%m-%d %H:%M} UTC, when the market opens."
    unknown = [order.symbol for order in state.get("orders", ()) if order.status.is_unresolved]
    if unknown:
        return f"Look in the broker's own screens for the order on {', '.join(unknown)}, then run again."
    return None


def _left_to_do(state: State, after: dict[str, float], settings: Settings) -> str:
    plan = state.get("plan")
    if plan and plan.unfinished:
        return f"Run again: the exit of {', '.join(plan.unfinished)} is not finished."
    off = [f"{name} ({drift:+.1f})" for name, drift in after.items() if abs(drift) > settings.rebalance_threshold]
    if off:
        return f"Run again tomorrow: {', '.join(off)} points off target."
    return "Nothing to do until a bucket drifts again."


def _total(drift: dict[str, float]) -> float:
    return sum(abs(points) for points in drift.values())


def _evidence(reflection: Reflection) -> dict[str, str]:
    return {
        "total_trade_value": str(reflection.total_trade_value),
        "commissions": str(reflection.commissions),
        "drift_before": f"{_total(reflection.drift_before):.2f}",
        "drift_after": f"{_total(reflection.drift_after):.2f}",
    }


def write_reflection(reflection: Reflection, folder: Path) -> Path:
    """Write reflection_YYYYMMDD_HHMMSS.json, whole or not at all, never over an older one."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"reflection_{reflection.reflected_at:%Y%m%d_%H%M%S}"
    draft = folder / f".{reflection.run_id}.tmp"
    with draft.open("w", encoding="utf-8") as file:
        file.write(reflection.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    number = 0
    while True:
        target = folder / (f"{stem}_{number}.json" if number else f"{stem}.json")
        try:
            os.link(draft, target)
        except FileExistsError:
            number += 1
            continue
        draft.unlink()
        return target
