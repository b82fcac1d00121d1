"""THINK: the model's answer, checked for its form, its facts, and what the guard would say of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langgraph.runtime import Runtime

from graph.act.guard import rehearse
from graph.events import Progress, ToolUsed
from graph.state import Context
from graph.think.analysis import opinion
from graph.think.answer import Unusable, read_answer
from graph.think.budget import out_of_time, until
from graph.think.calls import calls_in
from graph.think.look_up import strangers
from graph.think.prompt import filled_in
from graph.think.scrutiny import Held, hold_to_facts, laid_over
from graph.think.sheets import fenced, plain
from graph.think.study import Study, study_of
from graph.think.thinking import Thinking
from portfolio.limits import sales_first
from portfolio.models import ProposedTrade, TradePlan, Verdict

MOST_OF_AN_OPINION = 300


async def weigh(state: Thinking, runtime: Runtime[Context]) -> Thinking:
    context, said, study = runtime.context, state["said"], study_of(state["snapshot"], runtime)
    uses = tuple(strangers(said))
    for use in uses:
        runtime.stream_writer(ToolUsed(use))
    weighed: Thinking = {"tool_uses": (*state.get("tool_uses", ()), *uses), "turn": "settle"}
    name = context.mind.name if context.mind else ""
    try:
        answer = read_answer(said)
    except Unusable as error:
        if state.get("repaired"):
            return {**weighed, "trouble": f"the model {name} gave no plan that can be read ({error})"}
        request = filled_in("think_repair", problems=str(error))
        messages = (*state["messages"], *_reply(said, request))
        return {**weighed, "messages": messages, "repaired": True, "closing": True, "turn": "ask"}
    held = hold_to_facts(answer, state["sources"], state["snapshot"])
    weighed["struck"] = (*state.get("struck", ()), *held.struck)
    runtime.stream_writer(Progress("trying the plan on the guard"))
    try:
        async with until(state["ends_at"], context.clock()):
            wanted = laid_over(state["baseline"], held, name, answer.confidence)
            first = await _tried(wanted, study)
            # Where what the model wants would be refused, what the rules want may not be.
            rest = laid_over(state["baseline"], _without(held, first.refused), name, answer.confidence)
            last = await _tried(rest, study) if first.refused else first
    except TimeoutError:
        return {**weighed, "trouble": out_of_time(context.settings)}
    if last.passing or not wanted.trades:
        weighed["best"] = rest.model_copy(update={"trades": last.passing})
        weighed["best_verdicts"] = first.verdicts
    if first.refused and state.get("revisions", 0) < context.settings.max_revisions:
        request = filled_in("think_revise", refusals=fenced("guard", "\n".join(map(_told, first.refused))))
        weighed |= {
            "messages": (*state["messages"], *_reply(said, request)),
            "sent_back": (*state.get("sent_back", ()), *first.refused),
            "revisions": state.get("revisions", 0) + 1,
            "turn": "ask",
        }
    elif "best" not in weighed:
        weighed["trouble"] = f"the guard would refuse every trade of the model {name}"
    return weighed


@dataclass(frozen=True)
class Tried:
    """What the guard would say of a plan; `passing` are the trades it would let through, and every protective exit."""

    verdicts: tuple[Verdict, ...]
    passing: tuple[ProposedTrade, ...]
    refused: tuple[Verdict, ...]


async def _tried(plan: TradePlan, study: Study) -> Tried:
    verdicts = await rehearse(plan, study.batch, study.context)
    judged = list(zip(sales_first(plan), verdicts, strict=True))
    # The guard will refuse an exit by itself; it is not the model's to take back.
    mine = [(trade, verdict) for trade, verdict in judged if not trade.protective]
    passes = [verdict.passed or verdict.awaits_person for _, verdict in mine]
    return Tried(
        verdicts,
        (
            *(trade for trade, _ in judged if trade.protective),
            *(trade for (trade, _), stands in zip(mine, passes, strict=True) if stands),
        ),
        tuple(verdict for (_, verdict), stands in zip(mine, passes, strict=True) if not stands),
    )


def _without(held: Held, refused: Iterable[Verdict]) -> Held:
    """The answer without the trades that would be refused, and why each was dropped."""
    why = {verdict.symbol: _why(verdict) for verdict in refused}
    stands = tuple(trade for trade in held.trades if trade.symbol not in why)
    wanted = {trade.symbol for trade in held.trades}
    dropped = {**held.dropped, **{symbol: words for symbol, words in why.items() if symbol in wanted}}
    return replace(held, trades=stands, dropped=dropped)


def _why(verdict: Verdict) -> str:
    rules = ", ".join(check.rule for check in verdict.failures)
    return f"the guard would refuse {verdict.side} {verdict.quantity} on {rules}"


def _told(verdict: Verdict) -> str:
    return plain(f"{verdict.side} {verdict.quantity} {verdict.symbol} {opinion(verdict)}", MOST_OF_AN_OPINION)


def _reply(said: AIMessage, words: str) -> Iterable[BaseMessage]:
    """`words` in answer to what the model said; every call it made is answered, as servers insist on that."""
    for call in calls_in(said):
        yield ToolMessage("not accepted", tool_call_id=str(call["id"] or ""))
    yield HumanMessage(words)
