"""One run of the graph, told as events while it goes on and as a `RunRecord` when it ends.

The steps are timed from outside, so that no node knows that it is watched.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, StateSnapshot

from graph.journal import JournalError
from graph.record import Approval, Outcome, PositionLine, RunRecord, SnapshotLine, Timings, Usage
from graph.state import Context, State
from graph.wiring import Graph
from portfolio.drift import drift_table
from portfolio.models import ApprovedOrder, OrderStatus, PortfolioSnapshot

STEPS = ("sense", "think", "act", "reflect")


@dataclass(frozen=True)
class StepStarted:
    step: str


@dataclass(frozen=True)
class Progress:
    """What a step is busy with, in a few words."""

    text: str


@dataclass(frozen=True)
class StepFinished:
    """A step's end: the whole state after it, and the wall seconds it took."""

    step: str
    state: State
    seconds: float


@dataclass(frozen=True)
class ApprovalWanted:
    """The run waits; answer with `Run.resume`."""

    orders: tuple[ApprovedOrder, ...]


Event = StepStarted | Progress | StepFinished | ApprovalWanted


def new_run_id(now: datetime) -> str:
    """Sortable by time and unique: the UTC second and six random hex digits."""
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


@dataclass
class Run:
    """One thread of the graph. `start` or `resume` it, then take the `record`."""

    graph: Graph
    context: Context
    run_id: str
    seconds: dict[str, float] = field(default_factory=dict)
    waiting: bool = False

    @property
    def _config(self) -> RunnableConfig:
        return {"configurable": {"thread_id": self.run_id}}

    def start(self) -> AsyncIterator[Event]:
        return self._events({"run_id": self.run_id, "started_at": self.context.clock()})

    def resume(self, answer: Approval) -> AsyncIterator[Event]:
        """Go on after `ApprovalWanted` with a person's answer, in this process or a later one."""
        return self._events(Command(resume=answer.model_dump()))

    async def _events(self, graph_input: State | Command[Any]) -> AsyncIterator[Event]:
        self.waiting = False
        begun: dict[str, float] = {}
        stream = self.graph.astream(
            graph_input,
            self._config,
            context=self.context,
            stream_mode=["tasks", "custom"],
            subgraphs=True,
            durability="sync",
        )
        part: Any  # (namespace, mode, payload): the library's annotation covers every way to stream at once
        async for part in stream:
            namespace, mode, payload = part
            if mode == "custom":
                yield Progress(str(payload))
            elif not namespace and payload["name"] in STEPS:
                async for event in self._step(payload, begun):
                    yield event

    async def _step(self, task: dict[str, Any], begun: dict[str, float]) -> AsyncIterator[Event]:
        step = task["name"]
        if "input" in task:
            begun[step] = time.perf_counter()
            yield StepStarted(step)
            return
        self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - begun[step]
        if task.get("error"):
            return  # the graph leads a failure to reflect, and raises one of reflect's own
        if task.get("interrupts"):
            self.waiting = True
            orders = task["interrupts"][0]["value"]
            yield ApprovalWanted(tuple(ApprovedOrder.model_validate(order) for order in orders))
        else:
            before = await self._state()
            yield StepFinished(step, {**before, **(task.get("result") or {})}, self.seconds[step])

    async def _state(self) -> State:
        """The facts so far; a step that waits inside `act` has not handed its own to the whole yet."""
        snapshot = await self.graph.aget_state(self._config, subgraphs=True)
        facts = dict(snapshot.values)
        for task in snapshot.tasks:
            if isinstance(task.state, StateSnapshot):
                facts.update(task.state.values)
        return cast("State", facts)

    async def record(self) -> RunRecord:
        """What the run amounted to, saved in the journal before it is returned; a note says so if that failed."""
        state, settings = await self._state(), self.context.settings
        outcome, message = outcome_of(state, waiting=self.waiting)
        snapshot = state.get("snapshot")
        record = RunRecord(
            run_id=self.run_id,
            mode="paper" if settings.paper_trading else "live",
            account=snapshot.account.account_id if snapshot else None,
            strategy=settings.strategy,
            started_at=state["started_at"],
            finished_at=self.context.clock(),
            as_of=snapshot.as_of if snapshot else None,
            outcome=outcome,
            message=message,
            snapshot=_snapshot_line(snapshot, self.context) if snapshot else None,
            lessons=state.get("lessons", ()),
            plan=state.get("plan"),
            verdicts=state.get("verdicts", ()),
            orders=state.get("orders", ()),
            reflection=state.get("reflection"),
            notes=state.get("notes", ()),
            usage=Usage(),
            timings=Timings(**{step: round(seconds, 3) for step, seconds in self.seconds.items()}),
        )
        try:
            self.context.journal.save_run(record)
        except JournalError as error:
            return record.model_copy(update={"notes": (*record.notes, str(error))})
        return record


def _snapshot_line(snapshot: PortfolioSnapshot, context: Context) -> SnapshotLine:
    return SnapshotLine(
        net_liquidation=snapshot.summary.net_liquidation,
        cash=snapshot.summary.total_cash,
        positions=tuple(
            PositionLine.model_validate(position.model_dump(include=set(PositionLine.model_fields)))
            for position in snapshot.positions
        ),
        data_quality=snapshot.data_quality,
        drift=drift_table(snapshot, context.settings),
    )


def outcome_of(state: State, *, waiting: bool) -> tuple[Outcome, str]:
    """How the run ended, and one sentence that says so; an order nobody can account for outranks everything."""
    orders = state.get("orders", ())
    unresolved = [order for order in orders if order.status.is_unresolved]
    if unresolved:
        order = unresolved[0]
        words = order.message or f"{order.side} {order.quantity} {order.symbol} still works after it was cancelled."
        return Outcome.ORDER_UNKNOWN, f"{words} Look in the broker's own screens before running again."
    if "failure" in state:
        return state["failure"].outcome, state["failure"].message
    if waiting:
        return Outcome.WAITING_FOR_APPROVAL, (
            f"{len(state['approved'])} order(s) need approval and nobody was there to ask; nothing was sent. "
            "Run it in a terminal to be asked."
        )
    snapshot = state["snapshot"]
    if not snapshot.fit_to_trade:
        why = "; ".join(check.why for check in snapshot.data_quality if check.required and not check.passed)
        return Outcome.DATA_UNFIT, f"The data is not fit to trade on: {why}. Nothing was traded."
    if not snapshot.session.is_open:
        opens = snapshot.session.opens_at
        return Outcome.MARKET_CLOSED, f"The market is closed until {opens:%a %Y-%m-%d %H:%M} UTC; nothing was sent."
    return _outcome_of_plan(state)


def _outcome_of_plan(state: State) -> tuple[Outcome, str]:
    orders = state.get("orders", ())
    if not state["plan"].trades:
        return Outcome.NOTHING_TO_DO, state["plan"].summary
    if "approval" in state and not state["approval"].granted:
        return (
            Outcome.DECLINED,
            f"The orders were declined ({state['approval'].why or 'no reason given'}); nothing was sent.",
        )
    if not state["approved"]:
        return Outcome.NOTHING_APPROVED, f"The guard refused all {len(state['verdicts'])} trades; nothing was sent."
    filled = [order for order in orders if order.filled_quantity > 0]
    if not filled:
        return Outcome.NOTHING_FILLED, f"None of {len(orders)} orders was filled."
    done = sum(order.status is OrderStatus.FILLED for order in orders)
    return Outcome.TRADED, f"Completed {done} of {len(state['plan'].trades)} trades."
