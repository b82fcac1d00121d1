"""The reader over the server that investors already run: every fact right or not given, whatever is wrong there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp.shared.memory import create_connected_server_and_client_session
from mcp.types import CallToolResult, TextContent

from brokers.errors import BrokerError, Terminal, Unreachable
from brokers.protocol import Broker
from brokers.session import ExchangeCalendar
from brokers.simulated import open_simulated
from portfolio.models import AccountSummary, Bar, Contract, OrderTerms, Position, Quote, Side
from tests.simulators.client_portal_server import CancelCall, ClientPortalServer, Fault, PlaceCall
from tests.simulators.delegating_broker import DelegatingBroker
from tests.simulators.http_server import over_http
from tests.simulators.scripted_server import ScriptedServer, as_json, tool
from tools.account import AccountReader
from tools.client import NoTools, Toolbox, open_toolbox
from tools.contract import TOOL_CLASSES, Tool
from tools.rows.market import BareSnapshot
from tools.server import build_server
from tools.snapshots import MOST_HISTORIES, MOST_LOOKS, PAUSE_SECONDS, time_of
from tools.wire.market import read_prices

FRIDAY = date(2026, 1, 16)
SYMBOLS = ("SPY", "AAPL", "GLD", "KO")
OURS_ALONE = {
    Tool.FIND_CONTRACTS,
    Tool.GET_MARKET_SNAPSHOTS,
    Tool.GET_ORDER_STATUS,
    Tool.GET_EXECUTIONS,
    Tool.GET_TRADING_SCHEDULE,
}
MINUTE = timedelta(minutes=1)


@dataclass
class Both:
    """The existing server and our own over one broker; `pauses` are the seconds its reader waited."""

    broker: Broker
    server: ClientPortalServer
    box: Toolbox
    theirs: AccountReader
    ours: AccountReader
    account: str
    now: datetime
    pauses: list[float]

    async def conids(self, *symbols: str) -> list[int]:
        return [(await self.broker.find_contract(symbol)).conid for symbol in symbols]

    async def order(self, **changes: Any) -> dict[str, Any]:
        """What the server answers to an order for one share of SPY at the ask, with `changes`."""
        (spy,) = await self.conids("SPY")
        (quote,) = await self.broker.quotes([spy])
        assert quote.ask is not None
        asked = {"conid": spy, "side": "BUY", "quantity": 1, "order_type": "LMT", "price": float(quote.ask)}
        return await self.box.order.call("place_order", **(asked | changes))


@asynccontextmanager
async def both_over(broker: Broker, *faults: Fault, http: bool = False, **knobs: int) -> AsyncIterator[Both]:
    server = ClientPortalServer(broker, faults, **knobs)
    now = (await broker.session("SPY")).now
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async with AsyncExitStack() as stack:
        where = await stack.enter_async_context(over_http(server)) if http else server
        box = await stack.enter_async_context(open_toolbox(where))
        own = await stack.enter_async_context(open_toolbox(build_server(broker)))
        theirs = AccountReader(box.read, clock=lambda: now, pause=pause)
        account = (await broker.accounts())[0].account_id
        yield Both(broker, server, box, theirs, AccountReader(own.read), account, now, pauses)


@asynccontextmanager
async def both(folder: Path, *faults: Fault, http: bool = False, **knobs: int) -> AsyncIterator[Both]:
    broker = open_simulated(folder, as_of=FRIDAY)
    async with both_over(broker, *faults, http=http, **knobs) as pair:
        yield pair
    await broker.close()


# --- the double keeps to the contract ---------------------------------------------------------------------------


async def test_the_double_offers_the_twenty_tools_bare(tmp_path: Path) -> None:
    broker = open_simulated(tmp_path, as_of=FRIDAY)
    async with create_connected_server_and_client_session(ClientPortalServer(broker)) as session:
        offered = (await session.list_tools()).tools
        assert {one.name for one in offered} == set(TOOL_CLASSES) - OURS_ALONE
        assert len(offered) == 20
        assert {(one.annotations, one.outputSchema) for one in offered} == {(None, None)}
        place = next(one for one in offered if one.name == "place_order")
        assert not {"client_order_id", "tif"} & place.inputSchema["properties"].keys()
    await broker.close()


ARGUMENTS: dict[str, dict[str, Any]] = {
    "find_contract": {"symbol": "SPY"},
    "get_market_snapshot": {"conid": "SPY"},
    "get_history": {"conid": "SPY", "period": "5d"},
    "get_order_book": {"conid": "SPY"},
    "whatif_order": {"conid": "SPY", "side": "BUY", "quantity": 1},
    "place_order": {"conid": "SPY", "side": "BUY", "quantity": 1, "order_type": "LMT", "price": 1.5},
    "cancel_order": {"order_id": "1"},
    "custom_scan": {"scan_code": "MOST_ACTIVE"},
    "stock_analysis": {"symbol": "SPY"},
}
NUMBERS = {"health_metrics", "order_request", "market_data", "position_analysis", "portfolio_context"}


def money_in(value: Any, key: str = "") -> list[Any]:
    """Every JSON number with a fraction, outside the places where the contract has such."""
    if isinstance(value, dict):
        return [found for inner in value if inner not in NUMBERS for found in money_in(value[inner], inner)]
    if isinstance(value, list):
        return [found for inner in value for found in money_in(inner, key)]
    return [(key, value)] if isinstance(value, float) else []


async def test_every_answer_is_one_text_block_of_json_with_money_as_text(tmp_path: Path) -> None:
    broker = open_simulated(tmp_path, as_of=FRIDAY)
    spy = (await broker.find_contract("SPY")).conid
    async with create_connected_server_and_client_session(ClientPortalServer(broker)) as session:
        for one in sorted((await session.list_tools()).tools, key=lambda one: one.name != "place_order"):
            arguments = ARGUMENTS.get(one.name, {})
            arguments |= {"conid": spy} if "conid" in arguments else {}
            answer = await session.call_tool(one.name, arguments)
            (block,) = answer.content
            assert isinstance(block, TextContent)
            told = json.loads(block.text)
            assert (answer.isError, answer.structuredContent, "error" in told) == (False, None, False), one.name
            assert block.text == json.dumps(told, indent=2, ensure_ascii=False), one.name
            assert money_in(told) == [], one.name
    await broker.close()


async def test_a_failure_is_not_marked_as_an_error_and_a_wrong_argument_is(tmp_path: Path) -> None:
    broker = open_simulated(tmp_path, as_of=FRIDAY)
    async with create_connected_server_and_client_session(ClientPortalServer(broker)) as session:
        failed = await session.call_tool("find_contract", {"symbol": "NOSUCH"})
        assert isinstance(failed.content[0], TextContent)
        assert json.loads(failed.content[0].text)["error"].startswith("Failed to find contract: NOSUCH")
        assert not failed.isError
        assert (await session.call_tool("get_market_snapshot", {"conid": "SPY"})).isError
    await broker.close()


# --- what is right there is read right --------------------------------------------------------------------------


def bare(quote: Quote) -> Quote:
    return Quote(
        conid=quote.conid, symbol=quote.symbol, last=quote.last, bid=quote.bid, ask=quote.ask, as_of=quote.as_of
    )


def told(contract: Contract) -> Contract:
    return Contract(conid=contract.conid, symbol=contract.symbol, exchange=contract.exchange)


async def facts(pair: Both, reader: AccountReader) -> dict[str, Any]:
    """Everything both servers can tell; where ours tells more of a fact, only what theirs has of it."""
    conids = await pair.conids(*SYMBOLS)
    quotes = await reader.quotes(conids)
    return {
        "accounts": await reader.accounts(),
        "summary": await summary(pair, reader),
        "positions": await reader.positions(pair.account),
        "contracts": [told(await reader.find_contract(symbol)) for symbol in SYMBOLS],
        "quotes": {conid: bare(quote) for conid, quote in quotes.items()},
        "open": [order.model_copy(update=UNTOLD) for order in await reader.open_orders(pair.account)],
        "session": await reader.session("SPY"),
        "what_if": await what_if(pair, reader),
    }


async def summary(pair: Both, reader: AccountReader) -> AccountSummary:
    """The simulated broker keeps no count of day trades; the other server gives one to every account."""
    return (await reader.summary(pair.account)).model_copy(update={"day_trades_remaining": None})


UNTOLD = {"submitted_at": None, "message": None, "commission": None}


async def what_if(pair: Both, reader: AccountReader) -> tuple[Decimal | None, ...]:
    (spy,) = await pair.conids("SPY")
    order = OrderTerms(
        client_order_id="one",
        account_id=pair.account,
        conid=spy,
        symbol="SPY",
        side=Side.BUY,
        quantity=2,
        limit_price=Decimal("400.12"),
    )
    answer = await reader.what_if(order)
    return answer.equity_after, answer.initial_margin_after, answer.maintenance_margin_after


@pytest.mark.parametrize("http", [False, True], ids=["memory", "http"])
async def test_every_fact_is_what_our_own_server_says_over_the_same_broker(*, http: bool, tmp_path: Path) -> None:
    async with both(tmp_path, http=http) as pair:
        receipt = await pair.order(price=1.01)
        assert receipt["result"]["order_status"] == "Submitted"
        theirs = await facts(pair, pair.theirs)
        assert theirs == await facts(pair, pair.ours)
    assert len(theirs["open"]) == 1
    assert theirs["summary"].currency == "USD"
    assert all(quote.as_of == pair.now for quote in theirs["quotes"].values())
    assert pair.pauses == []


async def test_what_the_server_has_no_tool_for_is_said_to_be_unknown(tmp_path: Path) -> None:
    """None is not "no executions", and an order nobody can ask about was not "never seen"."""
    async with both(tmp_path) as pair:
        await pair.order()
        assert not pair.theirs.tells_order_status
        assert pair.ours.tells_order_status
        with pytest.raises(Terminal, match="cannot tell what became of order one, as it has no such tool"):
            await pair.theirs.order_status(pair.account, "one")
        since = pair.now - timedelta(hours=1)
        assert await pair.theirs.executions(pair.account, since) is None
        assert await pair.ours.executions(pair.account, since) == tuple(
            await pair.broker.executions(pair.account, since)
        )
        assert len(await pair.broker.executions(pair.account, since)) == 1
        assert await pair.ours.executions(pair.account, pair.now + MINUTE) == ()


async def test_which_parameters_a_tool_takes_can_be_asked_before_it_is_called(tmp_path: Path) -> None:
    async with both(tmp_path) as pair, open_toolbox(build_server(pair.broker)) as own:
        asked = [(Tool.PLACE_ORDER, "client_order_id"), (Tool.PLACE_ORDER, "tif"), (Tool.PLACE_ORDER, "price")]
        assert [pair.box.order.takes(*each) for each in asked] == [False, False, True]
        assert [own.order.takes(*each) for each in asked] == [True, True, True]
        assert not own.read.takes(Tool.PLACE_ORDER, "price")  # the reading half has no such tool


async def test_where_no_server_answers_nothing_is_taken_for_a_tool_it_lacks() -> None:
    """The calendar would answer for a broker that is not there, and None would say that it has no such tool."""
    tools = NoTools(Unreachable("nobody there"))
    reader = AccountReader(tools)
    for question in (reader.session("SPY"), reader.executions("DU1", datetime.now(UTC)), reader.quotes([1])):
        with pytest.raises(Unreachable, match="nobody there"):
            await question
    with pytest.raises(Unreachable, match="nobody there"):
        tools.takes(Tool.PLACE_ORDER, "tif")


# --- hours by the calendar --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "is_open", "closes_at"),
    [
        ("2026-01-16T15:00Z", True, "2026-01-16T21:00Z"),
        ("2026-01-16T21:00Z", False, "2026-01-20T21:00Z"),  # then a weekend, and Martin Luther King's day
        ("2026-07-02T14:00Z", True, "2026-07-02T20:00Z"),
        ("2026-07-03T14:00Z", False, "2026-07-06T20:00Z"),
        ("2026-11-27T17:59Z", True, "2026-11-27T18:00Z"),  # the half day after Thanksgiving
    ],
)
async def test_trading_hours_come_from_the_calendar_by_the_clock_given(
    moment: str, closes_at: str, *, is_open: bool
) -> None:
    now = datetime.fromisoformat(moment)
    async with open_toolbox(ScriptedServer([tool("get_accounts")], answering({}))) as box:
        session = await AccountReader(box.read, clock=lambda: now).session("SPY")
    assert (session.now, session.is_open, session.closes_at) == (now, is_open, datetime.fromisoformat(closes_at))


# --- what is wrong there, one by one ----------------------------------------------------------------------------


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
async def test_a_garbled_what_if_has_no_figure_that_could_be_true(side: Side, tmp_path: Path) -> None:
    """Fault 1: the guard must refuse every one of them; that none passes as a plausible one is seen here."""
    async with both(tmp_path, Fault.WHATIF_GARBLED) as pair:
        (spy,) = await pair.conids("SPY")
        summary = await pair.broker.summary(pair.account)
        order = OrderTerms(
            client_order_id="one",
            account_id=pair.account,
            conid=spy,
            symbol="SPY",
            side=side,
            quantity=1,
            limit_price=Decimal(400),
        )
        answer = await pair.theirs.what_if(order)
    assert answer.commission is None
    for figure in (answer.equity_after, answer.initial_margin_after, answer.maintenance_margin_after):
        assert figure is None or figure > 1000 * summary.net_liquidation


async def test_positions_that_look_empty_are_held_against_the_balances(tmp_path: Path) -> None:
    """Fault 2: believed, everything would be bought a second time, or an order thought to have sold it all."""
    async with both(tmp_path, Fault.POSITIONS_LOOK_EMPTY) as pair:
        with pytest.raises(Terminal, match=r"lists no positions of DU\d+, and its summary values them at .* USD"):
            await pair.theirs.positions(pair.account)
        pair.server.faults |= {Fault.SUMMARY_FAILS}
        with pytest.raises(Terminal, match="get_portfolio_summary"):
            await pair.theirs.positions(pair.account)


class Nothing(DelegatingBroker):
    """An account without positions."""

    async def positions(self, account_id: str) -> list[Position]:  # noqa: ARG002
        return []

    async def summary(self, account_id: str) -> Any:
        return (await super().summary(account_id)).model_copy(update={"gross_position_value": Decimal(0)})


async def test_an_account_that_holds_nothing_is_believed(tmp_path: Path) -> None:
    broker = open_simulated(tmp_path, as_of=FRIDAY)
    async with both_over(Nothing(broker)) as pair:
        assert await pair.theirs.positions(pair.account) == ()
    await broker.close()


async def test_a_list_of_positions_cut_short_is_an_error(tmp_path: Path) -> None:
    """Fault 2: the server's own default lists fifty, and a real one may cut lower still."""
    async with both(tmp_path) as pair:
        answer = await pair.box.read.call("get_positions", max_positions=3)
        assert (answer["count"], answer["total_positions"]) == (3, 8)
    async with open_toolbox(
        ScriptedServer([tool("get_positions", "account_id", "max_positions")], answering(answer))
    ) as box:
        with pytest.raises(Terminal, match="3 of 8 positions"):
            await AccountReader(box.read).positions(pair.account)


