"""The MCP server as a client meets it: a real session over the real simulated broker."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.memory import create_connected_server_and_client_session
from mcp.types import TextContent, Tool

import prompts
from brokers.errors import OutcomeUnknown
from brokers.protocol import Broker, OrderRequest
from brokers.simulated import SimulatedBroker, open_simulated
from portfolio.models import Account, BrokerOrder, OrderStatus
from tools.contract import TOOL_CLASSES, ToolClass
from tools.rows.account import Positions
from tools.rows.orders import Executions, OrderStatusResult
from tools.server import build_server
from tools.wire.account import read_position
from tools.wire.orders import read_execution, read_order

FRIDAY = date(2026, 1, 16)
SINCE = "2026-01-16T00:00:00Z"

ACCOUNT = {"id", "type", "desc", "covestor"}
SUMMARY = {
    "accountcode", "accountready", "accounttype", "currency", "netliquidation", "availablefunds", "buyingpower",
    "cushion", "excessliquidity", "initmarginreq", "maintmarginreq", "grosspositionvalue", "totalcashvalue",
    "accruedcash", "equitywithloanvalue", "fullavailablefunds", "fullexcessliquidity", "fullinitmarginreq",
    "fullmaintmarginreq", "lookaheadavailablefunds", "lookaheadexcessliquidity", "lookaheadinitmarginreq",
    "lookaheadmaintmarginreq", "daytradesremaining", "nlvandmargininreview",
}  # fmt: skip
POSITION = {
    "acctId", "conid", "contractDesc", "position", "mktPrice", "mktValue", "currency", "avgCost", "avgPrice",
    "realizedPnl", "unrealizedPnl", "assetClass",
}  # fmt: skip
PNL = {"acctId", "model", "dpl", "nl", "upl", "el", "mv", "rpl"}
LEDGER = {"cashbalance", "settledcash", "currency", "exchangerate", "stockmarketvalue", "netliquidationvalue"}
CONTRACT = {"conid", "symbol", "exchange", "sec_type", "currency", "name", "min_tick"}
SNAPSHOT = {
    "conid", "symbol", "last_price", "bid", "ask", "bid_size", "ask_size", "volume", "change", "change_percent",
    "high", "low", "open", "close", "as_of", "feed", "note",
}  # fmt: skip
ORDER = {
    "orderId", "conid", "symbol", "side", "orderType", "quantity", "price", "auxPrice", "status", "filled",
    "remaining", "avgPrice", "lastExecutionTime", "orderRef", "timeInForce", "account", "commission", "message",
    "submitted_at",
}  # fmt: skip
EXECUTION = {
    "execution_id", "orderId", "orderRef", "conid", "symbol", "side", "quantity", "price", "commission", "time",
    "account",
}  # fmt: skip
ECHO = {"conid", "side", "quantity", "order_type", "price"}
WHAT_IF = {
    "equity", "initial", "maintenance", "warn", "error", "commission", "amount", "equity_before", "initial_before",
    "maintenance_before",
}  # fmt: skip
SCAN = {
    "conid", "symbol", "contractDesc", "secType", "exchange", "currency", "price", "change", "changePercent", "volume",
}  # fmt: skip
SCANNED = ("results", SCAN)

# Each tool with arguments that make it answer, its keys, and the keys of the row (or the first row) under one of them.
SHAPES: list[tuple[str, dict[str, Any], set[str], tuple[str, set[str]] | None]] = [
    ("find_contract", {"symbol": "SPY"}, CONTRACT, None),
    ("find_contracts", {"symbols": ["SPY", "NOSUCH"]}, {"contracts", "count"}, ("contracts", CONTRACT)),
    ("get_accounts", {}, {"accounts", "count"}, ("accounts", ACCOUNT)),
    ("get_portfolio_summary", {}, {"account_id", "summary"}, ("summary", SUMMARY)),
    ("get_positions", {}, {"account_id", "positions", "count", "total_positions"}, ("positions", POSITION)),
    ("get_pnl", {}, {"pnl", "count"}, ("pnl", PNL)),
    ("get_ledger", {}, {"account_id", "ledger", "count"}, ("ledger", LEDGER)),
    ("get_market_snapshot", {"conid": "SPY"}, {"conid", "snapshot"}, ("snapshot", SNAPSHOT)),
    ("get_market_snapshots", {"conids": ["SPY"]}, {"snapshots", "count"}, ("snapshots", SNAPSHOT)),
    (
        "get_history",
        {"conid": "SPY", "period": "5d"},
        {"conid", "bar", "period", "bars", "count"},
        ("bars", {"t", "o", "h", "l", "c", "v"}),
    ),
    (
        "get_order_book",
        {"conid": "SPY"},
        {"conid", "order_book"},
        ("order_book", {"conid", "bids", "asks", "timestamp"}),
    ),
    (
        "get_trading_schedule",
        {"symbol": "SPY"},
        {"symbol", "exchange", "timezone", "now", "is_open", "opens_at", "closes_at"},
        None,
    ),
    (
        "whatif_order",
        {"conid": "SPY", "side": "BUY", "quantity": 1},
        {"account_id", "order_request", "whatif_result"},
        ("whatif_result", WHAT_IF),
    ),
    (
        "place_order",
        {"conid": "SPY", "side": "BUY", "quantity": 1, "order_type": "LMT", "price": 1.5, "client_order_id": "low"},
        {"account_id", "order_request", "result"},
        ("result", {"order_id", "local_order_id", "order_status", "encrypt_message", "error"}),
    ),
    ("get_live_orders", {}, {"orders", "count"}, ("orders", ORDER)),
    ("get_order_status", {"client_order_id": "low"}, {"client_order_id", "order"}, ("order", ORDER)),
    (
        "cancel_order",
        {"order_id": "low"},
        {"account_id", "order_id", "result"},
        ("result", {"order_id", "order_status", "msg", "error"}),
    ),
    ("get_executions", {"since": SINCE}, {"executions", "count"}, ("executions", EXECUTION)),
    ("scan_top_gainers", {}, {"scan_type", "location", "results", "count"}, SCANNED),
    ("scan_top_losers", {}, {"scan_type", "location", "results", "count"}, SCANNED),
    ("scan_most_active", {}, {"scan_type", "location", "results", "count"}, SCANNED),
    (
        "custom_scan",
        {"scan_code": "MOST_ACTIVE"},
        {"scan_type", "scan_code", "location", "results", "count"},
        SCANNED,
    ),
    ("get_scan_codes", {}, {"scan_codes", "count"}, None),
    (
        "portfolio_health_check",
        {},
        {"account_id", "health_metrics", "summary", "position_count", "pnl_summary"},
        ("health_metrics", {"total_value", "buying_power", "available_funds", "total_positions", "cash_percentage"}),
    ),
    (
        "stock_analysis",
        {"symbol": "SPY"},
        {"symbol", "contract", "market_data", "position_analysis", "portfolio_context"},
        ("position_analysis", {"target_quantity", "position_value", "portfolio_percentage", "affordable"}),
    ),
]
JSON_NUMBERS = {"health_metrics", "order_request", "position_analysis", "portfolio_context", "market_data"}


class Client:
    """An MCP session with the answers unwrapped."""

    def __init__(self, session: ClientSession) -> None:
        self.session = session

    async def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        result = await self.session.call_tool(name, arguments)
        assert not result.isError, result.content
        assert result.structuredContent is not None
        return result.structuredContent

    async def refusal(self, name: str, **arguments: Any) -> str:
        result = await self.session.call_tool(name, arguments)
        assert result.isError, result.structuredContent
        assert isinstance(result.content[0], TextContent)
        return result.content[0].text

    async def conid(self, symbol: str) -> int:
        found = await self.call("find_contract", symbol=symbol)
        return int(found["conid"])


@asynccontextmanager
async def connected(broker: Broker) -> AsyncIterator[Client]:
    async with create_connected_server_and_client_session(build_server(broker)) as session:
        yield Client(session)


@asynccontextmanager
async def simulated(folder: Path) -> AsyncIterator[Client]:
    broker = open_simulated(folder, as_of=FRIDAY)
    try:
        async with connected(broker) as client:
            yield client
    finally:
        await broker.close()


async def listed(folder: Path) -> list[Tool]:
    async with simulated(folder) as client:
        return (await client.session.list_tools()).tools


def floats(value: Any) -> list[float]:
    """Every JSON number with a fraction in `value`, the answers' own computed figures aside."""
    if isinstance(value, dict):
        return [found for key, inner in value.items() if key not in JSON_NUMBERS for found in floats(inner)]
    if isinstance(value, list):
        return [found for inner in value for found in floats(inner)]
    return [value] if isinstance(value, float) else []


