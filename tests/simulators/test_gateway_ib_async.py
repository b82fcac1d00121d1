"""The simulated Gateway as ib_async sees it, which nobody may change for that."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from ib_async import (
    Contract,
    MarketOrder,
    RequestError,
    ScannerSubscription,
    Stock,
    StopOrder,
)

from brokers.protocol import OrderRequest
from brokers.simulated import SimulatedBroker, open_simulated
from portfolio.models import Quote, Side
from tests.simulators.gateway import Gateway, gateway
from tests.simulators.ib_async_client import CLIENT, SPY, Talk, account_of, ask, distant, talking, until

MONDAY, SATURDAY = date(2026, 6, 15), date(2026, 6, 13)
BOTH = pytest.mark.parametrize("version", [157, 178])


# --- connecting, accounts ---


@BOTH
async def test_it_connects_with_every_question_of_the_start_answered(served: Gateway, version: int) -> None:
    async with talking(served) as talk:
        assert talk.ib.client.serverVersion() == version
        assert talk.codes == [2104, 2106, 2158]
        assert await talk.ib.reqCurrentTimeAsync() == datetime(2026, 6, 15, 19, 55, tzinfo=UTC)


@BOTH
async def test_account_values_are_the_brokers(talk: Talk, broker: SimulatedBroker) -> None:
    summary = await broker.summary(await account_of(broker))
    told = {(row.tag, row.currency): row.value for row in await talk.ib.accountSummaryAsync()}
    assert Decimal(told["NetLiquidation", "USD"]) == summary.net_liquidation
    assert Decimal(told["CashBalance", "USD"]) == summary.total_cash
    assert Decimal(told["MaintMarginReq", "USD"]) == summary.maintenance_margin
    updates = {row.tag: row.value for row in talk.ib.accountValues() if row.currency == "USD"}
    assert Decimal(updates["BuyingPower"]) == summary.buying_power


async def test_a_third_account_summary_at_a_time_is_refused(talk: Talk) -> None:
    for _ in range(2):
        await talk.ib.reqAccountSummaryAsync()
    with pytest.raises(RequestError, match="322"):
        await talk.ib.reqAccountSummaryAsync()


@BOTH
async def test_positions_and_portfolio_are_the_brokers(talk: Talk, broker: SimulatedBroker) -> None:
    held = {row.symbol: row for row in await broker.positions(await account_of(broker))}
    assert {row.contract.symbol: Decimal(str(row.position)) for row in talk.ib.positions()} == {
        symbol: row.quantity for symbol, row in held.items()
    }
    shown = {item.contract.symbol: item for item in talk.ib.portfolio()}
    assert shown.keys() == held.keys()
    assert shown[SPY].marketValue == float(held[SPY].market_value or 0)
    assert shown[SPY].averageCost == float(held[SPY].average_cost)


@BOTH
async def test_profit_and_loss_are_the_brokers(talk: Talk, broker: SimulatedBroker) -> None:
    account = await account_of(broker)
    told = await broker.pnl(account)
    profit = talk.ib.reqPnL(account)
    single = talk.ib.reqPnLSingle(account, "", talk.spy.conId)
    await until(lambda: profit.dailyPnL == profit.dailyPnL and single.value == single.value)
    assert profit.dailyPnL == float(told.daily)
    assert profit.unrealizedPnL == float(told.unrealized)
    assert single.position == next(int(row.quantity) for row in await broker.positions(account) if row.symbol == SPY)


async def test_a_client_id_in_use_closes_the_new_connection(served: Gateway, talk: Talk) -> None:
    other = Talk()
    with pytest.raises(TimeoutError):
        await other.ib.connectAsync("127.0.0.1", served.port, CLIENT, timeout=0.5)
    assert other.codes == [326]
    assert talk.ib.isConnected()


# --- the market ---


@BOTH
async def test_a_contract_is_found_by_symbol_and_by_id(talk: Talk, broker: SimulatedBroker) -> None:
    listed = await broker.find_contract(SPY)
    for wanted in (Stock(SPY, "SMART", "USD"), Contract(conId=listed.conid)):
        (details,) = await talk.ib.reqContractDetailsAsync(wanted)
        assert details.contract is not None
        assert (details.contract.conId, details.contract.symbol) == (listed.conid, SPY)
        assert (details.contract.primaryExchange, details.longName) == ("ARCA", listed.name)
        assert details.minTick == 0.01
        assert details.timeZoneId == "US/Eastern"
        assert details.liquidHours.startswith("20260615:0930-20260615:1600;20260616:")
        assert ";20260619:CLOSED;" in details.tradingHours
        assert await talk.ib.reqMarketRuleAsync(int(details.marketRuleIds.split(",")[0])) is not None


@pytest.mark.parametrize(
    "wanted", [Stock("NOSUCH", "SMART", "USD"), Contract(conId=1), Stock(SPY, "SMART", "EUR"), Stock(SPY, "LSE", "USD")]
)
async def test_an_unknown_contract_has_no_definition(talk: Talk, wanted: Contract) -> None:
    with pytest.raises(RequestError, match="200: No security definition"):
        await talk.ib.reqContractDetailsAsync(wanted)


@BOTH
async def test_a_snapshot_has_the_brokers_prices(talk: Talk, quote: Quote) -> None:
    ticker = await talk.snapshot()
    told = (ticker.bid, ticker.ask, ticker.last, ticker.close, ticker.open, ticker.high, ticker.low)
    known = (quote.bid, quote.ask, quote.last, quote.previous_close, quote.open, quote.high, quote.low)
    assert [Decimal(str(price)) for price in told] == [*known]
    assert (ticker.bidSize, ticker.volume) == (float(quote.bid_size or 0), float(quote.volume or 0))
    assert ticker.lastTimestamp == quote.as_of
    assert ticker.marketDataType == 1


async def test_prices_stream_until_they_are_cancelled(talk: Talk, served: Gateway, quote: Quote) -> None:
    ticker = talk.ib.reqMktData(talk.spy)
    await until(lambda: ticker.last == float(quote.last or 0))
    talk.ib.cancelMktData(talk.spy)
    await served.tick()
    await until(lambda: served.requests[-1].id == 2)


@BOTH
async def test_history_ends_with_the_day_that_is_running(talk: Talk, broker: SimulatedBroker, quote: Quote) -> None:
    past = await broker.history(quote.conid, "1d", "4d")
    assert await talk.history("5 D") == [*(bar.start.date() for bar in past), MONDAY]
    assert 20 <= len(await talk.history("1 M")) <= 23
    assert 248 <= len(await talk.history("1 Y")) <= 254


async def test_history_can_end_earlier(talk: Talk) -> None:
    until_then = "20260612 23:59:59 US/Eastern"
    bars = await talk.ib.reqHistoricalDataAsync(talk.spy, until_then, "2 D", "1 day", "TRADES", useRTH=True)
    assert [bar.date for bar in bars] == [date(2026, 6, 11), date(2026, 6, 12)]


@BOTH
async def test_scanners_rank_as_the_broker_does(talk: Talk, broker: SimulatedBroker) -> None:
    wanted = ScannerSubscription(5, "STK", "STK.US.MAJOR", "MOST_ACTIVE")
    rows = await talk.ib.reqScannerDataAsync(wanted)
    found = [row.contractDetails.contract.symbol for row in rows if row.contractDetails.contract]
    assert found == [row.symbol for row in await broker.scan("MOST_ACTIVE", 5)]
    codes = ET.fromstring(await talk.ib.reqScannerParametersAsync()).iter("scanCode")  # noqa: S314
    assert [code.text for code in codes] == await broker.scan_codes()


async def test_a_closed_market_shows_its_last_state_only_if_asked(tmp_path: Path) -> None:
    broker = open_simulated(tmp_path, as_of=SATURDAY)
    async with gateway(broker, beat=0) as served, talking(served) as talk:
        ticker = await talk.snapshot()
        assert (ticker.marketDataType, ticker.bid, ticker.ask) == (1, -1, -1)
        assert ticker.last > 0
        talk.ib.reqMarketDataType(2)
        ticker = await talk.snapshot()
        assert ticker.marketDataType == 2
        assert 0 < ticker.bid < ticker.ask
    await broker.close()


# --- orders ---


@BOTH
async def test_a_what_if_tells_margin_and_commission_and_sends_nothing(
    talk: Talk, served: Gateway, broker: SimulatedBroker, quote: Quote
) -> None:
    account = await account_of(broker)
    asked = OrderRequest(
        account_id=account,
        conid=quote.conid,
        side=Side.BUY,
        quantity=Decimal(2),
        order_type="LMT",
        limit_price=quote.ask,
    )
    answer = await broker.what_if(asked)
    state = await talk.preview(2, ask(quote))
    assert Decimal(state.initMarginBefore) == answer.initial_margin_before
    assert Decimal(state.initMarginAfter) == answer.initial_margin_after
    assert Decimal(state.equityWithLoanAfter) == answer.equity_after
    assert state.commission == float(answer.commission or 0)
    assert served.orders() == []


@BOTH
async def test_a_what_if_beyond_margin_is_refused(talk: Talk, quote: Quote) -> None:
    with pytest.raises(RequestError, match="201: Order rejected - reason:"):
        await talk.preview(100_000, ask(quote))


@BOTH
async def test_a_marketable_order_fills_and_everything_follows(talk: Talk, served: Gateway, quote: Quote) -> None:
    before = {row.contract.symbol: row.position for row in talk.ib.positions()}
    trade = talk.buy(2, ask(quote), "run-1")
    await until(lambda: trade.fills and trade.fills[0].commissionReport.execId)
    assert trade.orderStatus.status == "Filled"
    assert trade.orderStatus.avgFillPrice == float(ask(quote))
    assert trade.order.permId == served.orders()[0].perm_id > 0
    (fill,) = trade.fills
    assert (fill.execution.side, fill.execution.shares, fill.execution.orderRef) == ("BOT", 2, "run-1")
    assert fill.execution.time == datetime(2026, 6, 15, 19, 55, tzinfo=UTC)
    assert fill.commissionReport.commission == 1.0
    await until(lambda: {row.contract.symbol: row.position for row in talk.ib.positions()}[SPY] == before[SPY] + 2)
    await until(
        lambda: next(item.position for item in talk.ib.portfolio() if item.contract.symbol == SPY) == before[SPY] + 2
    )
    (booked,) = served.orders()
    assert (booked.symbol, booked.status, int(booked.filled), booked.order_ref) == (SPY, "Filled", 2, "run-1")
    assert (booked.client_id, booked.order_id) == (CLIENT, trade.order.orderId)


@BOTH
async def test_a_distant_order_rests_until_it_is_cancelled(talk: Talk, served: Gateway, quote: Quote) -> None:
    trade = talk.buy(1, distant(quote), "rests")
    await until(lambda: trade.orderStatus.status == "Submitted")
    (found,) = await talk.ib.reqOpenOrdersAsync()
    assert (found.order.orderRef, found.order.permId) == ("rests", trade.order.permId)
    talk.ib.cancelOrder(trade.order)
    await until(lambda: trade.orderStatus.status == "Cancelled" and 202 in talk.codes)
    assert await talk.ib.reqOpenOrdersAsync() == []
    assert served.orders()[0].status == "Cancelled"


async def test_all_orders_can_be_cancelled_at_once(talk: Talk, quote: Quote) -> None:
    trades = [talk.buy(1, distant(quote)) for _ in range(2)]
    await until(lambda: all(trade.orderStatus.status == "Submitted" for trade in trades))
    talk.ib.reqGlobalCancel()
    await until(lambda: all(trade.orderStatus.status == "Cancelled" for trade in trades))


@BOTH
async def test_more_than_margin_allows_is_rejected(talk: Talk, served: Gateway, quote: Quote) -> None:
    trade = talk.buy(100_000, ask(quote))
    await until(lambda: trade.orderStatus.status == "Inactive")
    assert talk.said_of(trade.order) == [201]
    assert served.orders()[0].status == "Inactive"


@BOTH
async def test_a_price_between_two_ticks_is_no_order(talk: Talk, served: Gateway, quote: Quote) -> None:
    trade = talk.buy(1, ask(quote) + Decimal("0.005"))
    await until(lambda: trade.orderStatus.status == "Cancelled")
    assert talk.said_of(trade.order) == [110]
    assert served.orders() == []


@pytest.mark.parametrize(("quantity", "code"), [(1.5, 10243), (0, 434)])
async def test_a_quantity_that_is_no_number_of_shares_is_no_order(
    talk: Talk, served: Gateway, quote: Quote, quantity: float, code: int
) -> None:
    trade = talk.buy(quantity, ask(quote))
    await until(lambda: talk.said_of(trade.order) == [code])
    assert served.orders() == []


async def test_other_kinds_of_orders_are_not_served(talk: Talk, served: Gateway) -> None:
    trade = talk.ib.placeOrder(talk.spy, StopOrder("SELL", 1, 100.0))
    await until(lambda: talk.said_of(trade.order) == [387])
    market = talk.ib.placeOrder(talk.spy, MarketOrder("SELL", 1))
    await until(lambda: market.orderStatus.status == "Filled")
    assert [order.order_type for order in served.orders()] == ["MKT"]


async def test_an_order_id_is_used_once(talk: Talk, served: Gateway, quote: Quote) -> None:
    first = talk.buy(1, ask(quote))
    await until(lambda: first.orderStatus.status == "Filled")
    for number in (first.order.orderId, first.order.orderId - 1):
        talk.ib.client.placeOrder(number, talk.spy, talk.limit("BUY", 1, ask(quote)))
        await until(lambda: talk.heard[-1][:2] == (number, 103))  # noqa: B023
    assert len(served.orders()) == 1


async def test_two_orders_with_one_reference_are_two_orders(talk: Talk, served: Gateway, quote: Quote) -> None:
    trades = [talk.buy(1, ask(quote), "same") for _ in range(2)]
    await until(lambda: all(trade.orderStatus.status == "Filled" for trade in trades))
    assert [order.order_ref for order in served.orders()] == ["same", "same"]
    assert sum(order.filled for order in served.orders()) == 2


@BOTH
async def test_after_reconnecting_everything_is_found_again(served: Gateway, quote: Quote) -> None:
    async with talking(served) as talk:
        done, rests = talk.buy(2, ask(quote), "done"), talk.buy(1, distant(quote), "rests")
        await until(lambda: (done.orderStatus.status, rests.orderStatus.status) == ("Filled", "Submitted"))
    async with talking(served) as talk:
        (completed,) = await talk.ib.reqCompletedOrdersAsync(apiOnly=True)
        assert (completed.order.orderRef, completed.orderStatus.status) == ("done", "Filled")
        assert completed.order.filledQuantity == 2
        assert (completed.order.orderId, completed.order.permId) == (0, served.orders()[0].perm_id)
        (working,) = [trade for trade in talk.ib.openTrades() if trade.order.orderRef == "rests"]
        assert working.order.orderId == served.orders()[1].order_id
        (fill,) = talk.ib.fills()
        assert (fill.execution.orderRef, fill.commissionReport.commission) == ("done", 1.0)


async def test_open_orders_are_ones_own_and_all_open_orders_everybodys(served: Gateway, quote: Quote) -> None:
    async with talking(served, 1) as one, talking(served, 2) as two:
        trade = one.buy(1, distant(quote), "of one")
        await until(lambda: trade.orderStatus.status == "Submitted")
        assert await two.ib.reqOpenOrdersAsync() == []
        (seen,) = await two.ib.reqAllOpenOrdersAsync()
        assert (seen.order.orderRef, seen.order.clientId) == ("of one", 1)
        two.ib.cancelOrder(seen.order)
        await until(lambda: 10147 in two.codes)
        assert trade.orderStatus.status == "Submitted"


async def test_an_order_by_hand_has_no_order_id(talk: Talk, served: Gateway, quote: Quote) -> None:
    await served.by_hand(SPY, Side.BUY, 1, distant(quote))
    (seen,) = await talk.ib.reqAllOpenOrdersAsync()
    assert (seen.order.orderId, seen.order.clientId) == (0, 0)
    assert seen.order.permId == served.orders()[0].perm_id
    assert await talk.ib.reqOpenOrdersAsync() == []


async def test_client_0_is_told_of_orders_by_hand(served: Gateway, quote: Quote) -> None:
    async with talking(served, 0) as talk:
        await until(lambda: any(request.id == 15 for request in served.requests))
        placed = await served.by_hand(SPY, Side.BUY, 1, distant(quote))
        await until(lambda: [trade.order.permId for trade in talk.ib.openTrades()] == [placed.perm_id])


async def test_a_person_may_trade_meanwhile(talk: Talk, served: Gateway) -> None:
    held = {row.contract.symbol: row.position for row in talk.ib.positions()}
    await served.by_hand("KO", Side.SELL, 3)
    await until(lambda: {row.contract.symbol: row.position for row in talk.ib.positions()}["KO"] == held["KO"] - 3)
    (fill,) = await talk.ib.reqExecutionsAsync()
    assert (fill.contract.symbol, fill.execution.side, fill.execution.orderId) == ("KO", "SLD", 0)


async def test_what_the_broker_does_by_itself_is_seen_too(talk: Talk, broker: SimulatedBroker, quote: Quote) -> None:
    asked = OrderRequest(
        account_id=await account_of(broker), conid=quote.conid, side=Side.BUY, quantity=Decimal(1), order_type="MKT"
    )
    await broker.place(asked)
    (fill,) = await talk.ib.reqExecutionsAsync()
    assert (fill.execution.shares, fill.execution.orderRef) == (1, "")


async def test_before_the_open_an_order_is_held_with_a_warning(tmp_path: Path) -> None:
    broker = open_simulated(tmp_path, as_of=SATURDAY)
    async with gateway(broker, beat=0) as served, talking(served) as talk:
        trade = talk.buy(1, 1000)
        await until(lambda: talk.said_of(trade.order) == [399])
        (seen,) = await talk.ib.reqAllOpenOrdersAsync()
        assert served.orders()[0].status == "PreSubmitted"
        assert seen.orderStatus.status == "PreSubmitted"
    await broker.close()


# --- several accounts, a live one ---


async def test_of_several_accounts_an_order_must_name_one(broker: SimulatedBroker, quote: Quote) -> None:
    async with gateway(broker, others=("DU7654321",), beat=0) as served, talking(served) as talk:
        assert talk.ib.managedAccounts() == [served.account, "DU7654321"]
        unnamed = talk.buy(1, ask(quote), account="")
        await until(lambda: talk.said_of(unnamed.order) == [435])
        poor = talk.buy(1, ask(quote), account="DU7654321")
        await until(lambda: poor.orderStatus.status == "Inactive")
        named = talk.buy(1, ask(quote))
        await until(lambda: named.orderStatus.status == "Filled")
        assert talk.ib.portfolio("DU7654321") == []
        summary = {row.account: row.value for row in await talk.ib.accountSummaryAsync() if row.tag == "NetLiquidation"}
        assert float(summary["DU7654321"]) == 0 < float(summary[served.account])


async def test_a_live_account_is_one_whose_name_begins_with_u(broker: SimulatedBroker, quote: Quote) -> None:
    async with gateway(broker, shown="U1234567", beat=0) as served, talking(served) as talk:
        assert talk.ib.managedAccounts() == ["U1234567"]
        trade = talk.buy(1, ask(quote))
        await until(lambda: trade.orderStatus.status == "Filled")
        assert {row.account for row in talk.ib.positions()} == {"U1234567"}
        assert trade.fills[0].execution.acctNumber == "U1234567"