async def test_live_orders_that_were_dropped_cannot_be_seen_and_the_reader_says_so(tmp_path: Path) -> None:
    """Fault 3: none listed is no proof here, which is what `tells_order_status` tells whoever would rely on it."""
    async with both(tmp_path, Fault.LIVE_ORDERS_DROPPED) as pair:
        await pair.order(price=1.01)
        assert await pair.theirs.open_orders(pair.account) == ()
        assert len(await pair.ours.open_orders(pair.account)) == 1
        assert not pair.theirs.tells_order_status


@pytest.mark.parametrize(
    ("fault", "placed"), [(Fault.REPLY_SWALLOWED_PLACED, True), (Fault.REPLY_SWALLOWED_NOT_PLACED, False)]
)
async def test_a_swallowed_reply_looks_the_same_whether_the_order_was_placed(
    fault: Fault, tmp_path: Path, *, placed: bool
) -> None:
    """Fault 4, of the double itself: only the account can tell the two apart."""
    async with both(tmp_path, fault) as pair:
        assert set((await pair.order(price=1.01))["result"].values()) == {None}
        assert len(await pair.broker.open_orders(pair.account)) == placed
        assert len(pair.server.requests) == 1
        assert len(pair.server.posted) == placed


@pytest.mark.parametrize("posts", [2, 3])
async def test_an_order_posted_again_is_as_many_orders_at_the_broker(posts: int, tmp_path: Path) -> None:
    """Fault 5, of the double itself: one request, one receipt, and more shares than were ordered."""
    async with both(tmp_path, Fault.ORDER_POSTED_AGAIN, posts=posts) as pair:
        before = await held(pair, "SPY")
        receipt = await pair.order()
        assert (receipt["result"]["order_status"], len(pair.server.posted)) == ("Filled", posts)
        assert await held(pair, "SPY") == before + posts
        (request,) = pair.server.requests
        assert isinstance(request, PlaceCall)
        assert (request.side, request.quantity, request.order_type, request.account_id) == ("BUY", 1, "LMT", None)


