"""What a run came to, as the reflection that is shown, and kept in a file of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from config.settings import Settings
from graph.outcome import outcome_of
from graph.record import Outcome, Reflection
from graph.state import Context, State
from portfolio.costs import to_cents
from portfolio.drift import BucketDrift, drift_table
from portfolio.models import OrderRecord, OrderStatus, PortfolioSnapshot
from portfolio.rebalance.pace import out_of_reach


def reflection_of(state: State, taught: tuple[str, ...], context: Context) -> Reflection:
    """The reflection on a run whose state has its `snapshot_after`, and what it `taught`, in sentences."""
    before, after, orders = state.get("snapshot"), state.get("snapshot_after"), state.get("orders", ())
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
        results=tuple(_in_sum(orders, drift_before, drift_after)),
        lessons_learned=taught,
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


def _in_sum(orders: tuple[OrderRecord, ...], before: dict[str, float], after: dict[str, float]) -> Iterator[str]:
    """What the orders came to."""
    if orders:
        yield f"Filled {sum(order.status is OrderStatus.FILLED for order in orders)} of {len(orders)} orders."
        then, now = ({name: drift[name] for name in before.keys() & after.keys()} for drift in (before, after))
        yield f"Total drift went from {_total(then):.1f} to {_total(now):.1f} points."


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
    off = {name: drift for name, drift in after.items() if abs(drift) > settings.rebalance_threshold}
    if off and off.keys() <= _out_of_reach(state, settings):
        names = ", ".join(off)
        return f"Name the holdings that no rule names in one, or sell them: without that {names} stays off target."
    if off:
        words = (
            f"{name} is {abs(drift):.1f} points {'above' if drift > 0 else 'below'}" for name, drift in off.items()
        )
        return f"Run again, for what is still off its target: {', '.join(words)}."
    return "Nothing to do until a bucket drifts again."


def _out_of_reach(state: State, settings: Settings) -> set[str]:
    """Buckets that no run brings back, as what they lack is in holdings of no rule."""
    after = state.get("snapshot_after")
    if after is None:
        return set()
    stuck = out_of_reach(drift_table(after, settings), after.summary.net_liquidation, settings)
    return {bucket.name for bucket in stuck}


def _total(drift: dict[str, float]) -> float:
    return sum(abs(points) for points in drift.values())


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