async def test_every_tool_answers_with_exactly_the_keys_of_the_contract(tmp_path: Path) -> None:
    assert {shape[0] for shape in SHAPES} == set(TOOL_CLASSES)
    async with simulated(tmp_path) as client:
        spy = await client.conid("SPY")
        await client.call("place_order", conid=spy, side="BUY", quantity=1, client_order_id="filled")
        ids: dict[str, str] = {}
        for name, arguments, keys, nested in SHAPES:
            known: dict[str, Any] = {"conid": spy, "conids": [spy], "order_id": ids.get("low")}
            answer = await client.call(name, **{key: known.get(key, value) for key, value in arguments.items()})
            assert set(answer) == keys, name
            if nested:
                row = answer[nested[0]]
                assert set(row[0] if isinstance(row, list) else row) == nested[1], name
            assert floats(answer) == [], f"{name}: money is a decimal string"
            if name == "place_order":
                ids["low"] = answer["result"]["order_id"]


async def test_every_tool_has_a_description_schemas_and_the_hints_of_its_class(tmp_path: Path) -> None:
    """A client that sorts by hints, as ours does with servers it does not know, must not take an order for a read."""
    tools = await listed(tmp_path)
    assert {tool.name for tool in tools} == set(TOOL_CLASSES)
    for tool in tools:
        assert tool.description
        assert "\n " not in tool.description
        assert tool.outputSchema
        assert all("description" in shown for shown in tool.inputSchema["properties"].values()), tool.name
        hints = tool.annotations
        assert hints is not None
        is_order = TOOL_CLASSES[tool.name] is ToolClass.ORDER
        assert (hints.readOnlyHint, hints.destructiveHint, hints.idempotentHint) == (not is_order, is_order, True)