async def held(pair: Both, symbol: str) -> Decimal:
    return next(one.quantity for one in await pair.theirs.positions(pair.account) if one.symbol == symbol)


async def test_another_side_than_buy_is_sold_or_refused(tmp_path: Path) -> None:
    """Fault 6, of the double itself."""
    async with both(tmp_path, Fault.OTHER_SIDES_SOLD) as pair:
        before = await held(pair, "SPY")
        await pair.order(side="Buy", price=1.01)
        assert await held(pair, "SPY") == before - 1
        pair.server.faults = frozenset()
        with pytest.raises(Terminal, match="Failed to place order: Buy 1"):
            await pair.order(side="Buy")


async def test_requests_to_cancel_are_recorded_and_passed_on(tmp_path: Path) -> None:
    async with both(tmp_path) as pair:
        order_id = (await pair.order(price=1.01))["result"]["order_id"]
        answer = await pair.box.order.call("cancel_order", order_id=order_id, account_id=pair.account)
        assert answer["result"]["msg"] == "Request was submitted"
        assert pair.server.requests[1:] == [CancelCall(order_id, pair.account)]
        assert await pair.theirs.open_orders(pair.account) == ()


async def test_a_ledger_of_nulls_leaves_the_currency_unknown(tmp_path: Path) -> None:
    """Fault 7: dollars taken for granted would be another account's euros."""
    async with both(tmp_path, Fault.PNL_AND_LEDGER_NULL) as pair:
        with pytest.raises(Terminal, match="neither the summary nor the ledger says which currency"):
            await pair.theirs.summary(pair.account)
        assert (await pair.box.read.call("get_pnl"))["pnl"] == [
            dict.fromkeys(("acctId", "model", "dpl", "nl", "upl", "el", "mv"))
        ]


