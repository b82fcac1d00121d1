"""The simulated Gateway as Interactive Brokers' own client sees it, of the last version that is on PyPI."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from threading import Thread
from typing import Any

import pytest
from ibapi.client import EClient
from ibapi.contract import Contract
from ibapi.execution import ExecutionFilter
from ibapi.order import Order
from ibapi.scanner import ScannerSubscription
from ibapi.wrapper import EWrapper

from brokers.simulated import SimulatedBroker
from portfolio.models import Quote
from tests.simulators.gateway import DropOnPlace, Gateway, WhatIfFault

CLIENT = 3
UNSET = 1.7976931348623157e308

Call = tuple[Any, ...]


def _heard(name: str) -> Callable[..., None]:
    def hear(self: Recorder, *told: Any) -> None:
        self.calls.append((name, *told))

    return hear


class Recorder(EWrapper):  # type: ignore[misc]
    """Everything a client is told, as (name of the callback, its arguments)."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []


for callback, _ in inspect.getmembers(EWrapper, inspect.isfunction):
    if not callback.startswith("_") and callback != "logAnswer":
        setattr(Recorder, callback, _heard(callback))


class Talk:
    """A connected client of IB's; `client` is used from the test's thread, and answers come on another."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.client: Any = EClient(self.recorder)
        self.running = Thread(target=self.client.run, daemon=True)

    def told(self, name: str, *first: object) -> list[Call]:
        """The arguments of every such callback that begin with `first`."""
        calls = [call[1:] for call in self.recorder.calls if call[0] == name]
        return [call for call in calls if call[: len(first)] == first]

    async def until(self, name: str, *first: object) -> Call:
        """The first such callback."""
        async with asyncio.timeout(3):
            while not self.told(name, *first):  # noqa: ASYNC110  (told on another thread)
                await asyncio.sleep(0.005)
        return self.told(name, *first)[0]


@asynccontextmanager
async def talking(served: Gateway, client_id: int = CLIENT) -> AsyncIterator[Talk]:
    talk = Talk()
    await asyncio.to_thread(talk.client.connect, "127.0.0.1", served.port, client_id)
    reader: Thread = talk.client.reader
    talk.running.start()
    try:
        yield talk
    finally:
        await served.drop()  # the client's reader would wait a second for nothing
        await asyncio.to_thread(talk.running.join)
        await asyncio.to_thread(reader.join)


@pytest.fixture
async def talk(served: Gateway) -> AsyncIterator[Talk]:
    async with talking(served) as begun:
        await begun.until("nextValidId", 1)
        yield begun


def spy() -> Contract:
    wanted = Contract()
    wanted.symbol, wanted.secType, wanted.exchange, wanted.currency = "SPY", "STK", "SMART", "USD"
    return wanted


def limit(quantity: int, price: Decimal | None, ref: str = "") -> Order:
    order = Order()
    order.action, order.totalQuantity, order.orderType = "BUY", quantity, "LMT"
    order.lmtPrice, order.tif, order.orderRef = float(price or 0), "DAY", ref
    return order


def distant(quote: Quote) -> Decimal:
    return ((quote.bid or Decimal(0)) * Decimal("0.9")).quantize(Decimal("0.01"))


async def test_it_connects_and_reads_the_account(talk: Talk, served: Gateway, broker: SimulatedBroker) -> None:
    account, client = served.account, talk.client
    assert client.serverVersion() == 157
    assert talk.told("managedAccounts") == [(account,)]
    await talk.until("error", -1, 2158)
    summary, held = await broker.summary(account), await broker.positions(account)
    client.reqPositions()
    client.reqAccountSummary(1, "All", "NetLiquidation,$LEDGER:ALL")
    client.reqAccountUpdates(True, account)  # noqa: FBT003  (its own signature)
    client.reqAccountUpdatesMulti(2, account, "", True)  # noqa: FBT003
    client.reqPnL(3, account, "")
    client.reqPnLSingle(4, account, "", held[0].conid)
    client.reqCurrentTime()
    await talk.until("currentTime", 1781553300)
    await talk.until("positionEnd")
    assert {row[1].symbol: Decimal(str(row[2])) for row in talk.told("position")} == {
        row.symbol: row.quantity for row in held
    }
    assert (1, account, "NetLiquidation", str(summary.net_liquidation), "USD") in talk.told("accountSummary")
    assert talk.told("accountSummaryEnd") == [(1,)]
    assert len(talk.told("updatePortfolio")) == len(held)
    assert ("BuyingPower", str(summary.buying_power), "USD", account) in talk.told("updateAccountValue")
    assert talk.told("accountDownloadEnd") == [(account,)]
    assert talk.told("accountUpdateMultiEnd") == [(2,)]
    assert talk.told("pnl")[0][0] == 3
    assert talk.told("pnlSingle")[0][:2] == (4, int(held[0].quantity))


async def test_it_sees_the_market(talk: Talk, broker: SimulatedBroker, quote: Quote) -> None:
    client = talk.client
    client.reqContractDetails(1, spy())
    client.reqMktData(2, spy(), "", True, False, [])  # noqa: FBT003
    client.reqHistoricalData(3, spy(), "", "5 D", "1 day", "TRADES", 1, 1, False, [])  # noqa: FBT003
    wanted = ScannerSubscription()
    wanted.instrument, wanted.locationCode, wanted.scanCode, wanted.numberOfRows = "STK", "STK.US", "MOST_ACTIVE", 3
    client.reqScannerSubscription(4, wanted, [], [])
    client.reqScannerParameters()
    client.reqMarketRule(26)
    await talk.until("marketRule", 26)
    (details,) = [call[1] for call in talk.told("contractDetails", 1)]
    assert (details.contract.conId, details.minTick, details.mdSizeMultiplier) == (quote.conid, 0.01, 100)
    assert (details.timeZoneId, details.stockType) == ("US/Eastern", "ETF")
    assert details.liquidHours.startswith("20260615:0930-20260615:1600;")
    prices = {call[1]: call[2] for call in talk.told("tickPrice", 2)}
    assert prices[1] == float(quote.bid or 0)
    assert prices[9] == float(quote.previous_close or 0)
    assert talk.told("tickSnapshotEnd") == [(2,)]
    assert [call[1].date for call in talk.told("historicalData", 3)][-1] == "20260615"
    assert len(talk.told("historicalDataEnd", 3)) == 1
    found = [call[2].contract.symbol for call in talk.told("scannerData", 4)]
    assert found == [row.symbol for row in await broker.scan("MOST_ACTIVE", 3)]


async def test_an_order_is_previewed_filled_and_found_again(talk: Talk, served: Gateway, quote: Quote) -> None:
    client = talk.client
    preview = limit(2, quote.ask)
    preview.whatIf = True
    client.placeOrder(1, spy(), preview)
    _, _, order, state = await talk.until("openOrder", 1)
    assert (order.whatIf, state.commission) == (True, 1.0)
    assert Decimal(state.initMarginAfter) > Decimal(state.initMarginBefore)
    client.placeOrder(2, spy(), limit(2, quote.ask, "mine"))
    await talk.until("commissionReport")
    words = [(call[0], call[2] if call[0] == "orderStatus" else "") for call in talk.recorder.calls]
    order_of_things = ["openOrder", "orderStatus", "execDetails", "openOrder", "orderStatus", "commissionReport"]
    assert [name for name, _ in words if name in order_of_things][1:] == order_of_things
    assert [status for name, status in words if name == "orderStatus"] == ["Submitted", "Filled"]
    execution = talk.told("execDetails", -1)[0][2]
    assert (execution.orderId, execution.clientId, execution.orderRef, execution.shares) == (2, CLIENT, "mine", 2)
    assert execution.time == "20260615 15:55:00 US/Eastern"
    client.reqCompletedOrders(False)  # noqa: FBT003
    await talk.until("completedOrdersEnd")
    ((_, order, state),) = talk.told("completedOrder")
    assert (order.orderRef, order.permId, order.filledQuantity) == ("mine", served.orders()[0].perm_id, 2)
    assert (state.status, state.completedStatus) == ("Filled", "Filled Size: 2")
    client.reqExecutions(3, ExecutionFilter())
    await talk.until("execDetailsEnd", 3)
    assert [call[2].execId for call in talk.told("execDetails", 3)] == [execution.execId]
    assert len(talk.told("commissionReport")) == 2


async def test_orders_rest_are_cancelled_and_refused(talk: Talk, quote: Quote) -> None:
    client = talk.client
    client.placeOrder(1, spy(), limit(1, distant(quote), "rests"))
    await talk.until("orderStatus", 1, "Submitted")
    client.reqAllOpenOrders()
    await talk.until("openOrderEnd")
    client.cancelOrder(1)
    await talk.until("orderStatus", 1, "Cancelled")
    assert talk.told("error", 1)[-1][1] == 202
    client.placeOrder(1, spy(), limit(1, quote.ask))
    await talk.until("error", 1, 103)
    client.placeOrder(2, spy(), limit(100_000, quote.ask))
    await talk.until("orderStatus", 2, "Inactive")
    assert talk.told("error", 2)[-1][1] == 201
    client.cancelOrder(77)
    await talk.until("error", 77, 10147)


async def test_faults_of_prices_and_connections_are_seen(talk: Talk, served: Gateway, quote: Quote) -> None:
    client = talk.client
    served.faults.competing_session = True
    client.reqMktData(1, spy(), "", True, False, [])  # noqa: FBT003
    await talk.until("error", 1, 10197)
    assert talk.told("tickPrice") == []
    served.faults.competing_session, served.faults.delayed_only = False, True
    client.reqMarketDataType(3)
    client.reqMktData(2, spy(), "", True, False, [])  # noqa: FBT003
    await talk.until("tickSnapshotEnd", 2)
    assert [call[1] for call in talk.told("error", 2)] == [10167]
    assert talk.told("marketDataType") == [(2, 3)]
    assert {call[1]: call[2] for call in talk.told("tickPrice", 2)}[68] == float(quote.last or 0)
    served.announce(1100)
    await talk.until("error", -1, 1100)


async def test_faults_of_orders_are_seen(talk: Talk, served: Gateway, quote: Quote) -> None:
    client = talk.client
    served.faults.what_if = WhatIfFault.TWICE
    preview = limit(2, quote.ask)
    preview.whatIf = True
    client.placeOrder(1, spy(), preview)
    client.reqIds(1)
    await talk.until("nextValidId", 2)
    first, second = [call[3] for call in talk.told("openOrder", 1)]
    assert (first.warningText != "", second.warningText) == (True, "")
    assert float(first.initMarginChange) == UNSET
    served.faults.commission_unknown = True
    client.placeOrder(2, spy(), limit(1, quote.ask))
    (report,) = await talk.until("commissionReport")
    assert report.commission == UNSET
    served.faults.hold_orders = served.faults.tif_by_preset = True
    client.placeOrder(3, spy(), limit(1, quote.ask))
    await talk.until("error", 3, 10349)
    assert talk.told("orderStatus", 3)[-1][1] == "PreSubmitted"
    assert [call[1] for call in talk.told("error", 3)] == [399, 10349]
    served.faults.drop_on_place = DropOnPlace.BOOKED
    client.placeOrder(4, spy(), limit(1, distant(quote), "booked"))
    await talk.until("connectionClosed")
    assert [order.order_ref for order in served.orders()][-1] == "booked"


async def test_a_client_id_in_use_is_told(served: Gateway, talk: Talk) -> None:
    assert talk.client.isConnected()
    async with talking(served) as other:
        await other.until("error", -1, 326)
        await other.until("connectionClosed")
