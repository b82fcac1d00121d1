"""Plays hostile worlds through the real sense, guard, approve and order nodes, many under one MCP session."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command
from mcp.server.fastmcp import FastMCP
from mcp.types import Tool

from brokers.errors import BrokerError
from brokers.protocol import OrderRequest
from graph.checkpoints import serializer
from graph.journal import Journal, JournalledOrder
from graph.sense import sense
from graph.state import Context, State
from graph.wiring import Graph, _act
from portfolio.models import OrderStatus
from tests.graph.hostile_worlds import OPEN_AT, PersonsOrder, Round, World
from tests.graph.inspector import Entry, Story, net_of
from tests.simulators.troubled_broker import Clock, Faults, TroubledBroker
from tools.account import AccountReader
from tools.client import Toolbox, open_toolbox
from tools.desk import OrderDesk
from tools.server import build_server

Answer = TypeVar("Answer")


@dataclass
class Bench:
    """One event loop, one MCP session to one server in memory, and a journal for each world."""

    folder: Path
    clock: Clock = field(default_factory=lambda: Clock(OPEN_AT))
    seen: Counter[str] = field(default_factory=Counter)

    def __enter__(self) -> Self:
        self._runner, self._stack = asyncio.Runner(), AsyncExitStack()
        self._run(self._open())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._run(self._stack.aclose())
        self._runner.close()
        self.broker.close_books()

    def _run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        return self._runner.run(work)

    async def _open(self) -> None:
        self.broker = TroubledBroker(self.clock)
        self._toolbox: Toolbox = await self._stack.enter_async_context(open_toolbox(_quick(build_server(self.broker))))
        self._reader = AccountReader(self._toolbox.read, clock=self.clock.now, pause=self.clock.pause)
        self._act, self._asking = _act(), _act_with_checkpoints()

    def play(self, world: World) -> list[Story]:
        """The stories of its runs, one after the other."""
        for old in self.folder.glob("agent.db*"):
            old.unlink()
        journal = Journal(f"sqlite:///{self.folder / 'agent.db'}")
        try:
            return self._run(self._play(world, journal))
        finally:
            journal.close()

    async def _play(self, world: World, journal: Journal) -> list[Story]:
        self.clock.moment = world.rounds[0].starts_at
        self.broker.start(world.listings, world.cash, world.holdings)
        self.broker.begin_run(Faults())
        (account,) = await self.broker.accounts()
        for order in world.waiting:
            await self._of_a_person(order, account.account_id)
        first_net = net_of(self.broker.moment())
        stories: list[Story] = []
        theirs = len(self.broker.orders())
        for number, one in enumerate(world.rounds, start=1):
            self.clock.moment = max(self.clock.moment, one.starts_at)
            self.broker.begin_run(one.faults)
            before, orders = self.broker.moment(), self.broker.orders()
            fills = self.broker.executions_so_far()
            run_id = f"20260615-{number}"
            waits = await self._one(one, run_id, journal)
            await self.broker.arrive()
            earlier = tuple(orders[theirs:])
            new = tuple(self.broker.orders()[len(orders) :])
            mine = {order.order_id for order in (*earlier, *new)}
            stories.append(
                Story(
                    account_id=account.account_id,
                    settings=one.settings,
                    before=before,
                    after=self.broker.moment(),
                    first_net=first_net,
                    placed=tuple(self.broker.placed),
                    orders=new,
                    fills=tuple(
                        fill for fill in self.broker.executions_so_far()[len(fills) :] if fill.order_id in mine
                    ),
                    earlier=earlier,
                    earlier_fills=tuple(fill for fill in fills if fill.order_id in mine),
                    journal=tuple(_entries(journal, run_id)),
                    waits=waits,
                )
            )
            self._count(one, stories[-1])
        return stories

    async def _of_a_person(self, order: PersonsOrder, account_id: str) -> None:
        contract = await self.broker.find_contract(order.symbol)
        request = OrderRequest(
            account_id=account_id,
            conid=contract.conid,
            side=order.side,
            quantity=order.quantity,
            order_type="LMT" if order.limit_price else "MKT",
            limit_price=order.limit_price,
        )
        await self.broker.inner.place(request)

    async def _one(self, one: Round, run_id: str, journal: Journal) -> bool:
        """One run; whether it still waits for a person. A broker that fails while it is read ends it."""
        context = Context(
            settings=one.settings,
            reader=self._reader,
            desk=OrderDesk(self._toolbox.order, journal.orders, self.clock.now),
            journal=journal,
            reflections=self.folder,
            clock=self.clock.now,
            pause=self.clock.pause,
            claim=lambda _account_id: None,
            alone=True,
            stopping=lambda: False,
            command={},
        )
        state: State = {"run_id": run_id, "started_at": self.clock.now(), "plan": one.plan}
        try:
            sensed = await sense(state, Runtime(context=context))
        except BrokerError:
            self.seen["not sensed"] += 1
            return False
        state = {**state, **sensed}
        # A broker warns of itself where the session ends while it is asked.
        asks = one.settings.require_approval != "never" or one.faults.warns > 0 or one.faults.slow > 0
        if not asks:
            told = await self._act.ainvoke(state, context=context)
            return "__interrupt__" in told
        config: Any = {"configurable": {"thread_id": run_id}}
        self._asking.checkpointer = InMemorySaver(serde=serializer())
        told = await self._asking.ainvoke(state, config, context=context)
        if "__interrupt__" not in told:
            return False
        self.seen["asked"] += 1
        if one.answer is None:
            return True
        await self._asking.ainvoke(Command(resume=one.answer.model_dump()), config, context=context)
        return False

    def _count(self, one: Round, story: Story) -> None:
        self.seen["plans"] += 1
        self.seen["trades"] += len(one.plan.trades)
        self.seen["orders"] += len(story.orders)
        for order in story.orders:
            self.seen[f"at the broker {order.status.value}"] += 1
            partly = 0 < order.filled_quantity < order.quantity
            several = len([fill for fill in story.fills if fill.order_id == order.order_id]) > 1
            self.seen["partly filled"] += partly
            self.seen["filled in parts"] += several and order.status is OrderStatus.FILLED
            self.seen["again"] += str(order.client_order_id).endswith("-again")
        for entry in story.journal:
            self.seen[f"journal {entry.order.state.value}"] += 1
            self.seen["protective sent"] += bool(
                entry.was_sent and entry.order.approved and entry.order.approved.terms.protective
            )


def _entries(journal: Journal, run_id: str) -> list[Entry]:
    return [_entry(order, journal) for order in journal.orders.of_run(run_id)]


def _entry(order: JournalledOrder, journal: Journal) -> Entry:
    """What never left needs no more than its state."""
    if order.submitting_at is None:
        return Entry(order, (), ())
    return Entry(order, journal.orders.changes(order.client_order_id), journal.orders.verdicts(order.client_order_id))


def _quick(server: FastMCP[object]) -> FastMCP[object]:
    """The server with its tools listed without the schemas of their answers.

    The protocol's library holds every answer against its schema twice, and each time the schema against the schema of
    schemas, which takes longer than all else in a run. What we believe of an answer is decided by our own rows.
    """

    async def listed() -> list[Tool]:
        return [tool.model_copy(update={"outputSchema": None}) for tool in await server.list_tools()]

    server._mcp_server.list_tools()(listed)  # type: ignore[no-untyped-call]
    return server


def _act_with_checkpoints() -> Graph:
    builder = StateGraph(State, context_schema=Context)
    builder.add_node("act", _act())
    builder.add_edge(START, "act")
    builder.add_edge("act", END)
    return builder.compile(checkpointer=InMemorySaver(serde=serializer()))
