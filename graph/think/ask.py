"""THINK: one question to the model, its answer told as it comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.messages.utils import message_chunk_to_message
from langgraph.runtime import Runtime

import prompts
from graph.events import Progress, Spoke, TokensUsed
from graph.state import Context
from graph.think.answer import PLAN
from graph.think.budget import is_last_call, out_of_time, output_left, until, why_over, with_call
from graph.think.calls import calls_in
from graph.think.mind import AskOtherwise, CutShort, Manner, Mind, NoAnswer, Question
from graph.think.prompt import CHARACTERS_A_TOKEN, offered_tools, tokens_in
from graph.think.study import study_of
from graph.think.thinking import Thinking, Turn
from tools.wire.foreign_text import one_line

SLACK = 8
"""Characters for each token that an answer may have before it is broken off: a server may not heed the bound it got."""
UNREADABLE = (ValueError, TypeError, AttributeError, LookupError)
"""What the library raises over pieces that do not fit together."""
MOST_OF_THE_ARGUMENTS = 32_000
"""Characters, of all tools called at once."""


async def ask(state: Thinking, runtime: Runtime[Context]) -> Thinking:
    """The model's next words, or the trouble that keeps it from any."""
    context, mind = runtime.context, runtime.context.mind
    if mind is None:
        raise RuntimeError("there is no model to ask")
    settings, spent, asked = context.settings, state["spent"], next_question(state, runtime)
    size = tokens_in(asked)
    over = why_over(spent, size, settings, context.clock(), state["ends_at"])
    if over:
        return {"trouble": over, "turn": "settle"}
    runtime.stream_writer(Progress(f"asking {mind.name}"))
    try:
        async with until(state["ends_at"], context.clock()):
            said = await listen(mind, asked, lambda words: runtime.stream_writer(Spoke(words)))
    except TimeoutError:
        return {"spent": with_call(spent, None, size, 0), "trouble": out_of_time(settings), "turn": "settle"}
    except NoAnswer as error:
        return _after(error, state, size, settings.model_retries)
    spent = with_call(spent, said.usage_metadata, size, length_of(said) // CHARACTERS_A_TOKEN)
    runtime.stream_writer(TokensUsed(spent.input_tokens, spent.output_tokens))
    heard: Thinking = {"messages": (*asked.messages, said), "said": said, "spent": spent, "turn": _turn(said, asked)}
    return {**heard, "closing": True} if not asked.tools else heard


def next_question(state: Thinking, runtime: Runtime[Context]) -> Question:
    """The question; without tools where none may be called any more, and then it says so."""
    settings, spent, messages = runtime.context.settings, state["spent"], state["messages"]
    closing = state.get("closing", False)
    if not closing and spent.model_calls and is_last_call(spent, settings):
        messages = (*messages, HumanMessage(prompts.load("think_close")))
    closing = closing or is_last_call(spent, settings) or state["manner"] is Manner.JSON
    tools = () if closing else offered_tools(study_of(state["snapshot"], runtime)).values()
    return Question(messages, PLAN, tuple(tool.schema for tool in tools), state["manner"], output_left(spent, settings))


def _after(error: NoAnswer, state: Thinking, size: int, retries: int) -> Thinking:
    """What is done about a question that got no answer."""
    spent, other, cuts = with_call(state["spent"], None, 0, 0), state["manner"].next, state.get("cuts", 0)
    # A server that has answered in this manner refuses something else.
    if isinstance(error, AskOtherwise) and other and "said" not in state:
        return {"manner": other, "spent": spent, "turn": "ask"}
    if isinstance(error, CutShort):
        spent = with_call(state["spent"], None, size, 0)
        if cuts < retries:
            return {"cuts": cuts + 1, "spent": spent, "turn": "ask"}
    return {"spent": spent, "trouble": str(error), "turn": "settle"}


def _turn(said: AIMessage, asked: Question) -> Turn:
    """Whether the model wants to look something up, and may, or has answered."""
    named = [call["name"] for call in calls_in(said)]
    return "look_up" if named and asked.tools and PLAN.name not in named else "weigh"


async def listen(mind: Mind, question: Question, tell: Callable[[str], None]) -> AIMessage:
    """The whole answer; its words are told as they come.

    Raises:
        NoAnswer: it is far longer than it may be, or there is none.
    """
    most, chunks = question.most_tokens * SLACK, list[AIMessageChunk]()
    words = arguments = 0
    async for chunk in mind.answer(question):
        await asyncio.sleep(0)  # a stream that never pauses would let no timeout and no signal through
        chunks.append(chunk)
        if chunk.text:
            tell(chunk.text)
        words += len(chunk.text)
        arguments += sum(len(call["args"] or "") for call in chunk.tool_call_chunks)
        if words > most or arguments > min(most, MOST_OF_THE_ARGUMENTS):
            raise NoAnswer(f"the answer of {mind.name} is longer than max_output_tokens allows; it was not read on")
    try:
        return _whole(chunks)
    except UNREADABLE as error:
        raise CutShort(f"the answer of {mind.name} cannot be read ({one_line(str(error), 120)})") from error


def _whole(chunks: list[AIMessageChunk]) -> AIMessage:
    """The pieces put together, with what the server counted last.

    Raises:
        ValueError: there are none, or a call of a tool is not whole: the library would complete it by itself, and a
            quantity that broke off after its first digit is another quantity.
    """
    counted = [chunk for chunk in chunks if chunk.usage_metadata]
    for chunk in counted[:-1]:
        chunk.usage_metadata = None
    # All at once, as every addition would read the arguments again.
    whole = add_ai_message_chunks(*chunks) if chunks else None
    said = message_chunk_to_message(whole) if whole else None
    if whole is None or not isinstance(said, AIMessage):
        raise ValueError("there is none")
    ended = {chunk.response_metadata.get("finish_reason") for chunk in chunks}
    if whole.tool_call_chunks and ended & {"length", "content_filter"}:
        raise ValueError("it was cut off in the middle of a call")
    for call in whole.tool_call_chunks:
        json.loads(call["args"] or "{}")
    return _told_apart(said)


def _told_apart(said: AIMessage) -> AIMessage:
    """Its calls with an id for each, as results go back under them; some servers give none, or one for all."""
    calls = (*said.tool_calls, *said.invalid_tool_calls)
    if len({call["id"] for call in calls if call["id"]}) < len(calls):
        for number, call in enumerate(calls, 1):
            call["id"] = f"call_{number}"
    return said


def why_not_whole(said: AIMessage) -> str | None:
    """Why words that were said are not all there were to say; None where the server tells that they are.

    Of a plan this need not be asked, as half of one is none.
    """
    ended = "".join(str(said.response_metadata.get(key) or "") for key in ("finish_reason", "status"))
    if not ended:
        return "the answer broke off"
    is_cut = any(word in ended for word in ("length", "content_filter", "incomplete"))
    return "the answer was cut off before its end" if is_cut else None


def length_of(said: AIMessage) -> int:
    """In characters."""
    return len(said.text) + sum(len(str(call["args"] or "")) for call in said.tool_calls)
