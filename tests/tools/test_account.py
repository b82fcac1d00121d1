"""The reader of facts: what is missing, contradictory or about something else is an error and never a fact."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp.types import CallToolResult

from brokers.errors import Terminal
from portfolio.models import OrderStatus, OrderTerms, Side
from tests.simulators.scripted_server import ScriptedServer, as_json, tool
from tools.account import AccountReader
from tools.answers import understood
from tools.client import open_toolbox
from tools.contract import Tool
from tools.rows.account import Accounts, Ledger, PortfolioSummary, Positions
from tools.rows.base import Row
from tools.rows.market import FoundContract, MarketSnapshots, TradingSchedule
from tools.rows.orders import LiveOrders, OrderStatusResult, WhatIfOrder
from tools.wire.account import read_account, read_ledger_line, read_position, read_summary
from tools.wire.market import read_contract, read_quote, read_schedule
from tools.wire.orders import read_order, read_whatif

ME = "DU1"
SUMMARY = dict.fromkeys(
    (
        "netliquidation", "totalcashvalue", "availablefunds", "excessliquidity", "buyingpower",
        "equitywithloanvalue", "grosspositionvalue", "initmarginreq", "maintmarginreq",
    ),
    "50000.00",
)  # fmt: skip
HELD = {
    "acctId": ME, "conid": 1, "contractDesc": "SPY", "position": "5", "mktPrice": "400.00", "mktValue": "2000.00",
    "currency": "USD", "avgCost": "380.00", "assetClass": "STK",
}  # fmt: skip
OPEN = {
    "orderId": "7", "conid": 1, "symbol": "SPY", "side": "SELL", "orderType": "Limit", "quantity": "5", "price": "390",
    "status": "Submitted", "filled": "0", "account": ME,
}  # fmt: skip
HOURS = {
    "symbol": "SPY", "exchange": "XNYS", "timezone": "America/New_York", "is_open": True,
    "now": "2026-01-16T15:00:00Z", "opens_at": "2026-01-16T14:30:00Z", "closes_at": "2026-01-16T21:00:00Z",
}  # fmt: skip
PARAMETERS = {
    Tool.GET_PORTFOLIO_SUMMARY: ("account_id",),
    Tool.GET_LEDGER: ("account_id",),
    Tool.GET_POSITIONS: ("account_id", "max_positions"),
    Tool.FIND_CONTRACT: ("symbol",),
    Tool.GET_MARKET_SNAPSHOT: ("conid",),
    Tool.FIND_CONTRACTS: ("symbols",),
    Tool.GET_MARKET_SNAPSHOTS: ("conids",),
    Tool.GET_TRADING_SCHEDULE: ("symbol",),
    Tool.WHATIF_ORDER: ("conid", "side", "quantity", "order_type", "price", "account_id"),
    Tool.GET_ORDER_STATUS: ("client_order_id", "account_id"),
}
ORDER = OrderTerms(
    client_order_id="one", account_id=ME, conid=1, symbol="SPY", side=Side.BUY, quantity=5, limit_price=Decimal("400.1")
)


@asynccontextmanager
async def reading(answers: dict[Tool, Any]) -> AsyncIterator[AccountReader]:
    """A reader of a server that answers each tool with the value given for it, or with what a function makes of it."""

    async def respond(name: str, arguments: dict[str, Any]) -> CallToolResult:
        answer = answers[Tool(name)]
        return as_json(answer(**arguments) if callable(answer) else answer)

    offered = [tool(name.value, *PARAMETERS.get(name, ())) for name in answers]
    async with open_toolbox(ScriptedServer(offered, respond)) as box:
        yield AccountReader(box.read)


def ledger(*lines: tuple[str | None, str | None]) -> dict[str, Any]:
    return {
        "account_id": ME,
        "ledger": [{"currency": currency, "exchangerate": rate} for currency, rate in lines],
        "count": len(lines),
    }


def orders(*rows: dict[str, Any]) -> dict[Tool, Any]:
    return {Tool.GET_LIVE_ORDERS: {"orders": list(rows), "count": len(rows)}}


def positions(*rows: dict[str, Any], **changes: Any) -> dict[Tool, Any]:
    return {
        Tool.GET_POSITIONS: {
            "account_id": ME,
            "positions": list(rows),
            "count": len(rows),
            "total_positions": len(rows),
        }
        | changes
    }


# --- the account ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "currency"),
    [
        ([("USD", "1")], "USD"),
        ([("USD", "0.92"), ("EUR", "1.0")], "EUR"),
        ([("BASE", "1"), ("USD", "1"), ("EUR", "1.08")], "USD"),
    ],
)
async def test_the_ledger_names_the_currency_of_a_summary_without_one(
    lines: list[tuple[str | None, str | None]], currency: str
) -> None:
    """50,000 EUR taken for 50,000 USD would pass every limit."""
    answers = {
        Tool.GET_PORTFOLIO_SUMMARY: {"account_id": ME, "summary": SUMMARY},
        Tool.GET_LEDGER: ledger(*lines),
    }
    async with reading(answers) as reader:
        summary = await reader.summary(ME)
    assert (summary.currency, summary.net_liquidation) == (currency, Decimal(50000))


@pytest.mark.parametrize(
    "lines", [[], [(None, None)], [("USD", None)], [("BASE", "1")], [("USD", "0.92")], [("USD", "1"), ("EUR", "1")]]
)
async def test_a_currency_that_nobody_names_is_an_error(lines: list[tuple[str | None, str | None]]) -> None:
    answers = {
        Tool.GET_PORTFOLIO_SUMMARY: {"account_id": ME, "summary": SUMMARY},
        Tool.GET_LEDGER: ledger(*lines),
    }
    async with reading(answers) as reader:
        with pytest.raises(Terminal, match="which currency its balances are in; nothing was traded"):
            await reader.summary(ME)


async def test_a_summary_that_names_its_currency_needs_no_ledger() -> None:
    async with reading(
        {Tool.GET_PORTFOLIO_SUMMARY: {"account_id": ME, "summary": SUMMARY | {"currency": "USD"}}}
    ) as reader:
        assert (await reader.summary(ME)).currency == "USD"


@pytest.mark.parametrize(
    "answer",
    [
        {"account_id": "U7", "summary": SUMMARY | {"currency": "USD"}},
        {"account_id": ME, "summary": SUMMARY | {"currency": "USD", "accountcode": "U7"}},
    ],
)
async def test_balances_of_another_account_are_an_error(answer: dict[str, Any]) -> None:
    async with reading({Tool.GET_PORTFOLIO_SUMMARY: answer}) as reader:
        with pytest.raises(Terminal, match="asked about account DU1 and answered about account U7"):
            await reader.summary(ME)


async def test_accounts_that_do_not_add_up_are_an_error() -> None:
    async with reading({Tool.GET_ACCOUNTS: {"accounts": [{"id": ME}], "count": 2}}) as reader:
        with pytest.raises(Terminal, match="1 of 2 accounts"):
            await reader.accounts()


# --- positions --------------------------------------------------------------------------------------------------


async def test_positions_are_read_whole_or_not_at_all() -> None:
    """A list cut short looks like a smaller portfolio, and would be bought back."""
    async with reading(positions(HELD)) as reader:
        assert [held.symbol for held in await reader.positions(ME)] == ["SPY"]
    for wrong in ({"total_positions": 2}, {"count": 2}, {"count": 0, "total_positions": 0}, {"account_id": "U7"}):
        async with reading(positions(HELD, **wrong)) as reader:
            with pytest.raises(Terminal, match=r"get_positions: .* (not complete|account U7)"):
                await reader.positions(ME)


@pytest.mark.parametrize("wrong", [{"acctId": "U7"}, {"acctId": None}, {"position": None}, {"position": "5,000"}])
async def test_a_position_that_is_not_ours_or_not_whole_is_an_error(wrong: dict[str, Any]) -> None:
    async with reading(positions(HELD | wrong)) as reader:
        with pytest.raises(Terminal):
            await reader.positions(ME)


async def test_a_failed_call_is_not_an_empty_portfolio() -> None:
    async with reading({Tool.GET_POSITIONS: {"error": "Failed to get positions: timeout"}}) as reader:
        with pytest.raises(Terminal, match="Failed to get positions: timeout"):
            await reader.positions(ME)


# --- open orders ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (OPEN, "LMT"),
        (OPEN | {"orderType": "STP", "price": None, "auxPrice": "350"}, "STP"),
        (OPEN | {"orderType": "TRAIL", "price": None}, "TRAIL"),
        (OPEN | {"orderType": None}, ""),
        (OPEN | {"account": None}, "LMT"),
    ],
)
async def test_an_open_order_counts_whatever_its_type(row: dict[str, Any], kind: str) -> None:
    """A person's own stop order promises shares too; and it must not keep the agent from everything else."""
    async with reading(orders(row)) as reader:
        (order,) = await reader.open_orders(ME)
    assert (order.account_id, order.symbol, order.side, order.order_type) == (ME, "SPY", Side.SELL, kind)
    assert order.quantity == 5


