"""ACT, second: a person's approval, where it is wanted. It holds the question and nothing else.

An interrupted node runs again from its first line when it is answered, so nothing here may have an effect. An answered
plan goes back to the guard: what was granted is priced and judged anew before anything is sent.
"""

from __future__ import annotations

from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from graph.record import Approval, seen
from graph.state import Context, State


def approve(state: State, runtime: Runtime[Context]) -> Command[Literal["guard", "order", "__end__"]]:  # noqa: ARG001
    if state.get("asked") and "approval" not in state:
        orders = [order.model_dump(mode="json") for order in state["asked"]]
        answer = Approval.model_validate(interrupt({"orders": orders, "warnings": state["warnings"]}))
        if answer.granted and answer.seen != seen(state["asked"], state["warnings"]):
            # The guard ran again before this answer reached it, and found something else than the person was shown.
            answer = Approval(granted=False, why="the orders or the broker's warnings changed after they were shown")
        return Command(update={"approval": answer}, goto="guard")
    return Command(goto="order" if state["approved"] else "__end__")
