"""THINK: make a plan from the snapshot, the investor's rules and earlier lessons. Nothing is checked yet."""

from __future__ import annotations

from langgraph.runtime import Runtime

from graph.memory import recall
from graph.state import Context, State
from portfolio.rebalance import baseline_plan


async def think(state: State, runtime: Runtime[Context]) -> State:
    context, snapshot = runtime.context, state["snapshot"]
    lessons = await recall(runtime.store, snapshot.account.account_id, snapshot.as_of) if runtime.store else ()
    plan = baseline_plan(snapshot, context.settings, context.trading_day(snapshot))
    return {"lessons": lessons, "plan": plan}
