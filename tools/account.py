"""What the graph may know: typed facts about the account and its market, read over MCP.

Every answer is validated; a row that lacks a fact that must be there raises, so that a failed call never looks like an
empty portfolio.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

from pydantic import ValidationError

from brokers.errors import Terminal
from portfolio.models import (
    Account,
    AccountSummary,
    ApprovedOrder,
    BrokerOrder,
    Contract,
    Position,
    Quote,
    Session,
    WhatIf,
)
from tools.client import ToolSet
from tools.contract import Tool
from tools.rows.account import Accounts, PortfolioSummary, Positions
from tools.rows.base import Row
from tools.rows.market import FoundContract, MarketSnapshot, MarketSnapshots, TradingSchedule
from tools.rows.orders import LiveOrders, OrderStatusResult, WhatIfOrder
from tools.wire.account import read_account, read_position, read_summary
from tools.wire.market import read_contract, read_quote, read_schedule
from tools.wire.orders import read_order, read_whatif

Answer = TypeVar("Answer")
AnyRow = TypeVar("AnyRow", bound=Row)
MOST_POSITIONS = 10_000


class AccountReader:
    """The reading half of a broker's tools, in the words of the house. It cannot order: it holds no tool that can."""

    def __init__(self, tools: ToolSet) -> None:
        self._tools = tools

    async def accounts(self) -> tuple[Account, ...]:
        return await self._ask(Tool.GET_ACCOUNTS, Accounts, lambda got: tuple(map(read_account, got.accounts)))

    async def summary(self, account_id: str) -> AccountSummary:
        def read(got: PortfolioSummary) -> AccountSummary:
            return read_summary(account_id, got.summary, currency="USD")

        return await self._ask(Tool.GET_PORTFOLIO_SUMMARY, PortfolioSummary, read, account_id=account_id)

    async def positions(self, account_id: str) -> tuple[Position, ...]:
        """Every position.

        Raises:
            Terminal: the server names fewer positions than it counts.
        """
        return await self._ask(
            Tool.GET_POSITIONS, Positions, _read_positions, account_id=account_id, max_positions=MOST_POSITIONS
        )

    async def find_contract(self, symbol: str) -> Contract:
        return await self._ask(Tool.FIND_CONTRACT, FoundContract, read_contract, symbol=symbol)

    async def quotes(self, conids: Iterable[int]) -> dict[int, Quote]:
        """One quote for each contract that has one; in one call where the server can, else side by side."""
        wanted = list(conids)
        if not wanted:
            return {}
        if Tool.GET_MARKET_SNAPSHOTS in self._tools:
            quotes = await self._ask(
                Tool.GET_MARKET_SNAPSHOTS,
                MarketSnapshots,
                lambda got: list(map(read_quote, got.snapshots)),
                conids=wanted,
            )
        else:
            quotes = await asyncio.gather(*map(self._quote, wanted))
        return {quote.conid: quote for quote in quotes}

    async def _quote(self, conid: int) -> Quote:
        return await self._ask(
            Tool.GET_MARKET_SNAPSHOT, MarketSnapshot, lambda got: read_quote(got.snapshot), conid=conid
        )

    async def open_orders(self, account_id: str) -> tuple[BrokerOrder, ...]:
        """The account's orders that are still working."""

        def read(got: LiveOrders) -> tuple[BrokerOrder, ...]:
            orders = map(read_order, got.orders)
            return tuple(order for order in orders if order.account_id == account_id and order.status.is_working)

        return await self._ask(Tool.GET_LIVE_ORDERS, LiveOrders, read)

    async def session(self, symbol: str) -> Session:
        return await self._ask(Tool.GET_TRADING_SCHEDULE, TradingSchedule, read_schedule, symbol=symbol)

    async def what_if(self, order: ApprovedOrder) -> WhatIf:
        """The broker's preview of exactly this order, which is not sent."""
        return await self._ask(
            Tool.WHATIF_ORDER, WhatIfOrder, lambda got: read_whatif(got.whatif_result), **order_arguments(order)
        )

    async def order_status(self, account_id: str, client_order_id: str) -> BrokerOrder | None:
        """What became of the order sent under that id; None if the broker never saw it."""
        return await self._ask(
            Tool.GET_ORDER_STATUS,
            OrderStatusResult,
            lambda got: read_order(got.order) if got.order else None,
            client_order_id=client_order_id,
            account_id=account_id,
        )

    async def _ask(
        self, tool: Tool, row: type[AnyRow], read: Callable[[AnyRow], Answer], **arguments: object
    ) -> Answer:
        return await ask(self._tools, tool, row, read, **arguments)


def _read_positions(got: Positions) -> tuple[Position, ...]:
    if not len(got.positions) == got.count == got.total_positions:
        raise Terminal(
            f"get_positions: {len(got.positions)} of {got.total_positions} positions were sent; "
            "a portfolio that is not complete is not traded on."
        )
    return tuple(map(read_position, got.positions))


def order_arguments(order: ApprovedOrder) -> dict[str, object]:
    """The order as the tools take it: the same words for its preview and for placing it."""
    return {
        "conid": order.conid,
        "side": order.side.value,
        "quantity": float(order.quantity),
        "order_type": "LMT",
        "price": float(order.limit_price),
        "account_id": order.account_id,
    }


async def ask(
    tools: ToolSet, tool: Tool, row: type[AnyRow], read: Callable[[AnyRow], Answer], **arguments: object
) -> Answer:
    """What `read` makes of the tool's answer, once that fits the contract's `row`.

    Raises:
        Terminal: the server answered something else, or with an error.
        Retryable: there was no answer.
    """
    result = await tools.call(tool.value, **arguments)
    try:
        return read(row.model_validate(result))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Terminal(
            f"{tool.value}: the MCP server's answer does not fit the contract ({where}: {first['msg']})."
        ) from error