async def test_odd_fields_of_a_snapshot_change_nothing(tmp_path: Path) -> None:
    """Fault 8."""
    async with both(tmp_path, Fault.SNAPSHOT_FIELDS_ODD) as pair:
        conids = await pair.conids(*SYMBOLS)
        right = await pair.ours.quotes(conids)
        assert await pair.theirs.quotes(conids) == {conid: bare(quote) for conid, quote in right.items()}


@pytest.mark.parametrize("empty", range(MOST_LOOKS + 2))
async def test_an_empty_snapshot_is_asked_for_again_a_few_times_and_then_no_quote(empty: int, tmp_path: Path) -> None:
    """Fault 8."""
    async with both(tmp_path, Fault.FIRST_SNAPSHOTS_NULL, null_snapshots=empty) as pair:
        (spy,) = await pair.conids("SPY")
        assert set(await pair.theirs.quotes([spy])) == ({spy} if empty < MOST_LOOKS else set())
        assert pair.pauses == [PAUSE_SECONDS] * min(empty, MOST_LOOKS - 1)


async def test_a_price_of_the_previous_close_is_not_taken_for_one_of_now(tmp_path: Path) -> None:
    """Fault 8: the newest minute with a trade is of the day before, so that is how old the quote is."""
    async with both(tmp_path, Fault.PRIOR_CLOSE_UNMARKED) as pair:
        conids = await pair.conids(*SYMBOLS)
        quotes = await pair.theirs.quotes(conids)
        thursday = ExchangeCalendar().close_of(FRIDAY - timedelta(days=1))
        assert {quote.as_of for quote in quotes.values()} == {thursday}


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Fault.FIRST_HIT_OTHER_SYMBOL, "asked about KO and answered about KOX"),
        (Fault.FIRST_HIT_OTHER_LISTING, "asked about KO in USD and answered about KO on MEXI"),
    ],
)
async def test_the_first_hit_is_not_taken_for_the_symbols_own(fault: Fault, why: str, tmp_path: Path) -> None:
    """Fault 9."""
    async with both(tmp_path, fault) as pair:
        with pytest.raises(Terminal, match=why):
            await pair.theirs.find_contract("KO")


