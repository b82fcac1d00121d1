"""THINK: the tools the model asked for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from langchain_core.messages import AIMessage
from langgraph.runtime import Runtime

from graph.events import Progress, ToolUsed
from graph.record import ToolUse
from graph.state import Context
from graph.think.analysis import ANALYSIS_TOOLS
from graph.think.answer import PLAN
from graph.think.budget import out_of_time, until
from graph.think.calls import call_all, calls_in, refused, stranger, turned_away
from graph.think.claims import Sources
from graph.think.prompt import offered_tools
from graph.think.reading import READING_TOOLS
from graph.think.sheets import plain
from graph.think.study import study_of
from graph.think.thinking import Thinking

TOOLS = {PLAN.name, *(tool.name for tool in (*ANALYSIS_TOOLS, *READING_TOOLS))}
"""Every name that a model may call."""


async def look_up(state: Thinking, runtime: Runtime[Context]) -> Thinking:
    context, calls, spent = runtime.context, calls_in(state["said"]), state["spent"]
    room = max(context.settings.max_tool_calls - spent.tool_calls, 0)
    study = study_of(state["snapshot"], runtime)
    uses = {name: partial(tool.call, place=study) for name, tool in offered_tools(study).items()}
    runtime.stream_writer(Progress(f"looking up {', '.join(sorted({plain(str(call['name'])) for call in calls}))}"))
    first = len(state.get("tool_uses", ())) + 1
    trouble = None
    try:
        async with until(state["ends_at"], context.clock()):
            found = await call_all(calls[:room], first, uses)
            found += [stranger(call) for call in calls[room:] if str(call["name"]) not in TOOLS]
    except TimeoutError:
        trouble = out_of_time(context.settings)
        found = [refused(call, trouble, is_stranger=str(call["name"]) not in TOOLS) for call in calls[:room]]
    for looked in found:
        runtime.stream_writer(ToolUsed(looked.use))
    too_many = [turned_away(call) for call in calls[room:] if str(call["name"]) in TOOLS]
    told: Sources = {f"r{first + number}": looked.figures for number, looked in enumerate(found)}
    looked_up: Thinking = {
        "messages": (*state["messages"], *(looked.message for looked in found), *too_many),
        "sources": {**state["sources"], **told},
        "tool_uses": (*state.get("tool_uses", ()), *(looked.use for looked in found)),
        "spent": spent.model_copy(update={"tool_calls": spent.tool_calls + min(len(calls), room)}),
        "turn": "ask",
    }
    return {**looked_up, "trouble": trouble, "turn": "settle"} if trouble else looked_up


def strangers(said: AIMessage) -> Iterator[ToolUse]:
    """The calls in an answer that are of no tool a model may ever call."""
    for call in calls_in(said):
        if str(call["name"]) not in TOOLS:
            yield stranger(call).use
