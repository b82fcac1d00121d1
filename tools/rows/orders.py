"""What the order tools answer: orders in the books, what-ifs, receipts, executions."""

# ruff: noqa: N815 - the keys are the contract's, not ours

from __future__ import annotations

from portfolio.models import Utc
from tools.rows.base import Claimed, Number, Row


class OrderRow(Row):
    """An order in the broker's books; `orderRef` is its client order id.

    `commission`, `message` and `submitted_at` come from our server only.
    """

    orderId: str
    conid: int | None = None
    symbol: str | None = None
    side: str | None = None
    orderType: str | None = None
    quantity: Number | None = None
    price: Number | None = None
    auxPrice: Number | None = None
    status: str | None = None
    filled: Number | None = None
    remaining: Number | None = None
    avgPrice: Number | None = None
    lastExecutionTime: str | None = None
    orderRef: str | None = None
    timeInForce: str | None = None
    account: str | None = None
    commission: Number | None = None
    message: str | None = None
    submitted_at: Utc | None = None


class LiveOrders(Row):
    orders: list[OrderRow]
    count: int


class OrderStatusResult(Row):
    """`order` is None when the broker never saw an order under that id."""

    client_order_id: str
    order: OrderRow | None = None


class ExecutionRow(Row):
    execution_id: str
    orderId: str
    orderRef: str | None = None
    conid: int
    symbol: str
    side: str
    quantity: Number
    price: Number
    commission: Number | None = None
    time: Utc
    account: str


class Executions(Row):
    executions: list[ExecutionRow]
    count: int


class OrderEcho(Row):
    """The order as it was asked for, as far as the server repeats it; numbers here are JSON numbers by the contract."""

    conid: int | None = None
    side: str | None = None
    quantity: float | None = None
    order_type: str | None = None
    price: float | None = None


class WhatIfRow(Row):
    """Equity and margins AFTER the order.

    The `_before` figures, `commission` and `amount` (the order's value, None for a market order) come from our server
    only. The figures may be anything a server can write; the guard judges them.
    """

    equity: Claimed | None = None
    initial: Claimed | None = None
    maintenance: Claimed | None = None
    warn: str | None = None
    error: str | None = None
    commission: Claimed | None = None
    amount: Claimed | None = None
    equity_before: Claimed | None = None
    initial_before: Claimed | None = None
    maintenance_before: Claimed | None = None


class WhatIfOrder(Row):
    account_id: str
    order_request: OrderEcho | None = None
    whatif_result: WhatIfRow


class PlaceRow(Row):
    """The broker's receipt. No `order_id` means not confirmed: never done, never failed."""

    order_id: str | None = None
    local_order_id: str | None = None
    order_status: str | None = None
    encrypt_message: str | None = None
    error: str | None = None


class PlaceOrder(Row):
    account_id: str
    order_request: OrderEcho | None = None
    result: PlaceRow


class CancelRow(Row):
    order_id: str | None = None
    order_status: str | None = None
    msg: str | None = None
    error: str | None = None


class CancelOrder(Row):
    account_id: str
    order_id: str
    result: CancelRow
