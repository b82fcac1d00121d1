"""THINK: the model's answer, checked for its form, its facts, and what the guard would say of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langgraph.runtime import Runtime

from graph.act.guard import rehearse
from graph.events import Progress
from graph.state import Context
from graph.think.analysis import opinion
from graph.think.answer import Unusable, read_answer
from graph.think.prompt import filled_in
from graph.think.scrutiny import hold_to_facts, laid_over
from graph.think.sheets import fenced, plain
from graph.think.study import study_of
from graph.think.thinking import Thinking
from portfolio.limits import sales_first
from portfolio.models import Verdict

MOST_OF_AN_OPINION = 300


async def weigh(state: Thinking, runtime: Runtime[Context]) -> Thinking:
    context, said = runtime.context, state["said"]
    settings, study = context.settings, study_of(state["snapshot"], runtime)
    try:
        answer = read_answer(said)
    except Unusable as error:
        if state.get("repaired"):
            return {"trouble": f"{_name(runtime)} gave no plan that can be read ({error})", "turn": "settle"}
        request = filled_in("think_repair", problems=str(error))
        messages = (*state["messages"], *_reply(said, request))
        return {"messages": messages, "repaired": True, "closing": True, "turn": "ask"}
    held = hold_to_facts(answer, state["sources"], state["snapshot"])
    plan = laid_over(state["baseline"], held, _name(runtime), answer.confidence)
    runtime.stream_writer(Progress("trying the plan on the guard"))
    try:
        async with asyncio.timeout(max((state["ends_at"] - context.clock()).total_seconds(), 0)):
            verdicts = await rehearse(plan, study.batch, context)
    except TimeoutError:
        return {"trouble": f"the {settings.max_think_seconds} s of max_think_seconds are over", "turn": "settle"}
    judged = list(zip(sales_first(plan), verdicts, strict=True))
    refused = [verdict for _, verdict in judged if not (verdict.passed or verdict.awaits_person)]
    passing = tuple(trade for trade, verdict in judged if verdict.passed or verdict.awaits_person)
    weighed: Thinking = {"struck": (*state.get("struck", ()), *held.struck), "turn": "settle"}
    if passing or not plan.trades:
        notes = (*plan.notes, *(f"{verdict.symbol}: {_why(verdict)}." for verdict in refused))
        weighed["best"] = plan.model_copy(update={"trades": passing, "notes": notes})
        weighed["best_verdicts"] = verdicts
    if not refused:
        return weighed
    if state.get("revisions", 0) < settings.max_revisions:
        request = filled_in("think_revise", refusals=fenced("guard", "\n".join(map(_told, refused))))
        weighed |= {
            "messages": (*state["messages"], *_reply(said, request)),
            "sent_back": (*state.get("sent_back", ()), *refused),
            "revisions": state.get("revisions", 0) + 1,
            "turn": "ask",
        }
    elif "best" not in weighed:
        weighed["trouble"] = f"the guard would refuse every trade of {_name(runtime)}"
    return weighed


def _name(runtime: Runtime[Context]) -> str:
    """The model's name."""
    return runtime.context.mind.name if runtime.context.mind else "the model"


def _told(verdict: Verdict) -> str:
    return plain(f"{verdict.side} {verdict.quantity} {verdict.symbol} {opinion(verdict)}", MOST_OF_AN_OPINION)


def _why(verdict: Verdict) -> str:
    rules = ", ".join(check.rule for check in verdict.failures)
    return f"{verdict.side} {verdict.quantity} was left out, as the guard would refuse it on {rules}"


def _reply(said: AIMessage, words: str) -> Iterable[BaseMessage]:
    """`words` in answer to what the model said; every call it made is answered, as servers insist on that."""
    for call in (*said.tool_calls, *said.invalid_tool_calls):
        yield ToolMessage("not accepted", tool_call_id=str(call["id"] or ""))
    yield HumanMessage(words)
