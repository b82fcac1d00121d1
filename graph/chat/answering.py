"""The nodes of the chat: hear a question, ask the model, look up what it wants, close with the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langgraph.runtime import Runtime
from pydantic import ValidationError

import prompts
from brokers.errors import BrokerError
from graph.chat.proposing import Wishes, plan_of, tried
from graph.chat.records import RECORD_TOOLS, Records
from graph.chat.talking import ChatContext, Talking, Thread, Turn
from graph.events import Answered, Progress, Proposed, Spoke, TokensUsed, ToolUsed
from graph.journal import JournalError
from graph.memory import UNREADABLE
from graph.record import Exchange, Usage
from graph.think.analysis import ANALYSIS_TOOLS
from graph.think.ask import length_of, listen, why_not_whole
from graph.think.budget import is_last_call, out_of_time, output_left, priced, until, why_over, with_call
from graph.think.calls import Use, call_all, calls_in, refused, turned_away
from graph.think.claims import strike
from graph.think.mind import Manner, NoAnswer, Question
from graph.think.prompt import CHARACTERS_A_TOKEN, filled_in, rules_in_words, tokens_in
from graph.think.reading import READING_TOOLS
from graph.think.sheets import Figure, Sheet, numbers_in, plain
from graph.think.study import ModelTool, NoSuchThing, Study
from tools.wire.foreign_text import one_line

MOST_KEPT = 50
"""Exchanges of a thread."""
SHARE_OF_THE_PAST = 4
"""What was said before may take this part of what the model may read, one fourth."""
PROPOSE = "propose_trades"
ACCOUNT_TOOLS = tuple(tool for tool in (*ANALYSIS_TOOLS, *READING_TOOLS) if tool.name != "recall")
"""The model reads lessons as they are kept, and needs no account for it."""


async def hear(state: Thread, runtime: Runtime[ChatContext]) -> Talking:
    context = runtime.context
    settings, now, question = context.settings, context.clock(), state["question"]
    told = filled_in(
        "chat_question", now=f"{now:%A %Y-%m-%d %H:%M} UTC", rules=rules_in_words(settings), question=question
    )
    room = settings.max_input_tokens * CHARACTERS_A_TOKEN // SHARE_OF_THE_PAST
    return {
        "asked_at": now,
        "ends_at": now + timedelta(seconds=settings.max_think_seconds),
        "messages": (
            SystemMessage(prompts.load("chat")),
            *_said_before(state.get("exchanges", ()), room),
            HumanMessage(told),
        ),
        "spent": Usage(),
        "turn": "ask",
    }


def _said_before(exchanges: tuple[Exchange, ...], room: int) -> tuple[BaseMessage, ...]:
    """The last exchanges that fit into so many characters."""
    messages: tuple[BaseMessage, ...] = ()
    for one in reversed(exchanges):
        room -= len(one.question) + len(one.answer)
        if room < 0:
            break
        messages = (HumanMessage(one.question), AIMessage(one.answer), *messages)
    return messages


async def ask(state: Talking, runtime: Runtime[ChatContext]) -> Talking:
    """The model's next words, or the trouble that keeps it from any."""
    context, settings, spent = runtime.context, runtime.context.settings, state["spent"]
    closing = is_last_call(spent, settings)
    messages = state["messages"]
    if closing and spent.model_calls:
        messages = (*messages, HumanMessage(prompts.load("chat_close")))
    tools = () if closing else tuple(tool_schemas(may_propose=context.may_propose))
    question = Question(messages, None, tools, Manner.JSON, output_left(spent, settings))
    size = tokens_in(question)
    over = why_over(spent, size, settings, context.clock(), state["ends_at"])
    if over:
        return {"trouble": over, "turn": "close"}
    runtime.stream_writer(Progress(f"asking {context.mind.name}"))
    try:
        async with until(state["ends_at"], context.clock()):
            said = await listen(context.mind, question, lambda words: runtime.stream_writer(Spoke(words)))
    except TimeoutError:
        return {"spent": with_call(spent, None, size, 0), "trouble": out_of_time(settings), "turn": "close"}
    except NoAnswer as error:
        return {"spent": with_call(spent, None, size, 0), "trouble": str(error), "turn": "close"}
    spent = with_call(spent, said.usage_metadata, size, length_of(said) // CHARACTERS_A_TOKEN)
    runtime.stream_writer(TokensUsed(spent.input_tokens, spent.output_tokens))
    turn: Turn = "look_up" if calls_in(said) and tools else "close"
    trouble = None if calls_in(said) else why_not_whole(said)
    told: Talking = {"messages": (*messages, said), "said": said, "spent": spent, "turn": turn}
    return {**told, "trouble": trouble} if trouble else told


async def look_up(state: Talking, runtime: Runtime[ChatContext]) -> Talking:
    context, calls, spent = runtime.context, calls_in(state["said"]), state["spent"]
    room = max(context.settings.max_tool_calls - spent.tool_calls, 0)
    looking = _Looking(runtime)
    runtime.stream_writer(Progress(f"looking up {', '.join(sorted({plain(str(call['name'])) for call in calls}))}"))
    trouble = None
    try:
        async with until(state["ends_at"], context.clock()):
            found = await call_all(calls[:room], len(state.get("tool_uses", ())) + 1, looking.uses)
    except TimeoutError:
        trouble = out_of_time(context.settings)
        found = [refused(call, trouble) for call in calls[:room]]
    for looked in found:
        runtime.stream_writer(ToolUsed(looked.use))
    looked_up: Talking = {
        "messages": (*state["messages"], *(looked.message for looked in found), *map(turned_away, calls[room:])),
        "tool_uses": (*state.get("tool_uses", ()), *(looked.use for looked in found)),
        "moments": tuple(dict.fromkeys((*state.get("moments", ()), *looking.moments))),
        "spent": spent.model_copy(update={"tool_calls": spent.tool_calls + min(len(calls), room)}),
        "turn": "ask",
    }
    return {**looked_up, "trouble": trouble, "turn": "close"} if trouble else looked_up


async def close(state: Talking, runtime: Runtime[ChatContext]) -> Thread:
    """The answer, told and kept; one that there is no answer to is told, and not kept."""
    settings, said, trouble = runtime.context.settings, state.get("said"), state.get("trouble")
    answer = said.text.strip() if said and not calls_in(said) else ""
    if not answer:
        trouble = trouble or f"the model {runtime.context.mind.name} gave no answer"
    exchange = Exchange(
        question=state["question"],
        answer=answer,
        asked_at=state["asked_at"],
        moments=state.get("moments", ()),
        tools=tuple(dict.fromkeys(use.name for use in state.get("tool_uses", ()) if not use.refused)),
        unfounded=_unfounded(answer, state["messages"]),
    )
    runtime.stream_writer(Answered(exchange, priced(state["spent"], settings), trouble))
    kept = state.get("exchanges", ())
    return {"exchanges": kept if trouble else (*kept, exchange)[-MOST_KEPT:]}


def tool_schemas(*, may_propose: bool) -> list[dict[str, Any]]:
    """The tools of the chat's model in OpenAI's form."""
    account = [tool.schema for tool in (*ACCOUNT_TOOLS, *([_PROPOSING] if may_propose else []))]
    return [*account, *(tool.schema for tool in RECORD_TOOLS)]


def _unfounded(answer: str, messages: tuple[BaseMessage, ...]) -> tuple[str, ...]:
    """The numbers of the answer that nothing says which the model was told."""
    told = (message.text for message in messages if not isinstance(message, AIMessage))
    known = (Figure((), number, "") for words in told for number in numbers_in(words))
    return tuple(dict.fromkeys(strike(answer, known)[1]))


Found = TypeVar("Found")


class _Looking:
    """The tools of one look, ready to be called, and of when what they found is."""

    def __init__(self, runtime: Runtime[ChatContext]) -> None:
        self._context, self._tell = runtime.context, runtime.stream_writer
        self.moments: list[str] = []
        self.uses: dict[str, Use] = {
            **{tool.name: partial(self._in_account, tool) for tool in ACCOUNT_TOOLS},
            **{tool.name: partial(self._in_records, tool) for tool in RECORD_TOOLS},
        }
        if self._context.may_propose:
            self.uses[PROPOSE] = partial(self._in_account, _PROPOSING)

    async def _in_account(self, tool: ModelTool[Study], arguments: dict[str, Any]) -> tuple[Sheet, ...]:
        study = await _told(self._context.study)
        moment = f"account and prices of {study.snapshot.as_of:%Y-%m-%d %H:%M} UTC"
        self.moments.append(moment)
        found = await tool.call(arguments, study)
        if tool.name == PROPOSE:
            self._tell(Proposed(plan_of(Wishes.model_validate(arguments), study)))
        return *found, Sheet(words=(moment, *_doubts(study)))

    async def _in_records(self, tool: ModelTool[Records], arguments: dict[str, Any]) -> tuple[Sheet, ...]:
        records = self._context.records

        async def look() -> tuple[Sheet, ...]:
            found = await tool.call(arguments, records)
            return *found, Sheet(words=(records.moment,))

        found = await _told(look)
        self.moments.append(records.moment)
        return found


async def _told(look: Callable[[], Awaitable[Found]]) -> Found:
    """What `look` finds; what keeps it from looking is told to the model."""
    try:
        return await look()
    except (BrokerError, JournalError, *UNREADABLE) as error:
        if isinstance(error, ValidationError):
            raise
        raise NoSuchThing(one_line(str(error))) from error


def _doubts(study: Study) -> tuple[str, ...]:
    """Why nothing could be traded on what was read."""
    snapshot = study.snapshot
    unfit = [check.why for check in snapshot.data_quality if check.required and not check.passed]
    words = [f"not fit to trade on: {why}" for why in unfit]
    if not snapshot.session.is_open:
        words.append(f"the market is closed until {snapshot.session.opens_at:%a %Y-%m-%d %H:%M} UTC")
    if study.day.halted:
        words.append(f"trading is halted: {study.day.halted}")
    return tuple(words)


async def _propose(asked: Wishes, study: Study) -> tuple[Sheet, ...]:
    return await tried(plan_of(asked, study), study)


_PROPOSING = ModelTool(
    PROPOSE, "Put trades before the owner: shares, or an amount in USD. Sends nothing.", Wishes, _propose
)