async def test_a_held_symbol_is_only_ever_the_contract_it_is_held_as(tmp_path: Path) -> None:
    """Fault 9: an exchange that is UNKNOWN does not give the listing away; what is held does."""
    async with both(tmp_path, Fault.EXCHANGE_UNKNOWN) as pair:
        await pair.theirs.positions(pair.account)
        assert [(await pair.theirs.find_contract("KO")).conid] == await pair.conids("KO")
    async with both(tmp_path, Fault.EXCHANGE_UNKNOWN, Fault.FIRST_HIT_OTHER_LISTING) as pair:
        await pair.theirs.find_contract("KO")  # nothing is known against it yet
        await pair.theirs.positions(pair.account)
        for _ in range(2):
            with pytest.raises(Terminal, match=r"asked about KO, held as contract \d+, and answered about contract"):
                await pair.theirs.find_contract("KO")


async def test_a_summary_that_fails_is_an_error_and_never_a_balance(tmp_path: Path) -> None:
    """Fault 10."""
    async with both(tmp_path, Fault.SUMMARY_FAILS) as pair:
        with pytest.raises(Terminal, match=r"Failed to get portfolio summary: .*daytradesremaining"):
            await pair.theirs.summary(pair.account)


# --- what is wrong there, all at once ---------------------------------------------------------------------------

