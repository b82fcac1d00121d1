"""The broker that TWS or IB Gateway is the door to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from brokers.protocol import OrderRequest
from brokers.tws.account import TwsAccount
from brokers.tws.contracts import ContractBook
from brokers.tws.desk import TwsDesk
from brokers.tws.history import PriceHistory
from brokers.tws.line import Line
from brokers.tws.market import TwsMarket
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


class TwsBroker:
    """The accounts of one login of TWS; the contract is that of `brokers.protocol.Broker`.

    TWS shows the orders of its own day alone, and executions of little more; of older ones nothing is known here.
    """

    name = "tws"

    def __init__(
        self,
        line: Line,
        account: TwsAccount,
        contracts: ContractBook,
        market: TwsMarket,
        past: PriceHistory,
        desk: TwsDesk,
    ) -> None:
        self._line = line
        self._account = account
        self._contracts = contracts
        self._market = market
        self._past = past
        self._desk = desk

    async def accounts(self) -> list[Account]:
        return await self._account.accounts()

    async def summary(self, account_id: str) -> AccountSummary:
        return await self._account.summary(account_id)

    async def positions(self, account_id: str) -> list[Position]:
        return await self._account.positions(account_id)

    async def ledger(self, account_id: str) -> list[CashBalance]:
        return await self._account.ledger(account_id)

    async def pnl(self, account_id: str) -> ProfitAndLoss:
        return await self._account.pnl(account_id)

    async def find_contract(self, symbol: str, sec_type: str = "STK") -> Contract:
        return (await self._contracts.by_symbol(symbol, sec_type)).facts

    async def quotes(self, conids: Sequence[int]) -> list[Quote]:
        return await self._market.quotes(conids)

    async def history(self, conid: int, bar: str, period: str) -> list[Bar]:
        return await self._past.bars(conid, bar, period)

    async def scan(self, code: str, limit: int) -> list[ScanRow]:
        return await self._market.scan(code, limit)

    async def scan_codes(self) -> list[str]:
        return await self._market.scan_codes()

    async def session(self, symbol: str) -> Session:
        return await self._market.session(symbol)

    async def what_if(self, order: OrderRequest) -> WhatIf:
        return await self._desk.what_if(order)

    async def place(self, order: OrderRequest) -> BrokerOrder:
        return await self._desk.place(order)

    async def cancel(self, account_id: str, order_id: str) -> BrokerOrder:
        await self._account.check(account_id)
        return await self._desk.cancel(account_id, order_id)

    async def open_orders(self, account_id: str) -> list[BrokerOrder]:
        await self._account.check(account_id)
        return await self._desk.open_orders(account_id)

    async def order_status(self, account_id: str, client_order_id: str) -> BrokerOrder | None:
        await self._account.check(account_id)
        return await self._desk.order_status(account_id, client_order_id)

    async def executions(self, account_id: str, since: datetime) -> list[Execution]:
        await self._account.check(account_id)
        return await self._desk.executions(account_id, since)

    async def close(self) -> None:
        await self._line.close()