@pytest.mark.parametrize("word", ["WarnState", "PendingReply", "", None, "Unknown"])
async def test_an_order_in_a_state_nobody_knows_may_be_working_and_counts(word: str | None) -> None:
    async with reading(orders(OPEN | {"status": word})) as reader:
        assert [order.status for order in await reader.open_orders(ME)] == [OrderStatus.UNKNOWN]


@pytest.mark.parametrize(
    "row",
    [
        OPEN | {"status": "Filled"},
        OPEN | {"status": "Cancelled", "quantity": None},
        OPEN | {"status": "Inactive", "symbol": None},
        OPEN | {"account": "DU2", "quantity": None, "conid": None},
    ],
)
async def test_an_order_that_is_over_or_another_accounts_is_passed_over_even_if_unreadable(row: dict[str, Any]) -> None:
    async with reading(orders(row)) as reader:
        assert await reader.open_orders(ME) == ()


@pytest.mark.parametrize("missing", ["conid", "symbol", "side", "quantity"])
async def test_an_open_order_that_cannot_be_attributed_stops_everything_and_is_named(missing: str) -> None:
    """It may concern any trade, so none is safe beside it."""
    async with reading(orders(OPEN, OPEN | {"orderId": "8", missing: None})) as reader:
        with pytest.raises(Terminal, match=rf"order 8 of DU1 is open and its {missing} cannot be read"):
            await reader.open_orders(ME)