Fact = Callable[[Both, AccountReader], Any]
NEVER_WRONG: dict[str, Fact] = {
    "accounts": lambda _, reader: reader.accounts(),
    "summary": summary,
    "positions": lambda pair, reader: reader.positions(pair.account),
    "session": lambda _, reader: reader.session("SPY"),
}


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("market")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(faults=st.frozensets(st.sampled_from(Fault)), empty=st.integers(0, 6))
@pytest.mark.slow
def test_whatever_is_wrong_a_fact_is_right_or_not_given(market: Path, faults: frozenset[Fault], empty: int) -> None:
    async def check() -> None:
        async with both(market, *faults, null_snapshots=empty) as pair:
            for name, ask in NEVER_WRONG.items():
                try:
                    answer = await ask(pair, pair.theirs)
                except BrokerError:
                    continue
                assert answer == await ask(pair, pair.ours), name
            await contracts_and_quotes_are_right(pair)

    asyncio.run(check())


async def contracts_and_quotes_are_right(pair: Both) -> None:
    """The contract held is its own; a quote that could be traded on is the market's."""
    positions = await pair.broker.positions(pair.account)
    right = await pair.ours.quotes(position.conid for position in positions)
    quotes = await pair.theirs.quotes(right)
    for position in positions:
        if Fault.POSITIONS_LOOK_EMPTY not in pair.server.faults:
            try:
                assert (await pair.theirs.find_contract(position.symbol)).conid == position.conid
            except Terminal:
                assert any("9: " in fault for fault in pair.server.faults)
        quote = quotes.get(position.conid)
        if quote and quote.as_of and pair.now - quote.as_of < timedelta(minutes=15):
            assert quote == bare(right[position.conid])


