"""What TWS shows of orders, put together: the open ones, those that ended today, and what was executed.

An order is told of by the id that TWS gave it for good (its permId), and until it has one by client and number. None of
this needs a connection.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from typing import Any

from ib_async import Fill, Order, Trade
from pydantic import ValidationError

from brokers.errors import Terminal
from brokers.tws.numbers import number, price
from portfolio.models import BrokerOrder, Execution, OrderStatus, Side

ZERO = Decimal(0)
WORKING = frozenset({"ApiPending", "PendingSubmit", "PendingCancel", "PreSubmitted", "Submitted", "ApiUpdate"})
CANCELLED = frozenset({"Cancelled", "ApiCancelled"})
FILLED, INACTIVE = "Filled", "Inactive"
PARTS = 3
"""Dots in an execution id of IB, such as 0000e0d5.66f5c1d2.01.01."""
SIDES = {"BUY": Side.BUY, "SELL": Side.SELL, "SSHORT": Side.SELL, "SLONG": Side.SELL}
SOLD = frozenset({"SLD", "SELL"})


@dataclass(frozen=True)
class Books:
    """The orders of the login, in the order they were asked for: an order that ends meanwhile is in a later part."""

    open: tuple[Trade, ...]
    ended: tuple[Trade, ...]
    fills: tuple[Fill, ...]

    def working(self, account_id: str) -> list[BrokerOrder]:
        """Every order of the account that is not over, once each: news of one may come with the list."""
        mine = {_id_of(trade.order): trade for trade in self.open if trade.order.account == account_id}
        return [order for order in map(self._order, mine.values()) if order.status.is_unresolved]

    def sent_as(self, account_id: str, client_order_id: str) -> list[BrokerOrder]:
        """The orders of the account that bear that id; usually there is one at most."""
        found: dict[str, Trade] = {}
        for trade in (*self.open, *self.ended):
            if (trade.order.account, trade.order.orderRef) == (account_id, client_order_id):
                found[_id_of(trade.order)] = trade
        return [self._order(trade) for trade in found.values()]

    def known_as(self, account_id: str, order_id: str) -> BrokerOrder | None:
        """The order of that id of TWS."""
        trade = self.trade(account_id, order_id)
        return self._order(trade) if trade else None

    def trade(self, account_id: str, order_id: str) -> Trade | None:
        """The same as the library holds it; an order that has ended is given as that."""
        same = [
            trade
            for trade in (*self.open, *self.ended)
            if (trade.order.account, _id_of(trade.order)) == (account_id, order_id)
        ]
        return same[-1] if same else None

    def executions(self, account_id: str) -> list[Execution]:
        """Every fill that TWS still shows, oldest first."""
        mine = (fill for fill in _latest(self.fills) if fill.execution.acctNumber == account_id)
        return sorted(map(_readable_execution, mine), key=lambda row: row.executed_at)

    def _order(self, trade: Trade) -> BrokerOrder:
        order, (fills, unread) = trade.order, self._fills_of(trade.order)
        quantity = number(order.totalQuantity) or ZERO
        executed = sum((fill.quantity for fill in fills), ZERO)
        is_over = any(trade is one for one in self.ended)
        filled, status = _progress(trade, quantity, executed, is_over=is_over)
        message = f"TWS calls it {trade.orderStatus.status}" if status is OrderStatus.UNKNOWN else None
        if unread and not status.is_working:
            status, message = OrderStatus.UNKNOWN, f"{unread} of its executions cannot be read"
        paid = sum((fill.quantity * fill.price for fill in fills), ZERO)
        costs = [fill.commission for fill in fills if fill.commission is not None]
        is_whole = executed == filled and not unread
        return BrokerOrder.model_validate(
            {
                "order_id": _id_of(order),
                "client_order_id": order.orderRef or None,
                "account_id": order.account,
                "conid": trade.contract.conId,
                "symbol": trade.contract.symbol,
                "side": _side_of(trade),
                "quantity": quantity,
                "order_type": order.orderType,
                "limit_price": price(order.lmtPrice) if order.orderType == "LMT" else None,
                "status": status,
                "filled_quantity": filled,
                "average_price": paid / executed if executed and is_whole else price(trade.orderStatus.avgFillPrice),
                "commission": sum(costs, ZERO) if is_whole and len(costs) == len(fills) else None,
                "message": message,
            }
        )

    def _fills_of(self, order: Order) -> tuple[list[Execution], int]:
        """The executions of the order in its own account, and how many more there are that cannot be read."""
        wanted = (order.permId, order.account)
        told = [one for one in _latest(self.fills) if (one.execution.permId, one.execution.acctNumber) == wanted]
        rows, unread = list[Execution](), 0
        for fill in told if order.permId else ():
            try:
                rows.append(_execution(fill))
            except (ValidationError, ValueError, OverflowError):
                unread += 1
        return rows, unread


def _id_of(order: Order) -> str:
    return str(order.permId) if order.permId else f"{order.clientId}:{order.orderId}"


def _side_of(trade: Trade) -> Side:
    """What others sell short, or from a long position at another broker, is sold.

    Raises:
        Terminal: nobody knows which side that is.
    """
    order = trade.order
    if order.action not in SIDES:
        raise Terminal(
            f"TWS shows an order to {order.action!r} {order.totalQuantity} {trade.contract.symbol} ({_id_of(order)}), "
            "and nobody knows whether that buys or sells; nothing was traded. Cancel it in TWS, or wait for its end."
        )
    return SIDES[order.action]


def _progress(trade: Trade, quantity: Decimal, executed: Decimal, *, is_over: bool) -> tuple[Decimal, OrderStatus]:
    """Shares filled, and the order's status in the house's words.

    An inactive order that is not over may become active again.
    """
    word = trade.orderStatus.status
    told = max(number(trade.orderStatus.filled) or ZERO, number(trade.order.filledQuantity) or ZERO)
    filled = max(told, executed)
    if word == FILLED:
        return filled or quantity, OrderStatus.FILLED
    if word in WORKING:
        if filled >= quantity > 0:
            return filled, OrderStatus.FILLED
        return filled, OrderStatus.PARTIAL if filled else OrderStatus.SUBMITTED
    if word in CANCELLED:
        return filled, OrderStatus.CANCELLED
    if word == INACTIVE and is_over:
        return filled, OrderStatus.REJECTED if not filled else OrderStatus.CANCELLED
    return filled, OrderStatus.UNKNOWN


def _latest(fills: Iterable[Fill]) -> list[Fill]:
    """The fills as they stand: a corrected one comes again under its id with a higher number after the last dot."""
    latest: dict[str, Fill] = {}
    for fill in sorted(fills, key=lambda one: one.execution.execId):
        name = fill.execution.execId
        latest[name.rpartition(".")[0] if name.count(".") >= PARTS else name] = fill
    return [*latest.values()]


def _execution(fill: Fill) -> Execution:
    told, contract, report = fill.execution, fill.contract, fill.commissionReport
    facts: dict[str, Any] = {
        "execution_id": told.execId,
        "order_id": str(told.permId),
        "client_order_id": told.orderRef or None,
        "account_id": told.acctNumber,
        "conid": contract.conId,
        "symbol": contract.symbol,
        "side": Side.SELL if told.side in SOLD else Side.BUY,
        "quantity": number(told.shares),
        "price": number(told.price),
        "commission": number(report.commission) if report.execId else None,
        "executed_at": told.time.astimezone(UTC),
    }
    return Execution.model_validate(facts)


def _readable_execution(fill: Fill) -> Execution:
    try:
        return _execution(fill)
    except (ValidationError, ValueError, OverflowError):
        told = fill.execution
        raise Terminal(
            f"TWS tells of an execution of {fill.contract.symbol} that cannot be read ({told.execId}: {told.shares} "
            f"shares at {told.price}); nothing rests on it. Look at the trades in TWS."
        ) from None


def unreported(fills: Iterable[Fill]) -> bool:
    """Whether the commission of one of them is still to come."""
    return any(not fill.commissionReport.execId for fill in fills)
