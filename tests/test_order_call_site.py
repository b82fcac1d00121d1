"""Promises 1 and 2, by the shape of the code: one door to the broker, one maker of permissions, one who goes through.

The sources are read as syntax trees, so that no comment, alias or line break hides a second door.
"""

from __future__ import annotations

import ast
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolCall, ToolMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from brokers.errors import Terminal
from brokers.protocol import OrderRequest
from brokers.simulated import SimulatedBroker, open_simulated
from portfolio.models import BrokerOrder
from tests.simulators.delegating_broker import DelegatingBroker
from tools.client import Toolbox, open_toolbox
from tools.contract import TOOL_CLASSES, Tool, ToolClass
from tools.server import build_server

ROOT = Path(__file__).parents[1]
PACKAGES = ("brokers", "cli", "config", "graph", "portfolio", "prompts", "tools")
# Brokers take the orders, and the server offers the tool: behind the session, not before it.
BEHIND_THE_SESSION = ("brokers/", "tools/server/")
THE_TOOL = {"place_order", "PLACE_ORDER"}


def sources() -> dict[str, ast.Module]:
    """Every module before the session, by its path."""
    files = (file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    named = {file.relative_to(ROOT).as_posix(): file for file in files}
    return {
        name: ast.parse(file.read_text(encoding="utf-8"))
        for name, file in named.items()
        if not name.startswith(BEHIND_THE_SESSION)
    }


def names_the_tool(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name) | ast.Constant(value=str(name)):
            return name in THE_TOOL
    return False


def called(node: ast.AST) -> str | None:
    """The last name of what a call calls."""
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name
    return None


def calls_of(name: str, module: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(module) if isinstance(node, ast.Call) and called(node) == name]


def calls_with_the_tool(module: ast.AST) -> Iterator[str]:
    """What is called with the order tool among its arguments."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and any(
            names_the_tool(part) for argument in (*node.args, *node.keywords) for part in ast.walk(argument)
        ):
            yield called(node) or "?"


def makers_of_permissions(module: ast.AST) -> Iterator[str]:
    """How a module makes an `ApprovedOrder`: by its name, or by a method of the class."""
    for node in ast.walk(module):
        match node:
            case ast.Call(func=ast.Name(id="ApprovedOrder") | ast.Attribute(attr="ApprovedOrder")):
                yield "ApprovedOrder"
            case ast.Attribute(value=ast.Name(id="ApprovedOrder") | ast.Attribute(attr="ApprovedOrder"), attr=method):
                yield method


def test_only_the_contract_and_the_desk_name_the_order_tool() -> None:
    naming = {name for name, module in sources().items() if any(map(names_the_tool, ast.walk(module)))}
    assert naming == {"tools/contract.py", "tools/desk.py"}


def test_the_order_tool_is_called_in_exactly_one_place() -> None:
    """The desk asks whether the tool is there and takes its parameters, and calls it once."""
    calls = {name: sorted(calls_with_the_tool(module)) for name, module in sources().items()}
    assert {name: called for name, called in calls.items() if called} == {"tools/desk.py": ["ask", "check", "takes"]}


def test_only_the_guard_makes_permissions_and_only_the_journal_reads_them_back() -> None:
    """What the journal read back has been burned by then: `burn` holds it against the row it came from."""
    made = {name: sorted(makers_of_permissions(module)) for name, module in sources().items()}
    assert {name: how for name, how in made.items() if how} == {
        "graph/act/guard.py": ["ApprovedOrder"],
        "graph/journal/orders.py": ["model_validate_json"],
    }


@pytest.mark.parametrize(
    ("name", "only"), [("place", "graph/act/order.py"), ("OrderDesk", "cli/wiring.py"), ("burn", "tools/desk.py")]
)
def test_the_way_to_the_broker_has_one_caller_at_each_step(name: str, only: str) -> None:
    callers = [file for file, module in sources().items() for _ in calls_of(name, module)]
    assert callers == [only]


@pytest.mark.parametrize(
    "hidden",
    [
        "tools.call('place_order')",
        "tools.call(name='place_order')",
        "tools.call(Tool.PLACE_ORDER.value)",
        "tools.call(Tool['PLACE_ORDER'])",
        "tools.call(\n    str(\n        T.PLACE_ORDER))",
        "getattr(server, 'place_order')(1)",
    ],
)
def test_a_second_door_would_be_seen(hidden: str) -> None:
    module = ast.parse(hidden)
    assert any(map(names_the_tool, ast.walk(module)))
    assert list(calls_with_the_tool(module))


@pytest.mark.parametrize("hidden", ["models.ApprovedOrder(terms)", "ApprovedOrder.model_construct()"])
def test_a_second_maker_would_be_seen(hidden: str) -> None:
    assert list(makers_of_permissions(ast.parse(hidden)))


# --- whoever holds the reading half -----------------------------------------------------------------------------

ORDER = {"conid": 1, "side": "BUY", "quantity": 1, "order_type": "LMT", "price": 1.0}
SPELLINGS = (
    "place_order", "cancel_order", "PLACE_ORDER", "Place_Order", "place-order", "placeOrder", "place order",
    " place_order", "place_order ", "place_order\n", "place_order\x00", "functions.place_order", "tools/place_order",
    "place_orders", "modify_order", "submit", "pl\u0430ce_order", "\uff50\uff4c\uff41\uff43\uff45_order", "", "x" * 999,
)  # fmt: skip


class Counting(DelegatingBroker):
    """Counts what would have moved money."""

    moved = 0

    async def place(self, order: OrderRequest) -> BrokerOrder:
        self.moved += 1
        return await super().place(order)

    async def cancel(self, account_id: str, order_id: str) -> BrokerOrder:
        self.moved += 1
        return await super().cancel(account_id, order_id)


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[SimulatedBroker]:
    broker = open_simulated(tmp_path)
    yield broker
    broker._books.close()


@asynccontextmanager
async def reading(broker: Counting) -> AsyncIterator[Toolbox]:
    async with open_toolbox(build_server(broker)) as box:
        yield box


def test_no_reading_tool_is_one_that_orders() -> None:
    orders = {tool for tool, kind in TOOL_CLASSES.items() if kind is ToolClass.ORDER}
    assert orders == {Tool.PLACE_ORDER, Tool.CANCEL_ORDER}


async def test_a_model_that_asks_the_reading_half_for_an_order_is_refused_and_that_is_recorded(
    simulated: SimulatedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """Promise 1: it was handed no such tool, so that it asks by name is worth a line in the log."""
    broker = Counting(simulated)
    async with reading(broker) as box:
        for name in SPELLINGS:
            caplog.clear()
            with pytest.raises(Terminal, match="the MCP server offers no such tool here"):
                await box.read.call(name, **ORDER)
            (line,) = [record for record in caplog.records if record.name == "smart_agent"]
            assert line.levelno == logging.WARNING
            words = line.getMessage()
            assert words.isprintable()
            assert len(words) < 200
            assert " ".join(name.replace("\x00", " ").split())[:60] in words
    assert broker.moved == 0


async def test_a_reading_tool_called_under_the_name_of_an_order_still_only_reads(simulated: SimulatedBroker) -> None:
    """A model names the tool in its call; what it is bound to does not change by that."""
    broker = Counting(simulated)
    async with reading(broker) as box:
        assert not {tool.name for tool in box.read.tools} & {"place_order", "cancel_order"}
        for tool in box.read.tools:
            for name in ("place_order", "cancel_order"):
                call = {"name": name, "args": dict(ORDER), "id": "1", "type": "tool_call"}
                await tool.ainvoke(call)
    assert broker.moved == 0


async def test_a_models_tool_loop_over_the_reading_half_answers_an_order_with_an_error(
    simulated: SimulatedBroker,
) -> None:
    """The library's own loop, and a model that wants nothing but to order."""
    broker = Counting(simulated)

    def model(state: MessagesState) -> MessagesState:  # noqa: ARG001
        calls = [ToolCall(name=name, args=dict(ORDER), id=str(n)) for n, name in enumerate(SPELLINGS)]
        return {"messages": [AIMessage(content="", tool_calls=calls)]}

    async with reading(broker) as box:
        builder = StateGraph(MessagesState)
        builder.add_node("model", model)
        builder.add_node("tools", ToolNode(box.read.tools))
        builder.add_edge(START, "model")
        builder.add_edge("model", "tools")
        answered = (await builder.compile().ainvoke({"messages": [HumanMessage("Buy!")]}))["messages"]
    said = [message for message in answered if isinstance(message, ToolMessage)]
    assert [message.status for message in said] == ["error"] * len(SPELLINGS)
    assert broker.moved == 0


async def test_a_reading_tool_that_a_server_lacks_is_no_attempt_to_order(
    simulated: SimulatedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    async with reading(Counting(simulated)) as box:
        with pytest.raises(Terminal):
            await box.order.call(Tool.GET_ORDER_STATUS.value)
    assert not [record for record in caplog.records if record.name == "smart_agent"]