async def test_orders_that_were_dropped_on_the_way_are_an_error() -> None:
    async with reading({Tool.GET_LIVE_ORDERS: {"orders": [], "count": 1}}) as reader:
        with pytest.raises(Terminal, match="0 of 1 orders"):
            await reader.open_orders(ME)


@pytest.mark.parametrize("wrong", [{"orderRef": "two"}, {"orderRef": None}, {"orderRef": "one", "account": "DU2"}])
async def test_the_status_of_another_order_is_not_taken_for_ours(wrong: dict[str, Any]) -> None:
    """Otherwise an order that was never placed could pass for filled."""
    answer = {"client_order_id": "one", "order": OPEN | wrong}
    async with reading({Tool.GET_ORDER_STATUS: answer}) as reader:
        with pytest.raises(Terminal, match="asked about order one of DU1"):
            await reader.order_status(ME, "one")


# --- the market -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "found"), [("SPY", "SPY"), ("BRK.B", "BRK B"), ("brk-b", "BRK B")])
async def test_a_contract_is_the_symbols_own(asked: str, found: str) -> None:
    async with reading({Tool.FIND_CONTRACT: {"conid": 1, "symbol": found, "exchange": "UNKNOWN"}}) as reader:
        assert (await reader.find_contract(asked)).symbol == found


async def test_the_first_hit_for_another_symbol_is_an_error() -> None:
    async with reading({Tool.FIND_CONTRACT: {"conid": 1, "symbol": "SPYX", "exchange": "BATS"}}) as reader:
        with pytest.raises(Terminal, match="asked about SPY and answered about SPYX"):
            await reader.find_contract("SPY")


PRICED = {"conid": 1, "symbol": "SPY", "bid": "399.90", "ask": "400.10"}
EMPTY = {"conid": 2, "symbol": None, "bid": None}


async def test_quotes_come_in_one_call_or_side_by_side_and_an_empty_one_is_none() -> None:
    one_call = {Tool.GET_MARKET_SNAPSHOTS: {"snapshots": [PRICED, EMPTY], "count": 2}}
    one_each = {Tool.GET_MARKET_SNAPSHOT: lambda conid: {"conid": conid, "snapshot": PRICED if conid == 1 else EMPTY}}
    for answers in (one_call, one_each):
        async with reading(answers) as reader:
            quotes = await reader.quotes([1, 2, 1])
            assert await reader.quotes([]) == {}
        assert {conid: quote.ask for conid, quote in quotes.items()} == {1: Decimal("400.10")}


