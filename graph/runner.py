"""One run of the graph, told as events while it goes on and as a `RunRecord` when it ends.

The steps are timed from outside, so that no node knows that it is watched.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.runtime import Runtime
from langgraph.types import Command, StateSnapshot

from graph.checkpoints import StepsNotKept
from graph.events import ApprovalWanted, Event, StepFinished, StepStarted
from graph.failure import describe
from graph.journal import Answer, Halted, JournalError
from graph.outcome import outcome_of
from graph.record import Approval, PositionLine, RunRecord, SnapshotLine, Timings, Usage, seen
from graph.reflect import reflect
from graph.state import Context, State
from graph.wiring import Graph
from portfolio.drift import drift_table
from portfolio.models import OrderTerms, PortfolioSnapshot, TradePlan

STEPS = ("sense", "think", "act", "reflect")


class NotWaiting(Exception):
    """The run does not wait for a person's answer, or no longer."""


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
    facts: State = field(default_factory=State)
    """What the steps have handed over so far, whether a checkpoint could be written of it or not."""

    @property
    def _config(self) -> RunnableConfig:
        return {"configurable": {"thread_id": self.run_id}}

    def start(self, wanted: TradePlan | None = None) -> AsyncIterator[Event]:
        """Begin; with a plan that is `wanted`, no other is thought of, and it always asks before it sends."""
        self.facts = {"run_id": self.run_id, "started_at": self.context.clock()}
        if wanted:
            self.facts["wanted"] = wanted
        return self._events({**self.facts})

    async def resume(self, answer: Approval) -> AsyncIterator[Event]:
        """Go on after `ApprovalWanted` with a person's answer, in this process or a later one.

        The question is closed before anything else happens, so that no answer counts twice; one that comes too late
        counts as a refusal. It stays open where a yes could not be acted on: no broker there, or trading is halted.

        Raises:
            NotWaiting: the run asks for nothing, or no longer, or has lost its checkpoints.
            BrokerError: the broker cannot be reached.
            Halted: trading is halted.
        """
        self.facts = await self._kept()
        now, questions = self.context.clock(), self.context.journal.questions
        question = next((question for question in questions.open() if question.run_id == self.run_id), None)
        if question and "run_id" not in self.facts:
            why = "the checkpoints it waited in are gone"
            questions.answer(self.run_id, Answer.SUPERSEDED, why, now)
            raise NotWaiting(
                f"Run {self.run_id} cannot go on: {why}. Its question is closed and nothing was sent; run again."
            )
        if question and now >= question.expires_at:
            why = f"nobody answered by {question.expires_at:%Y-%m-%d %H:%M} UTC"
            answer = Approval(granted=False, expired=True, why=why)
        if question and answer.granted:
            halt = self.context.journal.halts.current()
            if halt:
                raise Halted(f"Trading is halted: {halt.why}. Run {self.run_id} waits on; nothing was sent.")
            await self.context.reader.accounts()
            answer = answer.model_copy(update={"seen": seen(question.orders, question.warnings)})
        kind = Answer.EXPIRED if answer.expired else Answer.APPROVED if answer.granted else Answer.REJECTED
        if question is None or not questions.answer(self.run_id, kind, answer.why, now):
            told = questions.closing_of(self.run_id)
            why = f"its question is closed: {told.in_words}" if told else "it asked for no approval"
            raise NotWaiting(f"Run {self.run_id} does not wait for an answer: {why}. This answer sent nothing.")
        async for event in self._events(Command(resume=answer.model_dump())):
            yield event

    async def _events(self, graph_input: State | Command[Any]) -> AsyncIterator[Event]:
        self.waiting = False
        begun: dict[str, float] = {}
        question: ApprovalWanted | None = None
        stream = self.graph.astream(
            graph_input,
            self._config,
            context=self.context,
            stream_mode=["tasks", "custom"],
            subgraphs=True,
            durability="sync",
        )
        part: Any  # (namespace, mode, payload): the library's annotation covers every way to stream at once
        try:
            async for part in stream:
                namespace, mode, payload = part
                if mode == "custom":
                    yield payload
                    continue
                if not namespace or namespace[0].startswith("act:"):
                    self.facts.update(cast("State", payload.get("result") or {}))
                if namespace or payload["name"] not in STEPS:
                    continue
                if payload.get("interrupts"):
                    question = _question(payload["interrupts"][0]["value"])
                event = self._step(payload, begun)
                if event:
                    yield event
        except StepsNotKept as error:
            async for ending in self._reflect_unkept(error, begun):
                yield ending
            return
        if question:  # it is put when the run is kept where it waits, so that the answer finds it there
            self.waiting = True
            yield question

    def _step(self, task: dict[str, Any], begun: dict[str, float]) -> StepStarted | StepFinished | None:
        step = task["name"]
        if "input" in task:
            begun[step] = time.perf_counter()
            return StepStarted(step)
        finished = self._finished(step, begun.pop(step))
        if task.get("interrupts") or (task.get("error") and not self._has_sent(step)):
            return None  # the graph leads a failure to reflect, and raises one of reflect's own
        return finished

    def _finished(self, step: str, began: float) -> StepFinished:
        self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - began
        return StepFinished(step, {**self.facts}, self.seconds[step])

    def _has_sent(self, step: str) -> bool:
        return step == "act" and "orders" in self.facts

    async def _reflect_unkept(self, error: StepsNotKept, begun: dict[str, float]) -> AsyncIterator[Event]:
        """End a run whose steps cannot be kept, which stops the graph: reflect without it, if it has not reflected."""
        if "reflection" in self.facts:
            self.facts["notes"] = (*self.facts.get("notes", ()), str(error))
            return
        step = ("sense", *self.seconds, *begun)[-1]
        self.facts.setdefault("failure", describe(step, error))
        if self._has_sent(step) and begun:
            yield self._finished(step, begun[step])
        began = time.perf_counter()
        yield StepStarted("reflect")
        with suppress(JournalError):
            why = "the run could not be kept where it waits"
            self.context.journal.questions.answer(self.run_id, Answer.SUPERSEDED, why, self.context.clock())
        self.facts.update(await reflect(self.facts, Runtime(context=self.context, store=self.graph.store)))
        yield self._finished("reflect", began)

    async def _kept(self) -> State:
        """The facts on disk; a step that waits inside `act` has not handed its own to the whole yet."""
        snapshot = await self.graph.aget_state(self._config, subgraphs=True)
        facts = dict(snapshot.values)
        for task in snapshot.tasks:
            if isinstance(task.state, StateSnapshot):
                facts.update(task.state.values)
        return cast("State", facts)

    async def record(self) -> RunRecord:
        """What the run amounted to, saved in the journal before it is returned; a note says so if that failed."""
        state, settings = self.facts, self.context.settings
        outcome, message = outcome_of(state, waiting=self.waiting, stopped=self.context.stopping())
        snapshot, thought = state.get("snapshot"), state.get("thought")
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
            tightenings=state.get("tightenings", ()),
            plan=state.get("plan"),
            verdicts=state.get("verdicts", ()),
            orders=state.get("orders", ()),
            reflection=state.get("reflection"),
            notes=state.get("notes", ()),
            usage=thought.usage if thought else Usage(),
            thought=thought,
            timings=Timings(**{step: round(seconds, 3) for step, seconds in self.seconds.items()}),
        )
        try:
            self.context.journal.runs.save(record)
        except JournalError as error:
            return record.model_copy(update={"notes": (*record.notes, str(error))})
        if not self.waiting:
            await self._forget_steps()
        return record

    async def _forget_steps(self) -> None:
        """Let go of what a run would go on from: it is over and has its record, and the file would grow by each."""
        saver = self.graph.checkpointer
        with suppress(StepsNotKept):
            if isinstance(saver, BaseCheckpointSaver):
                await saver.adelete_thread(self.run_id)


def _question(asked: dict[str, Any]) -> ApprovalWanted:
    orders = tuple(OrderTerms.model_validate(order) for order in asked["orders"])
    return ApprovalWanted(orders, tuple(asked["warnings"]))


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
