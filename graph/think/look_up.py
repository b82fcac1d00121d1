"""THINK: the tools the model asked for, side by side. A name that is not among its tools is refused and recorded."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from langchain_core.messages import AIMessage, ToolMessage
from langgraph.runtime import Runtime

from graph.events import Progress, ToolUsed
from graph.record import ToolUse
from graph.state import Context
from graph.think.analysis import ANALYSIS_TOOLS
from graph.think.answer import PLAN
from graph.think.budget import out_of_time, until
from graph.think.claims import Sources
from graph.think.prompt import offered_tools
from graph.think.reading import READING_TOOLS
from graph.think.sheets import Figure, fenced, plain
from graph.think.study import ModelTool, NoSuchThing, Study, study_of
from graph.think.thinking import Thinking

MOST_OF_THE_ARGUMENTS = 160
MOST_OF_A_RESULT = 8000
MOST_OF_A_GIST = 80
MOST_OF_AN_ERROR = 300
TOOLS = {PLAN.name, *(tool.name for tool in (*ANALYSIS_TOOLS, *READING_TOOLS))}
"""Every name that a model may call."""
NO_MORE = "not run: no more tools may be called in this run"

log = logging.getLogger("smart_agent")


class Looked(NamedTuple):
    """What became of one call: what the model is told, what the record keeps, and the figures it may now cite."""

    message: ToolMessage
    use: ToolUse
    figures: tuple[Figure, ...]


async def look_up(state: Thinking, runtime: Runtime[Context]) -> Thinking:
    context, said, spent = runtime.context, state["said"], state["spent"]
    calls: list[dict[str, Any]] = [*map(dict, said.tool_calls), *map(dict, said.invalid_tool_calls)]
    room = max(context.settings.max_tool_calls - spent.tool_calls, 0)
    study = study_of(state["snapshot"], runtime)
    runtime.stream_writer(Progress(f"looking up {', '.join(sorted({plain(str(call['name'])) for call in calls}))}"))
    first = len(state.get("tool_uses", ())) + 1
    trouble = None
    try:
        async with until(state["ends_at"], context.clock()):
            found = await _all(calls[:room], first, study)
            found += [_stranger(call) for call in calls[room:] if str(call["name"]) not in TOOLS]
    except TimeoutError:
        trouble = out_of_time(context.settings)
        found = [_refused(call, trouble, is_stranger=str(call["name"]) not in TOOLS) for call in calls[:room]]
    for looked in found:
        runtime.stream_writer(ToolUsed(looked.use))
    turned_away = [
        ToolMessage(NO_MORE, tool_call_id=str(call["id"] or ""), status="error")
        for call in calls[room:]
        if str(call["name"]) in TOOLS
    ]
    told: Sources = {f"r{first + number}": looked.figures for number, looked in enumerate(found)}
    looked_up: Thinking = {
        "messages": (*state["messages"], *(looked.message for looked in found), *turned_away),
        "sources": {**state["sources"], **told},
        "tool_uses": (*state.get("tool_uses", ()), *(looked.use for looked in found)),
        "spent": spent.model_copy(update={"tool_calls": spent.tool_calls + min(len(calls), room)}),
        "turn": "ask",
    }
    return {**looked_up, "trouble": trouble, "turn": "settle"} if trouble else looked_up


def strangers(said: AIMessage) -> Iterator[ToolUse]:
    """The calls in an answer that are of no tool a model may ever call."""
    for call in (*said.tool_calls, *said.invalid_tool_calls):
        if str(call["name"]) not in TOOLS:
            yield _stranger(dict(call)).use


async def _all(calls: Sequence[dict[str, Any]], first: int, study: Study) -> list[Looked]:
    tools = offered_tools(study)
    return await asyncio.gather(*(_one(call, first + place, tools, study) for place, call in enumerate(calls)))


async def _one(call: dict[str, Any], number: int, tools: dict[str, ModelTool], study: Study) -> Looked:
    name, arguments = str(call["name"]), call.get("args")
    tool = tools.get(name)
    if tool is None:
        return _stranger(call)
    if not isinstance(arguments, dict):
        return _refused(call, "the arguments are not a JSON object")
    try:
        sheets = await tool.call(arguments, study)
    except NoSuchThing as error:
        return _refused(call, fenced(f"r{number}", plain(str(error), MOST_OF_AN_ERROR)))
    text = "\n".join(sheet.text() for sheet in sheets)[:MOST_OF_A_RESULT]
    figures = tuple(figure for sheet in sheets for figure in sheet.figures())
    message = ToolMessage(fenced(f"r{number}", text), tool_call_id=str(call["id"] or ""))
    result = plain(sheets[0].gist(), MOST_OF_A_GIST)
    return Looked(message, ToolUse(name=name, arguments=_told(arguments), result=result), figures)


def _stranger(call: dict[str, Any]) -> Looked:
    """A call of a tool that the model does not hold."""
    name = plain(str(call["name"]))
    log.warning("the model called %s, which is not among its tools; refused, nothing was done", name)
    return _refused(call, f"there is no tool {name}; nothing was done", is_stranger=True)


def _refused(call: dict[str, Any], why: str, *, is_stranger: bool = False) -> Looked:
    name, result = plain(str(call["name"])), plain(why, MOST_OF_AN_ERROR)
    use = ToolUse(name=name, arguments=_told(call.get("args")), result=result, refused=is_stranger)
    return Looked(ToolMessage(why, tool_call_id=str(call["id"] or ""), status="error"), use, ())


def _told(arguments: Any) -> str:
    words = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return plain(words, MOST_OF_THE_ARGUMENTS)