async def test_a_client_is_told_how_to_use_the_server(tmp_path: Path) -> None:
    broker = open_simulated(tmp_path, as_of=FRIDAY)
    assert build_server(broker).instructions == prompts.load("server")
    await broker.close()


async def test_positions_and_fills_are_the_same_facts_on_both_sides(tmp_path: Path) -> None:
    broker = open_simulated(tmp_path, as_of=FRIDAY)
    async with connected(broker) as client:
        spy = await client.conid("SPY")
        await client.call("place_order", conid=spy, side="BUY", quantity=1, client_order_id="one")
        account = (await broker.accounts())[0].account_id
        positions = Positions.model_validate(await client.call("get_positions"))
        assert [read_position(row) for row in positions.positions] == await broker.positions(account)
        status = OrderStatusResult.model_validate(await client.call("get_order_status", client_order_id="one"))
        assert status.order is not None
        assert read_order(status.order) == await broker.order_status(account, "one")
        fills = Executions.model_validate(await client.call("get_executions", since=SINCE))
        assert [read_execution(row).client_order_id for row in fills.executions] == ["one"]
    await broker.close()


async def test_a_cut_list_of_positions_says_how_many_there_are(tmp_path: Path) -> None:
    async with simulated(tmp_path) as client:
        answer = await client.call("get_positions", max_positions=3)
    assert (len(answer["positions"]), answer["count"], answer["total_positions"]) == (3, 3, 8)


