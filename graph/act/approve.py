"""ACT, second: a person's approval, where it is wanted. It holds the question and nothing else.

An interrupted node runs again from its first line when it is answered, so nothing here may have an effect. An answered
plan goes back to the guard: what was granted is priced and judged anew before anything is sent.
"""

from __future__ import annotations

from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from graph.record import Approval
from graph.state import Context, State


def approve(state: State, runtime: Runtime[Context]) -> Command[Literal["guard", "order", "__end__"]]:  # noqa: ARG001
    if state.get("asked") and "approval" not in state:
        orders = [order.model_dump(mode="json") for order in state["asked"]]
        answer = interrupt({"orders": orders, "warnings": state["warnings"]})
        return Command(update={"approval": Approval.model_validate(answer)}, goto="guard")
    return Command(goto="order" if state["approved"] else "__end__")
