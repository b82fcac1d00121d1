"""THINK, first: the rules' plan, and what earlier runs learned; where a model thinks, what it is told to begin with.

A run that was given its plan begins and ends here.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from langgraph.runtime import Runtime

from graph.memory import UNREADABLE, in_play, lessons_of, of_now, relevant
from graph.record import Lesson, Usage
from graph.state import Context, State
from graph.think.manners import known_manner
from graph.think.mind import Manner
from graph.think.prompt import briefing
from graph.think.study import Study
from graph.think.thinking import Thinking
from portfolio.rebalance import baseline_plan


async def prepare(state: State, runtime: Runtime[Context]) -> Thinking:
    context, snapshot = runtime.context, state["snapshot"]
    if "wanted" in state:
        return {"lessons": (), "plan": state["wanted"]}
    study = Study(snapshot, context.trading_day(snapshot), context, runtime.store)
    baseline = baseline_plan(snapshot, context.settings, study.day)
    kept: tuple[Lesson, ...] = ()
    with suppress(*UNREADABLE):  # the end of the run says so
        kept = await lessons_of(runtime.store, snapshot.account.account_id) if runtime.store else ()
    true_now = of_now(kept, snapshot, context.settings)
    lessons = relevant(true_now, in_play(snapshot, baseline, context.settings), snapshot.as_of)
    begun: Thinking = {"lessons": lessons, "plan": baseline}
    if context.mind is None:
        return begun
    told = briefing(study, baseline, lessons)
    manner = None
    with suppress(*UNREADABLE):
        manner = await known_manner(runtime.store, context.mind, context.clock()) if runtime.store else None
    return {
        **begun,
        "baseline": baseline,
        "ends_at": context.clock() + timedelta(seconds=context.settings.max_think_seconds),
        "messages": told.messages,
        "sources": told.sources,
        "manner": manner or Manner.JSON_SCHEMA,
        "spent": Usage(),
    }
