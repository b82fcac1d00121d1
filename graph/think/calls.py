"""The calls of a model's tools, side by side. A name that is not among them is refused and recorded."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from langchain_core.messages import AIMessage, ToolMessage

from graph.record import ToolUse
from graph.think.sheets import Figure, Sheet, fenced, plain
from graph.think.study import NoSuchThing

MOST_OF_THE_ARGUMENTS = 400
MOST_OF_A_RESULT = 8000
MOST_OF_A_GIST = 80
MOST_OF_AN_ERROR = 300
NO_MORE = "not run: no more tools may be called"

log = logging.getLogger("smart_agent")

Use = Callable[[dict[str, Any]], Awaitable[tuple[Sheet, ...]]]
"""A tool ready to be called with its arguments; raises `NoSuchThing` where there is nothing to find."""


class Looked(NamedTuple):
    """What became of one call: what the model is told, what the record keeps, and the figures it may now cite."""

    message: ToolMessage
    use: ToolUse
    figures: tuple[Figure, ...]


def calls_in(said: AIMessage) -> list[dict[str, Any]]:
    """Every call in what the model said, readable or not."""
    return [*map(dict, said.tool_calls), *map(dict, said.invalid_tool_calls)]


async def call_all(calls: Sequence[dict[str, Any]], first: int, uses: Mapping[str, Use]) -> list[Looked]:
    """All at once; the results are numbered from `first` on."""
    return await asyncio.gather(*(_one(call, first + place, uses) for place, call in enumerate(calls)))


async def _one(call: dict[str, Any], number: int, uses: Mapping[str, Use]) -> Looked:
    name, arguments = str(call["name"]), call.get("args")
    use = uses.get(name)
    if use is None:
        return stranger(call)
    if not isinstance(arguments, dict):
        return refused(call, "the arguments are not a JSON object")
    try:
        sheets = await use(arguments)
    except NoSuchThing as error:
        why = plain(str(error), MOST_OF_AN_ERROR)
        return refused(call, fenced(f"r{number}", why), told=why)
    text = "\n".join(sheet.text() for sheet in sheets)[:MOST_OF_A_RESULT]
    figures = tuple(figure for sheet in sheets for figure in sheet.figures())
    message = ToolMessage(fenced(f"r{number}", text), tool_call_id=str(call["id"] or ""))
    result = plain(sheets[0].gist(), MOST_OF_A_GIST)
    return Looked(message, ToolUse(name=name, arguments=_told(arguments), result=result), figures)


def stranger(call: dict[str, Any]) -> Looked:
    """A call of a tool that the model does not hold."""
    name = plain(str(call["name"]))
    log.warning("the model called %s, which is not among its tools; refused, nothing was done", name)
    return refused(call, f"there is no tool {name}; nothing was done", is_stranger=True)


def refused(call: dict[str, Any], why: str, *, told: str = "", is_stranger: bool = False) -> Looked:
    """`told` is what the record keeps of the answer `why`, where that is other."""
    name, result = plain(str(call["name"])), plain(told or why, MOST_OF_AN_ERROR)
    use = ToolUse(name=name, arguments=_told(call.get("args")), result=result, refused=is_stranger)
    return Looked(ToolMessage(why, tool_call_id=str(call["id"] or ""), status="error"), use, ())


def turned_away(call: dict[str, Any]) -> ToolMessage:
    """The answer to a call that is one too many."""
    return ToolMessage(NO_MORE, tool_call_id=str(call["id"] or ""), status="error")


def _told(arguments: Any) -> str:
    words = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return plain(words, MOST_OF_THE_ARGUMENTS)
