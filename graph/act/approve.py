"""ACT, second: a person's approval, where it is wanted. It holds the question and nothing else.

An interrupted node runs again from its first line when it is answered, so nothing here may have an effect. A granted
plan goes back to the guard, to be priced and judged anew, before anything is sent.
"""

from __future__ import annotations

from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from graph.record import Approval
from graph.state import Context, State


def approve(state: State, runtime: Runtime[Context]) -> Command[Literal["guard", "order", "__end__"]]:
    approved = state["approved"]
    if not approved:
        return Command(goto="__end__")
    if runtime.context.settings.require_approval == "never" or "approval" in state:
        return Command(goto="order")
    answer = interrupt([order.model_dump(mode="json") for order in approved])
    approval = Approval.model_validate(answer)
    return Command(update={"approval": approval}, goto="guard" if approval.granted else "__end__")