async def test_cash_percentage_is_cash_and_not_available_funds(tmp_path: Path) -> None:
    async with simulated(tmp_path) as client:
        summary = (await client.call("get_portfolio_summary"))["summary"]
        metrics = (await client.call("portfolio_health_check"))["health_metrics"]
    cash = Decimal(summary["totalcashvalue"]) / Decimal(summary["netliquidation"])
    assert metrics["cash_percentage"] == pytest.approx(float(100 * cash))
    assert Decimal(summary["availablefunds"]) != Decimal(summary["totalcashvalue"])


async def test_a_what_if_shows_the_account_before_and_after_and_sends_nothing(tmp_path: Path) -> None:
    async with simulated(tmp_path) as client:
        spy = await client.conid("SPY")
        ask = (await client.call("get_market_snapshot", conid=spy))["snapshot"]["ask"]
        answer = await client.call("whatif_order", conid=spy, side="BUY", quantity=2, order_type="LMT", price=ask)
        assert (await client.call("get_live_orders"))["count"] == 0
    result = answer["whatif_result"]
    assert answer["order_request"] == {
        "conid": spy, "side": "BUY", "quantity": 2.0, "order_type": "LMT", "price": float(ask),
    }  # fmt: skip
    assert Decimal(result["amount"]) == 2 * Decimal(ask)
    assert Decimal(result["equity"]) == Decimal(result["equity_before"]) - Decimal(result["commission"])
    assert Decimal(result["initial"]) > Decimal(result["initial_before"])
    assert result["error"] is None


async def test_only_buy_and_sell_are_sides(tmp_path: Path) -> None:
    """In the existing server every other word sells."""
    async with simulated(tmp_path) as client:
        spy = await client.conid("SPY")
        for side in ("buy", "Buy", "HOLD", "B", "", None, 1):
            for name in ("whatif_order", "place_order"):
                assert "side" in await client.refusal(name, conid=spy, side=side, quantity=1)
        assert (await client.call("get_executions", since=SINCE))["count"] == 0


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"quantity": 0}, "quantity"),
    ({"quantity": -5}, "quantity"),
    ({"quantity": "NaN"}, "quantity"),
    ({"quantity": "ten"}, "quantity"),
    ({"conid": "SPY"}, "conid"),
    ({"conid": 1.5}, "conid"),
    ({"order_type": "STP"}, "order_type"),
    ({"order_type": "LMT"}, "321"),
    ({"price": 100}, "321"),
    ({"limit_price": 100}, "unknown parameter limit_price"),
    ({"order_type": "LMT", "price": -1}, "price"),
    ({"tif": "GTC"}, "tif"),
    ({"account_id": "U7654321"}, "U7654321"),
    ({"conid": 1}, "200"),
    ({"client_order_id": ""}, "client_order_id"),
]


async def test_a_wrong_order_is_refused_with_a_sentence_that_names_what_is_wrong(tmp_path: Path) -> None:
    """A parameter dropped in silence, such as a misspelt price, would send a market order."""
    async with simulated(tmp_path) as client:
        good: dict[str, Any] = {"conid": await client.conid("SPY"), "side": "BUY", "quantity": 1}
        for wrong, named in WRONG:
            refusal = await client.refusal("place_order", **(good | wrong))
            assert named in refusal, wrong
            assert "\n" not in refusal
            assert "Error executing tool" not in refusal
        assert (await client.call("get_executions", since=SINCE))["count"] == 0


async def test_a_brokers_error_is_an_error_with_its_code_and_words(tmp_path: Path) -> None:
    async with simulated(tmp_path) as client:
        assert (await client.refusal("find_contract", symbol="NOSUCH")).startswith("200: ")
        assert (await client.refusal("cancel_order", order_id="999999")).startswith("135: ")
        assert "since" in await client.refusal("get_executions", since="2026-01-16T00:00:00")
        assert "Unknown tool" in await client.refusal("no_such_tool")


