"""What the graph may know: typed facts about the account and its market, read over MCP.

Every answer is validated, and held against what was asked: a row that lacks a fact that must be there, or speaks of
another account, contract or symbol, raises, so that a failed call never looks like an empty portfolio.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from decimal import Decimal

from pydantic import ValidationError

from brokers.errors import Terminal
from config.rules import ticker
from portfolio.models import (
    Account,
    AccountSummary,
    BrokerOrder,
    Contract,
    OrderStatus,
    OrderTerms,
    Position,
    Quote,
    Session,
    WhatIf,
)
from tools.answers import Answer, AnyRow, ask, complete, strange, understood
from tools.client import Tools
from tools.contract import Tool
from tools.rows.account import Accounts, Ledger, PortfolioSummary, Positions
from tools.rows.market import FoundContract, MarketSnapshot, MarketSnapshots, SnapshotRow, TradingSchedule
from tools.rows.orders import LiveOrders, OrderRow, OrderStatusResult, WhatIfOrder
from tools.wire.account import read_account, read_position, read_summary
from tools.wire.foreign_text import one_line
from tools.wire.market import read_contract, read_quote, read_schedule
from tools.wire.orders import read_order, read_status, read_whatif

MOST_POSITIONS = 10_000
BASE = "BASE"  # the ledger's own sum over all currencies, which is no currency
FINAL = (OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED)


class AccountReader:
    """The reading half of a broker's tools, in the words of the house. It cannot order: it holds no tool that can.

    Every method raises `Terminal` for an answer that is an error, incomplete or contradictory, and `Retryable` where
    there is none.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._contracts: dict[str, Contract] = {}

    async def accounts(self) -> tuple[Account, ...]:
        def read(got: Accounts) -> tuple[Account, ...]:
            complete(Tool.GET_ACCOUNTS, "accounts", len(got.accounts), got.count)
            return tuple(map(read_account, got.accounts))

        return await self._ask(Tool.GET_ACCOUNTS, Accounts, read)

    async def summary(self, account_id: str) -> AccountSummary:
        """The balances, in the account's base currency, which the ledger tells where the summary does not."""
        tool = Tool.GET_PORTFOLIO_SUMMARY
        row = await self._ask(tool, PortfolioSummary, lambda got: got.summary, account_id=account_id)
        if row.accountcode not in (None, account_id):
            raise strange(tool, f"account {account_id}", f"account {row.accountcode}")
        currency = row.currency or await self._base_currency(account_id)
        return understood(tool, lambda: read_summary(account_id, row, currency=currency))

    async def _base_currency(self, account_id: str) -> str:
        """The one currency that is worth exactly 1 of the account's base currency."""
        ledger = await self._ask(Tool.GET_LEDGER, Ledger, lambda got: got.ledger, account_id=account_id)
        base = {line.currency for line in ledger if line.exchangerate == 1 and line.currency not in (None, BASE)}
        match [*base]:
            case [str(currency)]:
                return currency
            case _:
                raise Terminal(
                    f"{account_id}: neither the summary nor the ledger says which currency its balances are in; "
                    "nothing was traded. Use an MCP server whose get_ledger names it."
                )

    async def positions(self, account_id: str) -> tuple[Position, ...]:
        """Every position, or an error."""

        def read(got: Positions) -> tuple[Position, ...]:
            complete(Tool.GET_POSITIONS, "positions", len(got.positions), got.count)
            complete(Tool.GET_POSITIONS, "positions", got.count, got.total_positions)
            held = tuple(map(read_position, got.positions))
            for position in held:
                if position.account_id != account_id:
                    raise strange(Tool.GET_POSITIONS, f"account {account_id}", f"account {position.account_id}")
            return held

        return await self._ask(Tool.GET_POSITIONS, Positions, read, account_id=account_id, max_positions=MOST_POSITIONS)

    async def find_contract(self, symbol: str) -> Contract:
        """The contract of exactly that symbol, asked for once a session: contracts do not change, and prices do.

        Some servers answer with the first that is like it; that is refused.
        """
        if symbol in self._contracts:
            return self._contracts[symbol]

        def read(got: FoundContract) -> Contract:
            if ticker(got.symbol) != ticker(symbol):
                raise strange(Tool.FIND_CONTRACT, symbol, got.symbol)
            return read_contract(got)

        found = await self._ask(Tool.FIND_CONTRACT, FoundContract, read, symbol=symbol)
        self._contracts[symbol] = found
        return found

    async def quotes(self, conids: Iterable[int]) -> dict[int, Quote]:
        """A quote for each contract that has a price; in one call where the server can, else side by side."""
        wanted = set(conids)
        if not wanted:
            return {}
        if Tool.GET_MARKET_SNAPSHOTS in self._tools:
            quotes = await self._ask(Tool.GET_MARKET_SNAPSHOTS, MarketSnapshots, _read_quotes, conids=sorted(wanted))
        else:
            quotes = [quote for found in await asyncio.gather(*map(self._quote, wanted)) for quote in found]
        strangers = {quote.conid for quote in quotes} - wanted
        if strangers:
            raise strange(Tool.GET_MARKET_SNAPSHOTS, "the contracts asked for", f"contract {min(strangers)}")
        return {quote.conid: quote for quote in quotes}

    async def _quote(self, conid: int) -> list[Quote]:
        def read(got: MarketSnapshot) -> list[Quote]:
            if got.snapshot.conid != conid:
                raise strange(Tool.GET_MARKET_SNAPSHOT, f"contract {conid}", f"contract {got.snapshot.conid}")
            return _priced([got.snapshot])

        return await self._ask(Tool.GET_MARKET_SNAPSHOT, MarketSnapshot, read, conid=conid)

    async def open_orders(self, account_id: str) -> tuple[BrokerOrder, ...]:
        """Every order of the account that is not known to be over, of whatever type and whoever sent it.

        An order whose symbol, side or quantity cannot be read is an error, as it could concern any trade.
        """

        def read(got: LiveOrders) -> tuple[BrokerOrder, ...]:
            complete(Tool.GET_LIVE_ORDERS, "orders", len(got.orders), got.count)
            return tuple(_read_open(row, account_id) for row in got.orders if _may_be_open(row, account_id))

        return await self._ask(Tool.GET_LIVE_ORDERS, LiveOrders, read)

    async def session(self, symbol: str) -> Session:
        def read(got: TradingSchedule) -> Session:
            session = read_schedule(got)
            if session.is_open != (session.opens_at <= session.now < session.closes_at):
                said = f"{'open' if session.is_open else 'closed'} at {session.now:%Y-%m-%d %H:%M} UTC"
                hours = f"{session.opens_at:%Y-%m-%d %H:%M} to {session.closes_at:%Y-%m-%d %H:%M} UTC"
                raise strange(Tool.GET_TRADING_SCHEDULE, f"a session from {hours}", said)
            return session

        return await self._ask(Tool.GET_TRADING_SCHEDULE, TradingSchedule, read, symbol=symbol)

    async def what_if(self, order: OrderTerms) -> WhatIf:
        """The broker's preview of exactly this order, which is not sent."""
        return await self._ask(
            Tool.WHATIF_ORDER, WhatIfOrder, lambda got: read_whatif(got.whatif_result), **order_arguments(order)
        )

    async def order_status(self, account_id: str, client_order_id: str) -> BrokerOrder | None:
        """What became of the order sent under that id; None if the broker never saw it."""

        def read(got: OrderStatusResult) -> BrokerOrder | None:
            order = read_order(got.order) if got.order else None
            if order and (order.account_id, order.client_order_id) != (account_id, client_order_id):
                found = f"order {order.client_order_id} of {order.account_id}"
                raise strange(Tool.GET_ORDER_STATUS, f"order {client_order_id} of {account_id}", found)
            return order

        return await self._ask(
            Tool.GET_ORDER_STATUS, OrderStatusResult, read, client_order_id=client_order_id, account_id=account_id
        )

    async def _ask(
        self, tool: Tool, row: type[AnyRow], read: Callable[[AnyRow], Answer], **arguments: object
    ) -> Answer:
        return await ask(self._tools, tool, row, read, **arguments)


