"""The graph: sense → think [ ask ⇄ look_up, weigh ] → act [ guard → approve → order ] → reflect. Wiring only.

Every way out leads through reflect: a halt, a closed market and unfit data from sense, a failure from anywhere.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.errors import NodeError
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore
from langgraph.types import Command

from graph.act.approve import approve
from graph.act.guard import guard
from graph.act.order import order
from graph.failure import describe
from graph.reflect import reflect
from graph.sense import sense
from graph.state import Context, State
from graph.think.ask import ask
from graph.think.look_up import look_up
from graph.think.prepare import prepare
from graph.think.settle import settle
from graph.think.thinking import Thinking, Turn
from graph.think.weigh import weigh

Graph = CompiledStateGraph[State, Context, State, State]
Conversation = CompiledStateGraph[Thinking, Context, State, State]

# A graph inside another takes its durability over, and with "sync" waits for a checkpoint that it does not write.
NOT_KEPT: RunnableConfig = {"configurable": {"__pregel_durability": "async"}}


def build_graph(checkpointer: BaseCheckpointSaver[Any] | None = None, store: BaseStore | None = None) -> Graph:
    # Typed Any because the library's annotation leaves out the `NodeError` it hands to a handler.
    on_failure: Any = _to_reflect
    conversation = build_conversation()

    async def think(state: State, runtime: Runtime[Context]) -> State:
        return cast("State", await conversation.ainvoke(state, NOT_KEPT, context=runtime.context))

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


@cache
def build_conversation() -> Conversation:
    """THINK. It is not kept: after a crash it begins anew, and what was said has moved nothing."""
    to_settle: Any = _to_settle
    builder = StateGraph(Thinking, context_schema=Context, input_schema=State, output_schema=State)
    builder.add_node("prepare", prepare)
    builder.add_node("ask", ask, error_handler=to_settle)
    builder.add_node("look_up", look_up, error_handler=to_settle)
    builder.add_node("weigh", weigh, error_handler=to_settle)
    builder.add_node("settle", settle)
    builder.add_edge(START, "prepare")
    builder.add_conditional_edges("prepare", _after_prepare)
    for name in ("ask", "look_up", "weigh"):
        builder.add_conditional_edges(name, _turn)
    builder.add_edge("settle", END)
    return builder.compile(checkpointer=False, name="think")


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


def _after_prepare(state: Thinking) -> Literal["ask", "__end__"]:
    return "ask" if "messages" in state else "__end__"


def _turn(state: Thinking) -> Turn:
    return state["turn"]


def _to_settle(_state: Thinking, error: NodeError) -> Command[Literal["settle"]]:
    return Command(update={"trouble": describe(error.node, error.error).message}, goto="settle")


def _to_reflect(_state: State, error: NodeError) -> Command[Literal["reflect"]]:
    return Command(update={"failure": describe(error.node, error.error)}, goto="reflect")