async def test_the_same_client_order_id_buys_once(tmp_path: Path) -> None:
    async with simulated(tmp_path) as client:
        order = {"conid": await client.conid("SPY"), "side": "BUY", "quantity": 1, "client_order_id": "once"}
        first = await client.call("place_order", **order)
        assert await client.call("place_order", **order) == first
        assert first["result"]["order_status"] == "Filled"
        assert first["result"]["local_order_id"] == "once"
        assert (await client.call("get_executions", since=SINCE))["count"] == 1
        assert (await client.refusal("place_order", **(order | {"quantity": 2}))).startswith("103: ")


async def test_an_order_that_was_sent_is_found_again_even_if_it_could_not_be_sent_a_second_time(tmp_path: Path) -> None:
    """After a lost answer the agent sends again; a what-if of a second such order must not hide the first."""
    async with simulated(tmp_path) as client:
        spy = await client.conid("SPY")
        ask = Decimal((await client.call("get_market_snapshot", conid=spy))["snapshot"]["ask"])
        funds = Decimal((await client.call("get_portfolio_summary"))["summary"]["availablefunds"])
        most = int(funds * Decimal("1.5") / ask)
        order = {"conid": spy, "side": "BUY", "quantity": most, "client_order_id": "large"}
        first = await client.call("place_order", **order)
        assert (await client.refusal("place_order", **(order | {"client_order_id": "again"}))).startswith("201: ")
        assert (await client.call("place_order", **order))["result"]["order_id"] == first["result"]["order_id"]


async def test_a_preview_that_fails_sends_nothing_and_a_refused_order_is_inactive(tmp_path: Path) -> None:
    async with simulated(tmp_path) as client:
        order = {"conid": await client.conid("SPY"), "side": "BUY", "quantity": 100_000, "client_order_id": "huge"}
        assert (await client.refusal("place_order", **order)).startswith("201: ")
        assert (await client.call("get_order_status", client_order_id="huge"))["order"] is None
        result = (await client.call("place_order", skip_whatif=True, **order))["result"]
        assert result["order_status"] == "Inactive"
        assert result["error"].startswith("201: ")
        row = OrderStatusResult.model_validate(await client.call("get_order_status", client_order_id="huge")).order
        assert row is not None
        assert read_order(row).status is OrderStatus.REJECTED


async def test_a_working_order_can_be_cancelled_once_and_stays_cancelled(tmp_path: Path) -> None:
    async with simulated(tmp_path) as client:
        low = {"side": "BUY", "quantity": 1, "order_type": "LMT", "price": "1.00", "client_order_id": "low"}
        placed = (await client.call("place_order", conid=await client.conid("SPY"), **low))["result"]
        assert placed["order_status"] == "Submitted"
        for _ in range(2):
            cancelled = await client.call("cancel_order", order_id=placed["order_id"])
            assert cancelled["result"]["order_status"] == "Cancelled"
        assert (await client.call("get_live_orders"))["count"] == 0


class SilentBroker:
    """The simulated broker behind a line that drops after an order went out."""

    def __init__(self, broker: SimulatedBroker) -> None:
        self._broker = broker

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    async def place(self, order: OrderRequest) -> BrokerOrder:
        await self._broker.place(order)
        raise OutcomeUnknown("no answer within 10 s; the order may have been placed")

    async def cancel(self, account_id: str, order_id: str) -> BrokerOrder:
        raise OutcomeUnknown(f"no answer about order {order_id} of {account_id}", code=504)


async def test_an_order_whose_outcome_is_unknown_is_a_receipt_without_an_id(tmp_path: Path) -> None:
    """An error would say that nothing happened, and the agent would buy a second time."""
    broker = open_simulated(tmp_path, as_of=FRIDAY)
    async with connected(SilentBroker(broker)) as client:
        order = {"conid": await client.conid("SPY"), "side": "BUY", "quantity": 1, "client_order_id": "lost"}
        result = (await client.call("place_order", **order))["result"]
        assert (result["order_id"], result["order_status"]) == (None, "Unknown")
        assert "may have been placed" in result["error"]
        assert (await client.call("get_order_status", client_order_id="lost"))["order"]["status"] == "Filled"
        cancelled = (await client.call("cancel_order", order_id="1"))["result"]
        assert (cancelled["order_id"], cancelled["order_status"]) == (None, "Unknown")
        assert cancelled["error"].startswith("504: ")
    await broker.close()


