"""THINK: make a plan from the snapshot, the investor's rules and earlier lessons. Nothing is checked yet."""

from __future__ import annotations

from langgraph.runtime import Runtime

from graph.memory import recall
from graph.state import Context, State
from portfolio.rebalance import first_symbol_plan


async def think(state: State, runtime: Runtime[Context]) -> State:
    snapshot = state["snapshot"]
    lessons = await recall(runtime.store, snapshot.account.account_id, snapshot.as_of) if runtime.store else ()
    return {"lessons": lessons, "plan": first_symbol_plan(snapshot, runtime.context.settings)}
