"""The MCP server that investors already run over IB's Client Portal gateway, with its faults, over any broker.

What it can never tell is missing here too, whichever faults are on: it has no order status, executions, trading
schedule or snapshot of many contracts; an order of its own carries no client order id and no time in force, so its row
among the live orders has no `orderRef`; summaries name no currency, snapshots no time, contracts no currency and price
step; a what-if gives no commission; scanner rows have no prices; and `cash_percentage` is available funds over net
liquidation. A failure is `{"error": ...}` in an answer that is not marked as an error.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from mcp.server.fastmcp import FastMCP
from mcp.server.fastmcp.exceptions import ToolError
from mcp.types import ContentBlock, TextContent
from pydantic import ValidationError

from brokers.errors import BrokerError, Terminal
from brokers.protocol import Broker, OrderRequest
from brokers.session import NEW_YORK, ExchangeCalendar
from portfolio.models import Bar, BrokerOrder, Quote
from tests.simulators import client_portal_rows as rows
from tests.simulators.client_portal_rows import JsonObject

OTHER_LISTING = 1_000_000_000
"""What the conid of the same symbol on a foreign exchange is larger by."""
NO_RECEIPT = dict.fromkeys(("order_id", "local_order_id", "order_status", "encrypt_message"))


class Fault(StrEnum):
    """What can be wrong with that server; the numbers are those of its contract."""

    WHATIF_GARBLED = "1: the what-if's figures are three run together, or null"
    POSITIONS_LOOK_EMPTY = "2: a failed call for positions answers with none of none"
    LIVE_ORDERS_DROPPED = "3: no live order is ever listed"
    REPLY_SWALLOWED_NOT_PLACED = "4: the order waits for an answer to a question nobody sees; the receipt is null"
    REPLY_SWALLOWED_PLACED = "4: the order is placed; the receipt is null"
    ORDER_POSTED_AGAIN = "5: the broker gets every order several times"
    OTHER_SIDES_SOLD = "6: a side that is not BUY is sold"
    PNL_AND_LEDGER_NULL = "7: profit and loss, and the ledger, are one row of nulls"
    SNAPSHOT_FIELDS_ODD = "8: `close` is the unrealised result, `open` and `volume` are null"
    FIRST_SNAPSHOTS_NULL = "8: the first snapshots of a contract have no prices"
    PRIOR_CLOSE_UNMARKED = "8: the last price is the previous close, and nothing says so"
    FIRST_HIT_OTHER_SYMBOL = "9: a contract of another symbol is found"
    FIRST_HIT_OTHER_LISTING = "9: the symbol's listing abroad is found"
    EXCHANGE_UNKNOWN = "9: the exchange of a contract is UNKNOWN"
    SUMMARY_FAILS = "10: no summary, as daytradesremaining came as an object"


@dataclass(frozen=True)
class PlaceCall:
    """The arguments of a `place_order` as they arrived, its defaults filled in."""

    conid: int
    side: str
    quantity: float
    order_type: str
    price: float | None
    account_id: str | None
    skip_whatif: bool


@dataclass(frozen=True)
class CancelCall:
    order_id: str
    account_id: str | None


class ClientPortalServer(FastMCP[object]):
    """The server over `broker`, which it does not close. `faults` may be changed while it runs.

    `requests` are the place and cancel calls that came, `posted` the orders that went on to the broker.

    Args:
        broker: what answers behind the gateway, normally the simulated broker.
        faults: what is wrong.
        posts: how often an order reaches the broker with ORDER_POSTED_AGAIN.
        null_snapshots: how many snapshots of each contract are empty with FIRST_SNAPSHOTS_NULL.
    """

    def __init__(
        self, broker: Broker, faults: Iterable[Fault] = (), *, posts: int = 3, null_snapshots: int = 2
    ) -> None:
        root, guard = logging.getLogger(), logging.NullHandler()
        root.addHandler(guard)  # or FastMCP would configure the root logger
        super().__init__("ib-client-portal", log_level="WARNING")
        root.removeHandler(guard)
        self.faults = frozenset(faults)
        self.requests: list[PlaceCall | CancelCall] = []
        self.posted: list[OrderRequest] = []
        self._broker = broker
        self._posts = posts
        self._null_snapshots = null_snapshots
        self._snapshots: Counter[int] = Counter()
        self._over: dict[str, BrokerOrder] = {}
        for tool in (
            self.find_contract, self.get_accounts, self.get_portfolio_summary, self.get_positions, self.get_pnl,
            self.get_ledger, self.get_market_snapshot, self.get_history, self.get_order_book, self.get_live_orders,
            self.whatif_order, self.place_order, self.cancel_order, self.scan_top_gainers, self.scan_top_losers,
            self.scan_most_active, self.custom_scan, self.get_scan_codes, self.portfolio_health_check,
            self.stock_analysis,
        ):  # fmt: skip
            self.add_tool(tool, structured_output=False)

    async def call_tool(self, name: str, arguments: dict[str, Any]) -> Sequence[ContentBlock] | dict[str, Any]:
        """One text block of JSON, also for a failure of the gateway; only wrong arguments are marked as an error."""
        try:
            return await super().call_tool(name, arguments)
        except ToolError as error:
            if not isinstance(error.__cause__, BrokerError):
                raise
            failed = {"error": f"Failed to {name.replace('_', ' ')}: {error.__cause__}"}
            return [TextContent(type="text", text=json.dumps(failed, indent=2))]

    # --- accounts -----------------------------------------------------------------------------------------------

    async def get_accounts(self) -> JsonObject:
        found = [rows.account_row(account) for account in await self._broker.accounts()]
        return {"accounts": found, "count": len(found)}

    async def get_portfolio_summary(self, account_id: str | None = None) -> JsonObject:
        account = await self._account(account_id)
        return {"account_id": account, "summary": await self._summary(account)}

    async def get_positions(self, account_id: str | None = None, max_positions: int = 50) -> JsonObject:
        account = await self._account(account_id)
        held = [] if Fault.POSITIONS_LOOK_EMPTY in self.faults else await self._broker.positions(account)
        shown = [rows.position_row(position) for position in held[:max_positions]]
        return {"account_id": account, "positions": shown, "count": len(shown), "total_positions": len(held)}

    async def get_pnl(self) -> JsonObject:
        found = [await self._pnl(account.account_id) for account in await self._broker.accounts()]
        return {"pnl": found, "count": len(found)}

    async def get_ledger(self, account_id: str | None = None) -> JsonObject:
        account = await self._account(account_id)
        lines = await self._broker.ledger(account)
        found = [*map(rows.ledger_row, lines), rows.base_row(lines)]
        if Fault.PNL_AND_LEDGER_NULL in self.faults:
            found = [dict.fromkeys(found[0])]
        return {"account_id": account, "ledger": found, "count": len(found)}

    # --- the market ---------------------------------------------------------------------------------------------

    async def find_contract(self, symbol: str, sec_type: str = "STK") -> JsonObject:
        contract = await self._broker.find_contract(symbol, sec_type)
        found = {"conid": contract.conid, "symbol": contract.symbol, "exchange": contract.exchange}
        if Fault.FIRST_HIT_OTHER_SYMBOL in self.faults:
            found |= {"conid": contract.conid + 1, "symbol": f"{contract.symbol}X"}
        if Fault.FIRST_HIT_OTHER_LISTING in self.faults:
            found |= {"conid": contract.conid + OTHER_LISTING, "exchange": "MEXI"}
        return found | ({"exchange": "UNKNOWN"} if Fault.EXCHANGE_UNKNOWN in self.faults else {})

    async def get_market_snapshot(self, conid: int) -> JsonObject:
        quote = await self._quote(conid)
        self._snapshots[conid] += 1
        if Fault.FIRST_SNAPSHOTS_NULL in self.faults and self._snapshots[conid] <= self._null_snapshots:
            quote = None
        if quote and Fault.PRIOR_CLOSE_UNMARKED in self.faults:
            quote = quote.model_copy(update={"last": quote.previous_close})
        row = rows.snapshot_row(conid, quote)
        if Fault.SNAPSHOT_FIELDS_ODD in self.faults:
            row |= {"close": "-1234.56", "open": None, "volume": None}
        return {"conid": conid, "snapshot": row}

    async def get_history(
        self,
        conid: int,
        bar: str = "1d",
        period: str = "1m",
        outside_rth: bool = True,  # noqa: ARG002, FBT001, FBT002 - the contract's own
    ) -> JsonObject:
        """The broker's bars; minutes, which our brokers do not keep, are made of its quote and end at its time."""
        past = await (self._minutes(conid) if bar == "1min" else self._broker.history(conid, bar, period))
        found = [rows.bar_row(one) for one in past]
        return {"conid": conid, "bar": bar, "period": period, "bars": found, "count": len(found)}

    async def get_order_book(self, conid: int, exchange: str | None = None) -> JsonObject:
        quote = await self._quote(conid)
        sides = {"bids": (quote.bid, quote.bid_size), "asks": (quote.ask, quote.ask_size)} if quote else {}
        levels = {
            side: [{"price": rows.money(price), "size": rows.money(size), "exchange": exchange}]
            for side, (price, size) in sides.items()
        }
        return {"conid": conid, "order_book": {"conid": conid, "bids": [], "asks": [], **levels, "timestamp": None}}

    async def scan_top_gainers(self, max_results: int = 20, location: str = "STK.US") -> JsonObject:
        return await self._scan("top_gainers", "TOP_PERC_GAIN", max_results, location)

    async def scan_top_losers(self, max_results: int = 20, location: str = "STK.US") -> JsonObject:
        return await self._scan("top_losers", "TOP_PERC_LOSE", max_results, location)

    async def scan_most_active(self, max_results: int = 20, location: str = "STK.US") -> JsonObject:
        return await self._scan("most_active", "MOST_ACTIVE", max_results, location)

    async def custom_scan(self, scan_code: str, max_results: int = 20, location: str = "STK.US") -> JsonObject:
        return {"scan_code": scan_code, **await self._scan("custom", scan_code, max_results, location)}

    async def get_scan_codes(self) -> JsonObject:
        codes = await self._broker.scan_codes()
        return {"scan_codes": codes, "count": len(codes)}

    # --- orders -------------------------------------------------------------------------------------------------

    async def get_live_orders(self) -> JsonObject:
        """The orders of the day: those that work, and those that came to their end as they were placed or cancelled."""
        working = [
            order
            for account in await self._broker.accounts()
            for order in await self._broker.open_orders(account.account_id)
        ]
        found = [rows.order_row(order) for order in (*working, *self._over.values())]
        found = [] if Fault.LIVE_ORDERS_DROPPED in self.faults else found
        return {"orders": found, "count": len(found)}

    async def whatif_order(
        self,
        conid: int,
        side: str,
        quantity: float,
        order_type: str = "MKT",
        price: float | None = None,
        account_id: str | None = None,
    ) -> JsonObject:
        order = self._order(await self._account(account_id), conid, side, quantity, order_type, price)
        answer = await self._broker.what_if(order)
        result = rows.whatif_row(answer, garbled=Fault.WHATIF_GARBLED in self.faults)
        echo = _echo(conid, side, quantity, order_type, price)
        return {"account_id": order.account_id, "order_request": echo, "whatif_result": result}

    async def place_order(
        self,
        conid: int,
        side: str,
        quantity: float,
        order_type: str = "MKT",
        price: float | None = None,
        account_id: str | None = None,
        skip_whatif: bool = False,  # noqa: FBT001, FBT002 - the contract's own
    ) -> JsonObject:
        self.requests.append(PlaceCall(conid, side, quantity, order_type, price, account_id, skip_whatif))
        order = self._order(await self._account(account_id), conid, side, quantity, order_type, price)
        if not skip_whatif and (objection := (await self._broker.what_if(order)).error):
            raise Terminal(objection)
        echo = _echo(conid, side, quantity, order_type, price)
        return {"account_id": order.account_id, "order_request": echo, "result": await self._post(order)}

    async def cancel_order(self, order_id: str, account_id: str | None = None) -> JsonObject:
        """The gateway only says that the request was passed on, not what became of the order."""
        self.requests.append(CancelCall(order_id, account_id))
        account = await self._account(account_id)
        order = self._noted(await self._broker.cancel(account, order_id))
        result = {"order_id": order_id, "msg": "Request was submitted", "conid": order.conid, "account": account}
        return {"account_id": account, "order_id": order_id, "result": result}

    # --- analyses -----------------------------------------------------------------------------------------------

    async def portfolio_health_check(self, account_id: str | None = None) -> JsonObject:
        account = await self._account(account_id)
        summary = await self._broker.summary(account)
        count = len(await self._broker.positions(account))
        metrics = {
            "total_value": float(summary.net_liquidation),
            "buying_power": float(summary.buying_power),
            "available_funds": float(summary.available_funds),
            "total_positions": count,
            "cash_percentage": float(100 * summary.available_funds / summary.net_liquidation),
        }
        return {
            "account_id": account,
            "health_metrics": metrics,
            "summary": await self._summary(account),
            "position_count": count,
            "pnl_summary": [await self._pnl(account)],
        }

    async def stock_analysis(self, symbol: str, target_quantity: int = 100) -> JsonObject:
        contract = await self.find_contract(symbol)
        snapshot = (await self.get_market_snapshot(contract["conid"]))["snapshot"]
        summary = await self._broker.summary(await self._account(None))
        price = None if snapshot["last_price"] is None else float(snapshot["last_price"])
        value = None if price is None else price * target_quantity
        total, funds = float(summary.net_liquidation), float(summary.available_funds)
        return {
            "symbol": symbol,
            "contract": contract,
            "market_data": {"current_price": price, "snapshot": snapshot},
            "position_analysis": {
                "target_quantity": target_quantity,
                "position_value": value,
                "portfolio_percentage": None if value is None else 100 * value / total,
                "affordable": None if value is None else value <= funds,
            },
            "portfolio_context": {
                "total_value": total,
                "available_funds": funds,
                "buying_power": float(summary.buying_power),
            },
        }

    # --- behind the tools ---------------------------------------------------------------------------------------

    async def _account(self, account_id: str | None) -> str:
        return account_id if account_id is not None else (await self._broker.accounts())[0].account_id

    async def _summary(self, account: str) -> JsonObject:
        if Fault.SUMMARY_FAILS in self.faults:
            raise Terminal("1 validation error for PortfolioSummary daytradesremaining Input should be a valid integer")
        return rows.summary_row(await self._broker.summary(account))

    async def _pnl(self, account: str) -> JsonObject:
        summary = await self._broker.summary(account)
        row = rows.pnl_row(await self._broker.pnl(account), summary.excess_liquidity)
        return dict.fromkeys(row) if Fault.PNL_AND_LEDGER_NULL in self.faults else row

    async def _quote(self, conid: int) -> Quote | None:
        found = await self._broker.quotes([conid])
        return found[0] if found else None

    async def _minutes(self, conid: int) -> list[Bar]:
        """Up to the quote's time; with PRIOR_CLOSE_UNMARKED there was no trade since the previous session."""
        quote = await self._quote(conid)
        if quote is None or quote.as_of is None or quote.last is None:
            return []
        if Fault.PRIOR_CLOSE_UNMARKED not in self.faults:
            return rows.minutes_until(quote.as_of, quote.last)
        calendar, today = ExchangeCalendar(), quote.as_of.astimezone(NEW_YORK).date()
        before = calendar.sessions(today.replace(year=today.year - 1), today)[-2]
        closed = calendar.close_of(before)
        return rows.minutes_until(closed, quote.previous_close) if closed and quote.previous_close else []

    async def _scan(self, scan_type: str, code: str, limit: int, location: str) -> JsonObject:
        found = [rows.scan_row(one) for one in await self._broker.scan(code, limit)]
        return {"scan_type": scan_type, "location": location, "results": found, "count": len(found)}

    def _order(
        self, account: str, conid: int, side: str, quantity: float, order_type: str, price: float | None
    ) -> OrderRequest:
        sold = side != "BUY" and Fault.OTHER_SIDES_SOLD in self.faults
        asked = {
            "account_id": account,
            "conid": conid,
            "side": "SELL" if sold else side,
            "quantity": rows.whole(Decimal(str(quantity))),
            "order_type": order_type,
            "limit_price": None if price is None else Decimal(str(price)),
        }
        try:
            return OrderRequest.model_validate(asked)
        except ValidationError as error:
            raise Terminal(f"{side} {quantity} {order_type} is no order") from error

    async def _post(self, order: OrderRequest) -> JsonObject:
        """The receipt for the last of the orders that reached the broker, or one of nulls."""
        if Fault.REPLY_SWALLOWED_NOT_PLACED in self.faults:
            return NO_RECEIPT
        for _ in range(self._posts - 1 if Fault.ORDER_POSTED_AGAIN in self.faults else 0):
            self.posted.append(order)
            self._noted(await self._broker.place(order))
        self.posted.append(order)
        placed = self._noted(await self._broker.place(order))
        if Fault.REPLY_SWALLOWED_PLACED in self.faults:
            return NO_RECEIPT
        refused = {**NO_RECEIPT, "error": placed.message}
        return refused if placed.status == "REJECTED" else rows.receipt_row(placed)

    def _noted(self, order: BrokerOrder) -> BrokerOrder:
        if not order.status.is_working:
            self._over[order.order_id] = order
        return order


def _echo(conid: int, side: str, quantity: float, order_type: str, price: float | None) -> JsonObject:
    return {"conid": conid, "side": side, "quantity": quantity, "order_type": order_type, "price": price}