class TwoAccounts(SilentBroker):
    """A login with a second account."""

    async def accounts(self) -> list[Account]:
        return [*await self._broker.accounts(), Account(account_id="DU7654321")]


async def test_with_several_accounts_the_one_meant_must_be_named(tmp_path: Path) -> None:
    broker = open_simulated(tmp_path, as_of=FRIDAY)
    first = (await broker.accounts())[0].account_id
    async with connected(TwoAccounts(broker)) as client:
        refusal = await client.refusal("get_positions")
        assert first in refusal
        assert "DU7654321" in refusal
        assert (await client.call("get_positions", account_id=first))["count"] == 8
    await broker.close()


async def test_the_same_answers_come_over_streamable_http_without_a_session(tmp_path: Path) -> None:
    """No session is kept, so a client that waits an hour for an approval finds the server as it left it."""
    broker = open_simulated(tmp_path, as_of=FRIDAY)
    server = build_server(broker)
    transport = httpx.ASGITransport(app=server.streamable_http_app())
    async with (
        server.session_manager.run(),
        httpx.AsyncClient(transport=transport) as http,
        streamable_http_client("http://127.0.0.1:8001/mcp", http_client=http) as (read, write, session_id),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        positions = await Client(session).call("get_positions")
        assert session_id() is None
    async with connected(broker) as client:
        assert await client.call("get_positions") == positions
    await broker.close()


STDIO_SERVER = """
import logging, sys
from datetime import date
from pathlib import Path
from brokers.simulated import open_simulated
from tools.server import build_server
server = build_server(open_simulated(Path(sys.argv[1]), as_of=date.fromisoformat(sys.argv[2])))
assert not logging.getLogger().handlers
server.run("stdio")
"""


async def test_over_stdio_nothing_but_the_protocol_is_written(tmp_path: Path) -> None:
    """A log line on stdout breaks the session, one on stderr the screen of whoever started it; also on a failure."""
    books, talk = tmp_path / "books", tmp_path / "stderr"
    command = StdioServerParameters(
        command=sys.executable,
        args=["-c", STDIO_SERVER, str(books), FRIDAY.isoformat()],
        cwd=Path(__file__).parents[2],
    )
    with talk.open("w") as errlog:
        async with stdio_client(command, errlog=errlog) as streams, ClientSession(*streams) as session:
            await session.initialize()
            client = Client(session)
            assert (await client.call("get_accounts"))["count"] == 1
            assert (await client.refusal("find_contract", symbol="NOSUCH")).startswith("200: ")
    assert talk.read_text() == ""


def test_an_unknown_prompt_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(LookupError, match=r"'serve'.*server"):
        prompts.load("serve")
    with pytest.raises(LookupError):
        prompts.load("../README")


async def test_the_page_about_the_tools_says_what_the_server_offers(tmp_path: Path) -> None:
    """docs/mcp-tools.md lists each tool with its class, its parameters and the keys of its result, in this order."""
    page = (Path(__file__).parents[2] / "docs" / "mcp-tools.md").read_text(encoding="utf-8")
    documented = [line.split("|")[1:5] for line in page.splitlines() if line.startswith("| `")]
    offered = [
        [tool.name, TOOL_CLASSES[tool.name].value, _signature(tool), _keys(tool)] for tool in await listed(tmp_path)
    ]
    assert [[cell.strip().replace("`", "") for cell in row] for row in documented] == offered


def _signature(tool: Tool) -> str:
    shown = tool.inputSchema["properties"]
    required = tool.inputSchema.get("required", [])
    return (
        ", ".join(name if name in required else f"{name}={json.dumps(shown[name]['default'])}" for name in shown)
        or "none"
    )


def _keys(tool: Tool) -> str:
    assert tool.outputSchema is not None
    return ", ".join(tool.outputSchema["properties"])
