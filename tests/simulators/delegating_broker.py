"""A broker that passes everything on to another; tests derive from it and let one thing go wrong."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from brokers.protocol import Broker, OrderRequest
from portfolio.models import (
    Account,
    AccountSummary,
    Bar,
    BrokerOrder,
    CashBalance,
    Contract,
    Execution,
    Position,
    ProfitAndLoss,
    Quote,
    ScanRow,
    Session,
    WhatIf,
)


class DelegatingBroker:
    """`inner`, unchanged."""

    def __init__(self, inner: Broker) -> None:
        self.inner = inner

    @property
    def name(self) -> str:
        return self.inner.name

    async def accounts(self) -> list[Account]:
        return await self.inner.accounts()

    async def summary(self, account_id: str) -> AccountSummary:
        return await self.inner.summary(account_id)

    async def positions(self, account_id: str) -> list[Position]:
        return await self.inner.positions(account_id)

    async def ledger(self, account_id: str) -> list[CashBalance]:
        return await self.inner.ledger(account_id)

    async def pnl(self, account_id: str) -> ProfitAndLoss:
        return await self.inner.pnl(account_id)

    async def find_contract(self, symbol: str, sec_type: str = "STK") -> Contract:
        return await self.inner.find_contract(symbol, sec_type)

    async def quotes(self, conids: Sequence[int]) -> list[Quote]:
        return await self.inner.quotes(conids)

    async def history(self, conid: int, bar: str, period: str) -> list[Bar]:
        return await self.inner.history(conid, bar, period)

    async def scan(self, code: str, limit: int) -> list[ScanRow]:
        return await self.inner.scan(code, limit)

    async def scan_codes(self) -> list[str]:
        return await self.inner.scan_codes()

    async def session(self, symbol: str) -> Session:
        return await self.inner.session(symbol)

    async def what_if(self, order: OrderRequest) -> WhatIf:
        return await self.inner.what_if(order)

    async def place(self, order: OrderRequest) -> BrokerOrder:
        return await self.inner.place(order)

    async def cancel(self, account_id: str, order_id: str) -> BrokerOrder:
        return await self.inner.cancel(account_id, order_id)

    async def open_orders(self, account_id: str) -> list[BrokerOrder]:
        return await self.inner.open_orders(account_id)

    async def order_status(self, account_id: str, client_order_id: str) -> BrokerOrder | None:
        return await self.inner.order_status(account_id, client_order_id)

    async def executions(self, account_id: str, since: datetime) -> list[Execution]:
        return await self.inner.executions(account_id, since)

    async def close(self) -> None:
        await self.inner.close()
