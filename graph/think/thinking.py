"""What travels between the nodes of THINK: the conversation so far. It ends with the step, and is not kept."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from langchain_core.messages import AIMessage, BaseMessage

from graph.record import Struck, ToolUse, Usage
from graph.state import State
from graph.think.claims import Sources
from graph.think.mind import Manner
from portfolio.models import TradePlan, Verdict

Turn = Literal["ask", "look_up", "weigh", "settle"]


class Thinking(State, total=False):
    """`best` is the best plan of the model's so far that the guard would let through, with its verdicts.

    `closing` says that tools may no longer be called; `repaired` that one answer was already sent back for its form;
    `revisions` counts those sent back with what the guard would refuse, `cuts` those that broke off. `turn` is the node
    that comes next.
    """

    baseline: TradePlan
    ends_at: datetime
    messages: tuple[BaseMessage, ...]
    said: AIMessage
    sources: Sources
    manner: Manner
    spent: Usage
    tool_uses: tuple[ToolUse, ...]
    struck: tuple[Struck, ...]
    sent_back: tuple[Verdict, ...]
    best: TradePlan
    best_verdicts: tuple[Verdict, ...]
    closing: bool
    repaired: bool
    revisions: int
    cuts: int
    trouble: str
    turn: Turn
