"""The graph: sense → think → act [ guard → approve → order ] → reflect. Wiring, and nothing else.

Every way out leads through reflect: a halt, a closed market and unfit data from sense, a failure from anywhere.
"""

from __future__ import annotations

from typing import Any, Literal

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.errors import NodeError
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.store.base import BaseStore
from langgraph.types import Command

from graph.act.approve import approve
from graph.act.guard import guard
from graph.act.order import order
from graph.failure import describe
from graph.reflect import reflect
from graph.sense import sense
from graph.state import Context, State
from graph.think import think

Graph = CompiledStateGraph[State, Context, State, State]


def build_graph(checkpointer: BaseCheckpointSaver[Any] | None = None, store: BaseStore | None = None) -> Graph:
    # Typed Any because the library's annotation leaves out the `NodeError` it hands to a handler.
    on_failure: Any = _to_reflect
    builder = StateGraph(State, context_schema=Context)
    builder.add_node("sense", sense, error_handler=on_failure)
    builder.add_node("think", think, error_handler=on_failure)
    builder.add_node("act", _act(), error_handler=on_failure)
    builder.add_node("reflect", reflect)
    builder.add_edge(START, "sense")
    builder.add_conditional_edges("sense", _after_sense)
    builder.add_edge("think", "act")
    builder.add_edge("act", "reflect")
    builder.add_edge("reflect", END)
    return builder.compile(checkpointer=checkpointer, store=store, name="smart-trading-agent")


def _act() -> Graph:
    builder = StateGraph(State, context_schema=Context)
    builder.add_node("guard", guard)
    builder.add_node("approve", approve)
    builder.add_node("order", order)
    builder.add_edge(START, "guard")
    builder.add_edge("guard", "approve")
    builder.add_edge("order", END)
    return builder.compile(name="act")


def _after_sense(state: State) -> Literal["think", "reflect"]:
    snapshot = state["snapshot"]
    ready = snapshot.fit_to_trade and snapshot.session.is_open and "halted" not in state
    return "think" if ready else "reflect"


def _to_reflect(_state: State, error: NodeError) -> Command[Literal["reflect"]]:
    return Command(update={"failure": describe(error.node, error.error)}, goto="reflect")
