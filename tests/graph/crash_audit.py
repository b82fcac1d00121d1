"""The auditor of the crash tests: holds the broker's own books against the agent's journal, row by row.

It reads the broker's file with SQL of its own, so that nothing that was killed is asked about itself.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

from config.home import Home
from graph.checkpoints import open_checkpoints
from graph.journal import Journal, JournalledOrder, OrderState
from graph.journal.states import MAY_FOLLOW
from graph.record import RunRecord
from portfolio.models import BrokerOrder, Execution

TICK = Decimal("0.01")
NEWEST = 20
"""So many checkpoints are read: those of a run that died, and some more."""


@dataclass(frozen=True)
class BrokerBooks:
    """Everything in the file of the simulated broker's books."""

    cash: Decimal
    holdings: dict[str, Decimal]
    orders: tuple[BrokerOrder, ...]
    executions: tuple[Execution, ...]


def broker_books(home: Path) -> BrokerBooks:
    (file,) = Home(home).simulated.glob("simulated-*.db")
    with closing(sqlite3.connect(file)) as books:
        _assert_whole(books)
        ((cash,),) = books.execute("SELECT cash FROM account").fetchall()
        held = books.execute("SELECT symbol, quantity FROM holdings").fetchall()
        orders = books.execute("SELECT fact FROM orders ORDER BY order_id").fetchall()
        fills = books.execute("SELECT fact FROM executions ORDER BY number").fetchall()
    return BrokerBooks(
        cash=Decimal(cash),
        holdings={symbol: Decimal(quantity) for symbol, quantity in held},
        orders=tuple(BrokerOrder.model_validate_json(fact) for (fact,) in orders),
        executions=tuple(Execution.model_validate_json(fact) for (fact,) in fills),
    )


@dataclass(frozen=True)
class AgentFiles:
    """What the agent remembers: its orders with every state each went through, and its runs."""

    orders: dict[str, JournalledOrder]
    states: dict[str, tuple[OrderState, ...]]
    runs: tuple[RunRecord, ...]

    def in_state(self, *states: OrderState) -> list[JournalledOrder]:
        return [order for order in self.orders.values() if order.state in states]


def agent_files(home: Path) -> AgentFiles:
    with closing(sqlite3.connect(Home(home).database)) as database:
        _assert_whole(database)
        ids = [row[0] for row in database.execute("SELECT client_order_id FROM orders")]
        records = database.execute("SELECT record FROM runs ORDER BY started_at").fetchall()
    with closing(Journal(Home(home).database)) as journal:
        assert journal.questions.open() == ()
        assert journal.halts.current() is None
        found = {name: journal.orders.find(name) for name in ids}
        states = {name: tuple(change.state for change in journal.orders.changes(name)) for name in ids}
    return AgentFiles(
        orders={name: order for name, order in found.items() if order},
        states=states,
        runs=tuple(RunRecord.model_validate_json(record) for (record,) in records),
    )


def assert_in_agreement(agent: Path, broker: Path, opening: BrokerBooks, *, unknown: int = 0) -> AgentFiles:
    """No order doubled, lost or stuck, but for so many `unknown`; the agent's files come back."""
    files, books = agent_files(agent), broker_books(broker)
    assert len([order for order in files.orders.values() if order.state.is_unsettled]) == unknown
    _assert_same_orders(files, books)
    _assert_lawful_lives(files)
    _assert_nothing_doubled(files, books)
    _assert_money_is_explained(books, opening)
    _assert_files_are_whole(agent)
    return files


def _assert_same_orders(files: AgentFiles, books: BrokerBooks) -> None:
    at_broker = {order.client_order_id: order for order in books.orders}
    assert len(at_broker) == len(books.orders)
    assert at_broker.keys() <= files.orders.keys(), "the broker has an order that the journal does not know"
    for name, ours in files.orders.items():
        theirs = at_broker.get(name)
        if theirs:
            _assert_same_order(ours, theirs)
        else:
            assert ours.state.is_unsettled or ours.state in (OrderState.CANCELLED, OrderState.REJECTED), ours
            assert ours.record is None or ours.record.filled_quantity == 0, ours


def _assert_same_order(ours: JournalledOrder, theirs: BrokerOrder) -> None:
    assert ours.approved is not None
    terms, record = ours.approved.terms, ours.record
    for name in ("account_id", "conid", "symbol", "side", "quantity"):
        assert getattr(terms, name) == getattr(theirs, name), (name, ours, theirs)
    assert theirs.limit_price is not None
    assert abs(terms.limit_price - theirs.limit_price) < TICK
    assert record is not None, ours
    assert ours.state is OrderState.of(theirs.status), (ours, theirs)
    assert ours.state.is_final, ours
    for name in ("status", "filled_quantity", "average_price", "commission"):
        assert getattr(record, name) == getattr(theirs, name), (name, ours, theirs)


def _assert_lawful_lives(files: AgentFiles) -> None:
    for name, states in files.states.items():
        assert states[0] is OrderState.PLANNED
        assert states[-1] is files.orders[name].state
        assert states.count(OrderState.SUBMITTING) <= 1, states
        assert all(after in MAY_FOLLOW[before] for before, after in pairwise(states)), states


def _assert_nothing_doubled(files: AgentFiles, books: BrokerBooks) -> None:
    """Of one run and trade at most what was planned is filled, however often it was sent."""
    filled: dict[str, Decimal] = defaultdict(Decimal)
    for order in books.orders:
        filled[(order.client_order_id or "").removesuffix("-again")] += order.filled_quantity
    assert all(quantity <= files.orders[name].quantity for name, quantity in filled.items()), filled
    first = [order for name, order in files.orders.items() if not name.endswith("-again")]
    assert max(Counter((order.run_id, order.symbol) for order in first).values(), default=0) <= 1
    fills: dict[str | None, Decimal] = defaultdict(Decimal)
    for fill in books.executions:
        fills[fill.client_order_id] += fill.quantity
    assert fills == {order.client_order_id: order.filled_quantity for order in books.orders if order.filled_quantity}


def _assert_money_is_explained(books: BrokerBooks, opening: BrokerBooks) -> None:
    cash, held = opening.cash, defaultdict(Decimal, opening.holdings)
    for fill in books.executions:
        cash -= fill.quantity * fill.price * fill.side.sign + (fill.commission or 0)
        held[fill.symbol] += fill.quantity * fill.side.sign
    assert books.cash == cash
    assert books.holdings == {symbol: quantity for symbol, quantity in held.items() if quantity}
    assert cash >= 0
    assert min(held.values()) >= 0


def _assert_files_are_whole(agent: Path) -> None:
    home = Home(agent)
    for file in (home.checkpoints, home.memory):
        with closing(sqlite3.connect(file)) as database:
            _assert_whole(database)
    asyncio.run(_read_checkpoints(home.checkpoints))
    for reflection in home.reflections.glob("*.json"):
        assert json.loads(reflection.read_text(encoding="utf-8"))["run_id"]


async def _read_checkpoints(file: Path) -> None:
    """Those of runs that are over are gone, and what is left of one that died can be read."""
    async with open_checkpoints(file) as saver:
        assert all([found.checkpoint["channel_values"] is not None async for found in saver.alist(None, limit=NEWEST)])


def _assert_whole(database: sqlite3.Connection) -> None:
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