def order_arguments(order: OrderTerms) -> dict[str, object]:
    """The order as the tools take it: the same words for its preview and for placing it."""
    return {
        "conid": order.conid,
        "side": order.side.value,
        "quantity": order.quantity,
        "order_type": "LMT",
        "price": float(order.limit_price),
        "account_id": order.account_id,
    }


def _read_quotes(got: MarketSnapshots) -> list[Quote]:
    return _priced(got.snapshots)


def _priced(rows: Iterable[SnapshotRow]) -> list[Quote]:
    """The quotes of rows with a price; a server answers with an empty row where there is none."""
    return [read_quote(row) for row in rows if (row.last_price, row.bid, row.ask) != (None, None, None)]


def _may_be_open(row: OrderRow, account_id: str) -> bool:
    """A status word nobody knows, or no account, may be an order of ours that works."""
    return row.account in (None, account_id) and read_status(row.status, row.filled or Decimal(0)) not in FINAL


def _read_open(row: OrderRow, account_id: str) -> BrokerOrder:
    try:
        return read_order(row.model_copy(update={"account": account_id}))
    except ValidationError as error:
        where = ", ".join(sorted({str(problem["loc"][0]) for problem in error.errors(include_url=False)}))
        raise Terminal(
            f"get_live_orders: order {one_line(row.orderId)} of {account_id} is open and its {where} cannot be read; "
            "nothing was traded beside it. Let it end, or cancel it."
        ) from error
