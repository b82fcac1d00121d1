"""Unchanged ib_async clients for tests of the simulated Gateway, with what they heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal

from ib_async import IB, Contract, LimitOrder, Order, Stock, Ticker, Trade
from ib_async.order import OrderState

from brokers.simulated import SimulatedBroker
from portfolio.models import Quote
from tests.simulators.gateway import Gateway
from tests.simulators.gateway.remote import RunningGateway

CLIENT = 7
SPY = "SPY"


class Talk:
    """A connected ib_async and what it heard; `spy` is qualified."""

    def __init__(self) -> None:
        self.ib = IB()
        self.ib.RaiseRequestErrors = True
        self.heard: list[tuple[int, int, str]] = []
        self.ib.errorEvent += lambda request, code, words, _contract: self.heard.append((request, code, words))
        self.spy = Contract()

    @property
    def codes(self) -> list[int]:
        return [code for _, code, _ in self.heard]

    def said_of(self, order: Order) -> list[int]:
        return [code for request, code, _ in self.heard if request == order.orderId]

    def buy(self, quantity: float, limit: Decimal | float, ref: str = "", **more: object) -> Trade:
        return self.ib.placeOrder(self.spy, self.limit("BUY", quantity, limit, ref, **more))

    def limit(self, action: str, quantity: float, limit: Decimal | float, ref: str = "", **more: object) -> LimitOrder:
        account = self.ib.managedAccounts()[0]
        return LimitOrder(action, quantity, float(limit), **{"account": account, "tif": "DAY", "orderRef": ref, **more})

    async def preview(self, quantity: float, limit: Decimal | float, seconds: float = 2) -> OrderState:
        return await asyncio.wait_for(self.ib.whatIfOrderAsync(self.spy, self.limit("BUY", quantity, limit)), seconds)

    async def snapshot(self, seconds: float = 2) -> Ticker:
        (ticker,) = await asyncio.wait_for(self.ib.reqTickersAsync(self.spy), seconds)
        return ticker

    async def history(self, duration: str = "5 D") -> list[date]:
        bars = await self.ib.reqHistoricalDataAsync(self.spy, "", duration, "1 day", "TRADES", useRTH=True)
        return [bar.date for bar in bars]


@asynccontextmanager
async def talking(served: Gateway | RunningGateway, client_id: int = CLIENT, timeout: float = 2) -> AsyncIterator[Talk]:  # noqa: ASYNC109
    talk = Talk()
    await talk.ib.connectAsync("127.0.0.1", served.port, client_id, timeout=timeout, raiseSyncErrors=True)
    try:
        (details,) = await talk.ib.reqContractDetailsAsync(Stock(SPY, "SMART", "USD"))
        assert details.contract is not None
        talk.spy = details.contract
        yield talk
    finally:
        talk.ib.disconnect()
        await asyncio.sleep(0)


async def until(has_come: Callable[[], object], seconds: float = 2) -> None:
    async with asyncio.timeout(seconds):
        while not has_come():  # noqa: ASYNC110  (the library has no event for most of it)
            await asyncio.sleep(0.002)


def distant(quote: Quote) -> Decimal:
    assert quote.bid is not None
    return (quote.bid * Decimal("0.9")).quantize(Decimal("0.01"))


def ask(quote: Quote) -> Decimal:
    assert quote.ask is not None
    return quote.ask


async def account_of(broker: SimulatedBroker) -> str:
    return (await broker.accounts())[0].account_id
