"""THINK, last: which plan stands, and how it came about."""

from __future__ import annotations

import sqlite3
from contextlib import suppress

from langgraph.runtime import Runtime

from graph.record import Thought
from graph.state import Context
from graph.think.budget import priced
from graph.think.manners import keep_manner
from graph.think.mind import Manner
from graph.think.thinking import Thinking


async def settle(state: Thinking, runtime: Runtime[Context]) -> Thinking:
    context, settings, best = runtime.context, runtime.context.settings, state.get("best")
    if runtime.store and context.mind and "said" in state and state["manner"] is not Manner.JSON_SCHEMA:
        with suppress(sqlite3.Error, OSError):  # to be asked once more in a manner it refuses harms nobody
            await keep_manner(runtime.store, context.mind, state["manner"], context.clock())
    is_shadow = settings.think_mode == "shadow"
    thought = Thought(
        mode=settings.think_mode,
        model=settings.model,
        trouble=_sentence(state.get("trouble"), has_plan=best is not None, is_shadow=is_shadow),
        baseline=state["baseline"],
        tool_uses=state.get("tool_uses", ()),
        struck=state.get("struck", ()),
        sent_back=state.get("sent_back", ()),
        shadow=best if is_shadow else None,
        shadow_verdicts=state.get("best_verdicts", ()) if is_shadow else (),
        usage=priced(state["spent"], settings),
    )
    plan = state["baseline"] if best is None or is_shadow else best
    return {"plan": plan, "thought": thought}


def _sentence(trouble: str | None, *, has_plan: bool, is_shadow: bool) -> str | None:
    if trouble is None:
        return None
    stands = "its best plan so far stands" if has_plan else "the rules' plan stands"
    if is_shadow:
        stands = "its best plan so far is recorded" if has_plan else "there is no plan of its to record"
    return f"{trouble[0].upper()}{trouble[1:]}; {stands}."
