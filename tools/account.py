"""What the graph may know: typed facts about the account and its market, read over MCP.

Every answer is validated, and held against what was asked: a row that lacks a fact that must be there, or speaks of
another account, contract or symbol, raises, so that a failed call never looks like an empty portfolio. A server without
our own extensions is read too; what it cannot tell is said to be unknown, and never made up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal

from pydantic import ValidationError

from brokers.errors import Retryable, Terminal, Unreachable
from brokers.session import ExchangeCalendar
from portfolio.models import (
    Account,
    AccountSummary,
    Bar,
    BrokerOrder,
    Contract,
    Execution,
    OrderStatus,
    OrderTerms,
    Position,
    Quote,
    ScanRow,
    Session,
    WhatIf,
)
from tools.answers import Answer, AnyRow, ask, complete, strange, understood
from tools.client import Tools
from tools.contract import Tool
from tools.listings import Listings
from tools.rows.account import Accounts, Ledger, PortfolioSummary, Positions
from tools.rows.market import CustomScan, History, MarketSnapshots, SnapshotRow, TradingSchedule
from tools.rows.orders import Executions, LiveOrders, OrderEcho, OrderRow, OrderStatusResult, WhatIfOrder
from tools.snapshots import Snapshots
from tools.wire.account import read_account, read_position, read_summary
from tools.wire.foreign_text import one_line
from tools.wire.market import read_bar, read_quote, read_scan, read_schedule
from tools.wire.orders import ORDER_TYPES, read_execution, read_order, read_status, read_whatif

MOST_POSITIONS = 10_000
BASE = "BASE"  # the ledger's own sum over all currencies, which is no currency
FINAL = (OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED)


def utc_now() -> datetime:
    return datetime.now(UTC)


NEEDED = (
    (Tool.GET_ACCOUNTS,),
    (Tool.GET_PORTFOLIO_SUMMARY,),
    (Tool.GET_POSITIONS,),
    (Tool.GET_LIVE_ORDERS,),
    (Tool.FIND_CONTRACT, Tool.FIND_CONTRACTS),
    (Tool.GET_MARKET_SNAPSHOT, Tool.GET_MARKET_SNAPSHOTS),
    (Tool.WHATIF_ORDER,),
)
"""One of each group must be there."""


class AccountReader:
    """The reading half of a broker's tools, in the words of the house. It cannot order: it holds no tool that can.

    Every method raises `Terminal` for an answer that is an error, incomplete or contradictory, and `Retryable` where
    there is none.

    Args:
        tools: the reading half of the server's tools.
        clock: the time in UTC, for servers that do not tell it: trading hours and the age of quotes hang on it.
        pause: waits that many seconds, between two looks at a snapshot that is not there yet.
    """

    def __init__(
        self,
        tools: Tools,
        *,
        clock: Callable[[], datetime] = utc_now,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._tools = tools
        self._clock = clock
        self._snapshots = Snapshots(tools, clock, pause)
        self._listings = Listings(tools)

    @property
    def tells_order_status(self) -> bool:
        """Whether the server can say what became of an order by its client order id.

        Where it cannot, neither does it keep that id with an order, and no open orders prove nothing: some such servers
        drop them. Positions and cash must tell then.
        """
        return Tool.GET_ORDER_STATUS in self._tools

    @property
    def is_lost(self) -> bool:
        """Whether the connection to the server is gone, and no look at anything can succeed any more."""
        return self._tools.is_lost

    @property
    def missing(self) -> tuple[str, ...]:
        """The tools without which no account can be read, as far as the server does not offer them."""
        return tuple(" or ".join(tools) for tools in NEEDED if not any(tool in self._tools for tool in tools))

    async def accounts(self) -> tuple[Account, ...]:
        def read(got: Accounts) -> tuple[Account, ...]:
            complete(Tool.GET_ACCOUNTS, "accounts", len(got.accounts), got.count)
            return tuple(map(read_account, got.accounts))

        return await self._ask(Tool.GET_ACCOUNTS, Accounts, read)

    async def summary(self, account_id: str) -> AccountSummary:
        """The balances, in the account's base currency, which the ledger tells where the summary does not."""
        tool = Tool.GET_PORTFOLIO_SUMMARY
        # A server of the older kind tells no currency in its summaries.
        asking = None if self.tells_order_status else asyncio.create_task(self._base_currency(account_id))
        try:
            row = await self._ask(tool, PortfolioSummary, lambda got: got.summary, account_id=account_id)
            if row.accountcode not in (None, account_id):
                raise strange(tool, f"account {account_id}", f"account {row.accountcode}")
            currency = row.currency or await (asking or self._base_currency(account_id))
        finally:
            if asking:
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
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
        """Every position, or an error. That none is held is believed of our own server, else the summary must agree."""

        def read(got: Positions) -> tuple[Position, ...]:
            complete(Tool.GET_POSITIONS, "positions", len(got.positions), got.count)
            complete(Tool.GET_POSITIONS, "positions", got.count, got.total_positions)
            held = tuple(map(read_position, got.positions))
            for position in held:
                if position.account_id != account_id:
                    raise strange(Tool.GET_POSITIONS, f"account {account_id}", f"account {position.account_id}")
            return held

        tool = Tool.GET_POSITIONS
        held = await self._ask(tool, Positions, read, account_id=account_id, max_positions=MOST_POSITIONS)
        if not held and not self.tells_order_status:
            await self._prove_empty(account_id)
        self._listings.hold(held)
        return held

    async def _prove_empty(self, account_id: str) -> None:
        """Hold a list without positions against the account's balances, as a failed call may look like one.

        Raises:
            Terminal: the account holds something.
        """
        summary = await self.summary(account_id)
        if summary.gross_position_value:
            raise Terminal(
                f"{Tool.GET_POSITIONS}: the MCP server lists no positions of {account_id}, and its summary values them "
                f"at {summary.gross_position_value:,.2f} {summary.currency}; not believed. "
                "Look whether the broker is logged in, and run again."
            )

    async def find_contract(self, symbol: str) -> Contract:
        """The contract of exactly that symbol, asked for once a session.

        It must be the one held, by the last reading of positions, if any is; see `Listings`.
        """
        return await self._listings.find(symbol)

    async def find_contracts(self, symbols: Iterable[str]) -> dict[str, Contract]:
        """The contracts of those of the symbols that have one as `find_contract` wants it.

        An answer that fails costs the symbols it would have been about.

        Raises:
            Unreachable: the connection is lost.
        """
        return await self._listings.find_all(symbols)

    async def quotes(self, conids: Iterable[int]) -> dict[int, Quote]:
        """A quote for each contract that has a price; in one call where the server can, else side by side.

        One by one they hold last, bid and ask alone, and their time only where it could be found out; see `Snapshots`.
        There a question that fails costs that quote, whose `note` then says why.
        """
        wanted = set(conids)
        if not wanted:
            return {}
        if Tool.GET_MARKET_SNAPSHOTS in self._tools:
            quotes = await self._ask(Tool.GET_MARKET_SNAPSHOTS, MarketSnapshots, _read_quotes, conids=sorted(wanted))
        else:
            found = await asyncio.gather(*map(self._one_quote, sorted(wanted)))
            quotes = [quote for quote in found if quote]
        strangers = {quote.conid for quote in quotes} - wanted
        if strangers:
            raise strange(Tool.GET_MARKET_SNAPSHOTS, "the contracts asked for", f"contract {min(strangers)}")
        return _by_conid(quotes)

    async def _one_quote(self, conid: int) -> Quote | None:
        try:
            return await self._snapshots.quote(conid)
        except Unreachable:
            raise
        except (Terminal, Retryable) as error:
            return Quote(conid=conid, symbol="", note=str(error))

    async def open_orders(self, account_id: str) -> tuple[BrokerOrder, ...]:
        """Every order of the account that is not known to be over, of whatever type and whoever sent it.

        An order whose symbol, side or quantity cannot be read is an error, as it could concern any trade. That there is
        none proves nothing where the server does not tell order status.
        """

        def read(got: LiveOrders) -> tuple[BrokerOrder, ...]:
            complete(Tool.GET_LIVE_ORDERS, "orders", len(got.orders), got.count)
            return tuple(_read_open(row, account_id) for row in got.orders if _may_be_open(row, account_id))

        return await self._ask(Tool.GET_LIVE_ORDERS, LiveOrders, read)

    async def find_order(self, order: OrderTerms, order_id: str | None) -> BrokerOrder | None:
        """The order in the broker's list, working or not: under `order_id` where it is known, else by its exact terms.

        That the list does not show it proves nothing.
        """

        def read(got: LiveOrders) -> BrokerOrder | None:
            rows = (row for row in got.orders if row.account in (None, order.account_id))
            listed = [
                _read_open(row, order.account_id) for row in rows if row.orderId == order_id or row.conid == order.conid
            ]
            wanted = (order.conid, order.side, Decimal(order.quantity), order.limit_price)
            same = [one for one in listed if (one.conid, one.side, one.quantity, one.limit_price) == wanted]
            mine = [one for one in same if order_id is None or one.order_id == order_id]
            return mine[0] if len(mine) == 1 else None

        return await self._ask(Tool.GET_LIVE_ORDERS, LiveOrders, read)

    async def session(self, symbol: str) -> Session:
        """Regular trading hours of `symbol`: the broker's, else those of New York by the clock given to the reader.

        The calendar knows holidays and half days, but no trading halts.
        """
        if Tool.GET_TRADING_SCHEDULE not in self._tools:
            return ExchangeCalendar().session_at(self._clock())

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

        def read(got: WhatIfOrder) -> WhatIf:
            if (other := other_than(order, got.order_request)) is not None:
                asked = f"{order.side} {order.quantity} {order.symbol} at {order.limit_price}"
                raise strange(Tool.WHATIF_ORDER, asked, f"another order ({other})")
            return read_whatif(got.whatif_result)

        return await self._ask(Tool.WHATIF_ORDER, WhatIfOrder, read, **order_arguments(order))

    async def order_status(self, account_id: str, client_order_id: str) -> BrokerOrder | None:
        """What became of the order sent under that id; None if the broker never saw it.

        Raises:
            Terminal: the server has no such tool (`tells_order_status` is false), or answered about something else.
        """
        if not self.tells_order_status:
            raise Terminal(
                f"{Tool.GET_ORDER_STATUS}: the MCP server cannot tell what became of order {client_order_id}, as it "
                "has no such tool; nothing was asked. Look at positions, cash and open orders instead."
            )

        def read(got: OrderStatusResult) -> BrokerOrder | None:
            order = read_order(got.order) if got.order else None
            if order and (order.account_id, order.client_order_id) != (account_id, client_order_id):
                found = f"order {order.client_order_id} of {order.account_id}"
                raise strange(Tool.GET_ORDER_STATUS, f"order {client_order_id} of {account_id}", found)
            return order

        return await self._ask(
            Tool.GET_ORDER_STATUS, OrderStatusResult, read, client_order_id=client_order_id, account_id=account_id
        )

    async def executions(self, account_id: str, since: datetime) -> tuple[Execution, ...] | None:
        """Every fill of the account since then, price in USD a share; None where the server has no tool for it."""
        if Tool.GET_EXECUTIONS not in self._tools:
            return None

        def read(got: Executions) -> tuple[Execution, ...]:
            complete(Tool.GET_EXECUTIONS, "executions", len(got.executions), got.count)
            fills = tuple(map(read_execution, got.executions))
            for fill in fills:
                if fill.account_id != account_id:
                    raise strange(Tool.GET_EXECUTIONS, f"account {account_id}", f"account {fill.account_id}")
            return fills

        return await self._ask(Tool.GET_EXECUTIONS, Executions, read, since=since.isoformat(), account_id=account_id)

    async def history(self, conid: int, bar: str, period: str) -> tuple[Bar, ...]:
        """Past bars of a contract, oldest first; `bar` such as "1d", `period` such as "1m" or "1y"."""

        def read(got: History) -> tuple[Bar, ...]:
            complete(Tool.GET_HISTORY, "bars", len(got.bars), got.count)
            if got.conid != conid:
                raise strange(Tool.GET_HISTORY, f"contract {conid}", f"contract {got.conid}")
            return tuple(sorted(map(read_bar, got.bars), key=lambda past: past.start))

        return await self._ask(Tool.GET_HISTORY, History, read, conid=conid, bar=bar, period=period)

    async def scan(self, scan_code: str, most: int) -> tuple[ScanRow, ...]:
        """The market ranked by one of IB's scan codes, best first: `most` rows, those without a name left out."""

        def read(got: CustomScan) -> tuple[ScanRow, ...]:
            named = [row for row in got.results if row.symbol is not None and row.conid is not None]
            return tuple(map(read_scan, named[:most]))

        return await self._ask(Tool.CUSTOM_SCAN, CustomScan, read, scan_code=scan_code, max_results=most)

    def offers(self, tool: Tool) -> bool:
        """Whether the server has that tool."""
        return tool in self._tools

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