async def test_a_quote_of_another_contract_is_an_error() -> None:
    """Its price would become the limit of an order."""
    async with reading({Tool.GET_MARKET_SNAPSHOTS: {"snapshots": [PRICED], "count": 1}}) as reader:
        with pytest.raises(Terminal, match="answered about contract 1"):
            await reader.quotes([2])


async def test_where_quotes_come_one_by_one_an_answer_that_fails_costs_that_quote() -> None:
    def answer(conid: int) -> dict[str, Any]:
        return {"conid": conid, "snapshot": PRICED}

    async with reading({Tool.GET_MARKET_SNAPSHOT: answer}) as reader:
        quotes = await reader.quotes([1, 2])
    assert quotes[1].ask == Decimal("400.10")
    assert (quotes[2].bid, quotes[2].ask, quotes[2].last) == (None, None, None)
    assert "answered about contract 1" in (quotes[2].note or "")


async def test_contracts_come_in_one_call_or_side_by_side_and_a_symbol_without_one_is_left_out() -> None:
    spy = {"conid": 1, "symbol": "SPY", "exchange": "ARCA", "currency": "USD"}
    other = {"conid": 2, "symbol": "QQQ", "exchange": "NASDAQ", "currency": "USD"}
    calls: list[Any] = []

    def one(symbol: str) -> dict[str, Any]:
        calls.append(symbol)
        return spy if symbol == "SPY" else other

    def many(symbols: list[str]) -> dict[str, Any]:
        calls.append(symbols)
        return {"contracts": [spy, other, {**other, "conid": 3}], "count": 3}

    for answers, asked in (
        ({Tool.FIND_CONTRACT: one}, ["SPY", "GME"]),
        ({Tool.FIND_CONTRACTS: many}, [["SPY", "QQQ"]]),
    ):
        calls.clear()
        async with reading(answers) as reader:
            names = ["SPY", "GME"] if Tool.FIND_CONTRACT in answers else ["SPY", "QQQ"]
            found = await reader.find_contracts(names)
            assert {symbol: contract.conid for symbol, contract in found.items()} == {"SPY": 1}
            assert await reader.find_contracts(["SPY"]) == found, "asked for once a session"
        assert calls == asked


async def test_two_different_quotes_of_one_contract_are_an_error() -> None:
    """The last one would win, and be the price of an order."""
    for other, differs in ((PRICED, False), (PRICED | {"symbol": "XLU"}, True), (PRICED | {"ask": "4.00"}, True)):
        async with reading({Tool.GET_MARKET_SNAPSHOTS: {"snapshots": [PRICED, other], "count": 2}}) as reader:
            if not differs:
                assert set(await reader.quotes([1])) == {1}
                continue
            with pytest.raises(Terminal, match="two different quotes of contract 1"):
                await reader.quotes([1])


@pytest.mark.parametrize(
    "wrong",
    [
        {"is_open": False},
        {"now": "2026-01-16T14:00:00Z"},
        {"now": "2026-01-16T21:00:00Z"},
        {"now": "2026-01-16T15:00:00"},
        {"now": "0001-01-01T00:00:00+14:00"},
        {"closes_at": None},
    ],
)
async def test_trading_hours_that_contradict_themselves_are_an_error(wrong: dict[str, Any]) -> None:
    async with reading({Tool.GET_TRADING_SCHEDULE: HOURS}) as reader:
        assert (await reader.session("SPY")).is_open
    async with reading({Tool.GET_TRADING_SCHEDULE: HOURS | wrong}) as reader:
        with pytest.raises(Terminal, match="get_trading_schedule"):
            await reader.session("SPY")


# --- what-ifs ---------------------------------------------------------------------------------------------------


async def test_the_what_if_is_of_exactly_the_order_and_keeps_the_brokers_objection() -> None:
    def answer(**arguments: Any) -> dict[str, Any]:
        assert arguments == {
            "conid": 1, "side": "BUY", "quantity": 5, "order_type": "LMT", "price": 400.1, "account_id": ME,
        }  # fmt: skip
        asked = {key: value for key, value in arguments.items() if key != "account_id"}
        return {"account_id": ME, "order_request": asked, "whatif_result": {"equity": None, "error": "201: no"}}

    async with reading({Tool.WHATIF_ORDER: answer}) as reader:
        assert (await reader.what_if(ORDER)).error == "201: no"