# --- the time of a quote ----------------------------------------------------------------------------------------

NOW = datetime(2026, 1, 16, 15, tzinfo=UTC)
PRICE = Decimal(400)
QUOTE = {"conid": 1, "symbol": "SPY", "last_price": "400.00", "bid": "399.90", "ask": "400.10"}


def minute(ends: datetime, close: Decimal = PRICE) -> Bar:
    return Bar(start=ends - MINUTE, open=close, high=close, low=close, close=close)


def quoted(last: Decimal | None) -> Quote:
    return Quote(conid=1, symbol="SPY", last=last)


@pytest.mark.parametrize(
    ("last", "bars", "when"),
    [
        (PRICE, [minute(NOW - MINUTE)], NOW - MINUTE),
        (PRICE, [minute(NOW - MINUTE), minute(NOW - 2 * MINUTE, Decimal(1))], NOW - MINUTE),
        (PRICE, [minute(NOW + MINUTE / 2)], NOW),  # the minute that is still running
        (PRICE, [minute(NOW + 2 * MINUTE)], NOW),
        (PRICE, [minute(NOW + 3 * MINUTE)], None),
        (Decimal("402.00"), [minute(NOW)], NOW),
        (Decimal("402.01"), [minute(NOW)], None),
        (Decimal("397.99"), [minute(NOW)], None),
        (PRICE, [minute(NOW, Decimal(0))], None),
        (PRICE, [], None),
        (None, [minute(NOW)], None),
    ],
)
def test_a_quote_is_dated_by_the_newest_minute_near_its_price(
    last: Decimal | None, bars: list[Bar], when: datetime | None
) -> None:
    assert time_of(quoted(last), bars, NOW) == when


prices = st.one_of(st.just(PRICE), st.decimals("-1", "1000", places=2), st.decimals("398", "402", places=2))
moments = st.timedeltas(-timedelta(days=2), timedelta(minutes=10)).map(lambda away: NOW + away)


@given(prices, st.lists(st.builds(minute, moments, prices), max_size=4))
def test_a_quote_is_never_younger_than_the_newest_minute_nor_of_the_future(last: Decimal, bars: list[Bar]) -> None:
    """A time too young would pass an old price for one of now."""
    when = time_of(quoted(last), bars, NOW)
    if when is not None:
        newest = max(bars, key=lambda bar: bar.start)
        assert when <= min(NOW, newest.start + MINUTE)
        assert abs(last - newest.close) * 200 <= newest.close


@given(st.dictionaries(st.sampled_from(["close", "open", "volume", "high", "low", "change", "bid_size"]), st.text()))
def test_nothing_but_last_bid_and_ask_is_read_of_a_bare_snapshot(others: dict[str, str]) -> None:
    row = BareSnapshot.model_validate({"conid": 1, "snapshot": {**others, **QUOTE}})
    assert read_prices(row.snapshot) == Quote(
        conid=1, symbol="SPY", last=PRICE, bid=Decimal("399.90"), ask=Decimal("400.10")
    )