def other_than(order: OrderTerms, echo: OrderEcho | None) -> str | None:
    """How the order that a server says it was asked about is not `order`; None where nothing that it tells differs."""
    told = {} if echo is None else echo.model_dump(exclude_none=True)
    told |= {name: told[name].upper() for name in ("side", "order_type") if name in told}
    if kind := told.get("order_type"):
        told["order_type"] = ORDER_TYPES.get(kind, kind)
    asked = order_arguments(order)
    differing = [f"{name} {value} instead of {asked[name]}" for name, value in told.items() if value != asked[name]]
    return one_line(", ".join(differing)) or None


def _read_quotes(got: MarketSnapshots) -> list[Quote]:
    return _priced(got.snapshots)


def _by_conid(quotes: Iterable[Quote]) -> dict[int, Quote]:
    """The quotes by contract; nobody can tell which of two different ones would be the price of an order."""
    found: dict[int, Quote] = {}
    for quote in quotes:
        if found.setdefault(quote.conid, quote) != quote:
            raise Terminal(
                f"{Tool.GET_MARKET_SNAPSHOTS}: the MCP server sent two different quotes of contract {quote.conid}; "
                "neither is used. Run again, and look into the server if it stays so."
            )
    return found


def _priced(rows: Iterable[SnapshotRow]) -> list[Quote]:
    """The quotes of rows with a price, or with why there is none; a server may answer with an empty row instead."""
    return [read_quote(row) for row in rows if row.note or (row.last_price, row.bid, row.ask) != (None, None, None)]


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