async def test_the_what_if_of_another_account_is_an_error() -> None:
    echo = {"conid": 1, "side": "BUY", "quantity": 5}
    answer = {"account_id": "U7", "order_request": echo, "whatif_result": {"equity": "1"}}
    async with reading({Tool.WHATIF_ORDER: answer}) as reader:
        with pytest.raises(Terminal, match="account U7"):
            await reader.what_if(ORDER)


ECHO = {"conid": 1, "side": "BUY", "quantity": 5.0, "order_type": "LMT", "price": 400.1}


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({"conid": 2}, "conid 2 instead of 1"),
        ({"side": "SELL"}, "side SELL instead of BUY"),
        ({"quantity": 6.0}, "quantity 6.0 instead of 5"),
        ({"order_type": "MKT"}, "order_type MKT instead of LMT"),
        ({"price": 400.2}, "price 400.2 instead of 400.1"),
    ],
)
async def test_a_what_if_of_another_order_is_an_error(changes: dict[str, Any], differs: str) -> None:
    """A server that answers every question with the same preview would have every order pass by the first."""
    answer = {"account_id": ME, "order_request": ECHO | changes, "whatif_result": {"equity": "1"}}
    async with reading({Tool.WHATIF_ORDER: answer}) as reader:
        with pytest.raises(Terminal, match=rf"about BUY 5 SPY at 400.1 and answered about another order \({differs}"):
            await reader.what_if(ORDER)


@pytest.mark.parametrize(
    "echo",
    [{"conid": "1", "quantity": "5", "price": "400.10"}, {"side": "BUY"}, dict.fromkeys(ECHO), {}, None],
)
async def test_a_what_if_that_does_not_repeat_the_order_contradicts_nothing(echo: dict[str, Any] | None) -> None:
    answer = {"account_id": ME, "order_request": echo, "whatif_result": {"equity": "1"}}
    async with reading({Tool.WHATIF_ORDER: answer}) as reader:
        assert (await reader.what_if(ORDER)).equity_after == 1


# --- anything at all --------------------------------------------------------------------------------------------

READS: list[tuple[type[Row], Any]] = [
    (Accounts, lambda got: [read_account(row) for row in got.accounts]),
    (PortfolioSummary, lambda got: read_summary(ME, got.summary)),
    (Positions, lambda got: [read_position(row) for row in got.positions]),
    (Ledger, lambda got: [read_ledger_line(row) for row in got.ledger]),
    (FoundContract, read_contract),
    (MarketSnapshots, lambda got: [read_quote(row) for row in got.snapshots]),
    (TradingSchedule, read_schedule),
    (LiveOrders, lambda got: [read_order(row) for row in got.orders]),
    (OrderStatusResult, lambda got: got.order and read_order(got.order)),
    (WhatIfOrder, lambda got: read_whatif(got.whatif_result)),
]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["1E+999999", "-1e400", "NaN", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "BUY"]),
)


def shaped_like(row: type[Row]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with the row's keys, right and wrong values under them, and rows in its lists."""
    nested = {
        name: [inner for inner in _rows_in(field.annotation) if issubclass(inner, Row)]
        for name, field in row.model_fields.items()
    }
    return st.fixed_dictionaries(
        {},
        optional={
            name: st.one_of(LEAVES, *(st.one_of(shaped_like(i), st.lists(shaped_like(i), max_size=2)) for i in inner))
            for name, inner in nested.items()
        },
    )


def _rows_in(annotation: Any) -> list[type]:
    found = [inner for part in getattr(annotation, "__args__", ()) for inner in _rows_in(part)]
    return [*found, annotation] if isinstance(annotation, type) and issubclass(annotation, Row) else found


@pytest.mark.parametrize(("row", "read"), READS, ids=[row.__name__ for row, _ in READS])
@settings(deadline=None)  # a busy machine is no failure
@given(data=st.data())
def test_whatever_an_answer_holds_it_becomes_a_fact_or_one_sentence(
    row: type[Row], read: Any, data: st.DataObject
) -> None:
    """Any other exception would end the run with a traceback instead of a reason."""
    answer = data.draw(shaped_like(row))
    why = "get_accounts: a fact."
    try:
        understood(Tool.GET_ACCOUNTS, lambda: read(row.model_validate(answer)))
    except Terminal as error:
        why = str(error)
    assert why.startswith("get_accounts: ")
    assert "\n" not in why