def answering(value: Any) -> Callable[[str, dict[str, Any]], Any]:
    async def respond(_name: str, _arguments: dict[str, Any]) -> CallToolResult:
        return as_json(value)

    return respond


BARS = [
    {"t": (1768575540 + 60 * n) * 1000, "o": "400", "h": "400", "l": "400", "c": "400.00", "v": "1"} for n in range(2)
]
HISTORY = {"conid": 1, "bar": "1min", "period": "1d", "bars": BARS, "count": 2}


@pytest.mark.parametrize(
    ("history", "dated"),
    [
        (HISTORY, True),
        (HISTORY | {"count": 3}, False),
        (HISTORY | {"conid": 2}, False),
        (HISTORY | {"bars": [], "count": 0}, False),
        (HISTORY | {"bars": [BARS[0], BARS[1] | {"c": None}]}, False),
        ({"error": "Failed to get history: 503"}, False),
        (None, False),
    ],
)
async def test_a_history_that_cannot_be_believed_costs_the_time_and_not_the_run(history: Any, *, dated: bool) -> None:
    async def respond(name: str, arguments: dict[str, Any]) -> CallToolResult:
        if name == "get_market_snapshot":
            return as_json({"conid": 1, "snapshot": QUOTE})
        assert arguments == {"conid": 1, "bar": "1min", "period": "1d"}
        return as_json(history)

    offered = [tool("get_market_snapshot", "conid")]
    offered += [tool("get_history", "conid", "bar", "period")] if history else []
    async with open_toolbox(ScriptedServer(offered, respond)) as box:
        quote = (await AccountReader(box.read, clock=lambda: NOW).quotes([1]))[1]
    assert quote.last == PRICE
    assert quote.as_of == (NOW if dated else None)


async def test_no_more_histories_are_asked_for_at_once_than_the_gateway_answers() -> None:
    """It refuses the sixth, and that symbol would not be traded."""
    running, most, full = 0, 0, asyncio.Event()

    async def respond(name: str, arguments: dict[str, Any]) -> CallToolResult:
        nonlocal running, most
        conid = arguments["conid"]
        if name == "get_market_snapshot":
            return as_json({"conid": conid, "snapshot": QUOTE | {"conid": conid}})
        running += 1
        most = max(most, running)
        if running == MOST_HISTORIES:
            full.set()
        await full.wait()
        running -= 1
        return as_json(HISTORY | {"conid": conid})

    offered = [tool("get_market_snapshot", "conid"), tool("get_history", "conid", "bar", "period")]
    async with open_toolbox(ScriptedServer(offered, respond)) as box:
        quotes = await AccountReader(box.read, clock=lambda: NOW).quotes(range(1, 13))
    assert most == MOST_HISTORIES
    assert {quote.as_of for quote in quotes.values()} == {NOW}
    assert len(quotes) == 12


async def test_executions_of_another_account_or_not_all_of_them_are_an_error() -> None:
    row = {
        "execution_id": "1", "orderId": "7", "orderRef": "one", "conid": 1, "symbol": "SPY", "side": "BUY",
        "quantity": "5", "price": "400.00", "commission": "1.00", "time": "2026-01-16T14:59:00Z", "account": "DU1",
    }  # fmt: skip
    for rows, count, why in (([row], 2, "1 of 2 executions"), ([row | {"account": "U7"}], 1, "account U7")):
        server = ScriptedServer(
            [tool("get_executions", "since", "account_id")], answering({"executions": rows, "count": count})
        )
        async with open_toolbox(server) as box:
            with pytest.raises(Terminal, match=why):
                await AccountReader(box.read).executions("DU1", NOW)


def test_the_double_says_of_each_fault_which_of_the_ten_it_is() -> None:
    assert {fault.split(":")[0] for fault in Fault} == {str(number) for number in range(1, 11)}
