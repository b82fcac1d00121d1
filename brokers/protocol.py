"""The one shape every broker has, whether simulated or real.

It deliberately has no modify, no short-sale, no option and no market-data subscription: the agent sends day orders for
whole shares and reads when it needs to. Every method is a question or a command to one account; empty means none, and
failure raises a `BrokerError`, never the one for the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal, Protocol

from pydantic import Field

from portfolio.models import (
    Account,
    AccountSummary,
    Bar,
    BrokerOrder,
    CashBalance,
    Contract,
    Execution,
    Fact,
    Position,
    ProfitAndLoss,
    Quote,
    ScanRow,
    Session,
    Side,
    WhatIf,
)


class OrderRequest(Fact):
    """An order as a broker takes it. `limit_price` (USD a share) goes with LMT and only with LMT."""

    account_id: str
    conid: int
    side: Side
    quantity: Decimal
    order_type: Literal["LMT", "MKT"]
    limit_price: Decimal | None = None
    tif: Literal["DAY"] = "DAY"
    client_order_id: str | None = Field(default=None, min_length=1, max_length=64)


class Broker(Protocol):
    """A broker, as our MCP server sees it. Money in USD, times in UTC.

    `name` tells it apart on screen ("simulated", "tws"). Every method may raise `Retryable` or `Terminal`; only `place`
    and `cancel` may raise `OutcomeUnknown`.
    """

    @property
    def name(self) -> str: ...

    async def accounts(self) -> list[Account]: ...

    async def summary(self, account_id: str) -> AccountSummary: ...

    async def positions(self, account_id: str) -> list[Position]: ...

    async def ledger(self, account_id: str) -> list[CashBalance]: ...

    async def pnl(self, account_id: str) -> ProfitAndLoss: ...

    async def find_contract(self, symbol: str, sec_type: str = "STK") -> Contract:
        """The contract of `symbol`; `Terminal` with code 200 when there is none."""
        ...

    async def quotes(self, conids: Sequence[int]) -> list[Quote]:
        """One quote for each contract that has one, in the order asked; code 200 for an unknown conid."""
        ...

    async def history(self, conid: int, bar: str, period: str) -> list[Bar]:
        """Past bars, oldest first; `bar` such as "1d", `period` such as "5d", "1m", "1y"."""
        ...

    async def scan(self, code: str, limit: int) -> list[ScanRow]:
        """The market ranked by `code` (one of `scan_codes`), best first."""
        ...

    async def scan_codes(self) -> list[str]: ...

    async def session(self, symbol: str) -> Session:
        """Regular trading hours of `symbol` around the broker's own clock."""
        ...

    async def what_if(self, order: OrderRequest) -> WhatIf:
        """Margin, equity and commission after exactly this order, which is not placed."""
        ...

    async def place(self, order: OrderRequest) -> BrokerOrder:
        """Place `order`, once for each client order id: the same id and order again gives the order that exists.

        A refusal by the market or the margin check comes back as status REJECTED with the broker's code and words.
        """
        ...

    async def cancel(self, account_id: str, order_id: str) -> BrokerOrder:
        """Cancel what is left of an order; one that is already final comes back as it is. Code 135: no such order."""
        ...

    async def open_orders(self, account_id: str) -> list[BrokerOrder]: ...

    async def order_status(self, account_id: str, client_order_id: str) -> BrokerOrder | None:
        """The order sent under that id, whatever became of it; None if the broker never saw it."""
        ...

    async def executions(self, account_id: str, since: datetime) -> list[Execution]: ...

    async def close(self) -> None:
        """Let go of connections and files."""
        ...
