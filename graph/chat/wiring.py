"""The chat's graph: hear → ask ⇄ look_up → close, inside a thread that can be taken up again. Wiring only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import cache
from typing import Any, Literal, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.errors import NodeError
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command

from graph.chat.answering import ask, close, hear, look_up
from graph.chat.talking import ChatContext, Talking, Thread, Turn
from graph.events import Said
from graph.failure import describe
from graph.record import Exchange
from graph.wiring import NOT_KEPT

Chat = CompiledStateGraph[Thread, ChatContext, Thread, Thread]
Answering = CompiledStateGraph[Talking, ChatContext, Thread, Thread]


def build_chat(checkpointer: BaseCheckpointSaver[Any] | None = None) -> Chat:
    answering = build_answering()

    async def answer(state: Thread, runtime: Runtime[ChatContext]) -> Thread:
        return cast("Thread", await answering.ainvoke(state, NOT_KEPT, context=runtime.context))

    builder = StateGraph(Thread, context_schema=ChatContext)
    builder.add_node("answer", answer)
    builder.add_edge(START, "answer")
    builder.add_edge("answer", END)
    return builder.compile(checkpointer=checkpointer, name="smart-trading-chat")


@cache
def build_answering() -> Answering:
    """One answer. It is not kept before it is whole."""
    # Typed Any because the library's annotation leaves out the `NodeError` it hands to a handler.
    on_failure: Any = _to_close
    builder = StateGraph(Talking, context_schema=ChatContext, input_schema=Thread, output_schema=Thread)
    builder.add_node("hear", hear)
    builder.add_node("ask", ask, error_handler=on_failure)
    builder.add_node("look_up", look_up, error_handler=on_failure)
    builder.add_node("close", close)
    builder.add_edge(START, "hear")
    builder.add_edge("hear", "ask")
    builder.add_conditional_edges("ask", _turn)
    builder.add_conditional_edges("look_up", _turn)
    builder.add_edge("close", END)
    return builder.compile(checkpointer=False, name="answer")


async def answers(chat: Chat, thread: str, question: str, context: ChatContext) -> AsyncIterator[Said]:
    """What is told while `question` is answered in `thread`; the last of it is `Answered`."""
    stream = chat.astream(
        {"question": question},
        _config(thread),
        context=context,
        stream_mode="custom",
        subgraphs=True,
        durability="exit" if chat.checkpointer else None,
    )
    async for _, told in stream:
        yield cast("Said", told)


async def said_in(chat: Chat, thread: str) -> tuple[Exchange, ...]:
    """What was asked and answered in the thread so far."""
    kept = (await chat.aget_state(_config(thread))).values
    return tuple(kept.get("exchanges", ()))


def _config(thread: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread}}


def _turn(state: Talking) -> Turn:
    return state["turn"]


def _to_close(_state: Talking, error: NodeError) -> Command[Literal["close"]]:
    return Command(update={"trouble": describe(error.node, error.error).message}, goto="close")
