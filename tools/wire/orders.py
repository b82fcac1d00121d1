"""Orders, their status words, executions and what-ifs, to and from their rows.

IB has no words for a partial fill and a refusal: the filled quantity tells a partial fill from a fresh order, and
"Inactive" with nothing filled is a refusal.
"""

from __future__ import annotations

from decimal import Decimal

from brokers.protocol import OrderRequest
from portfolio.models import BrokerOrder, Execution, OrderStatus, WhatIf
from tools.rows.orders import ExecutionRow, OrderRow, WhatIfRow
from tools.wire.foreign_text import readable

WORDS = {
    OrderStatus.SUBMITTED: "Submitted",
    OrderStatus.PARTIAL: "Submitted",
    OrderStatus.FILLED: "Filled",
    OrderStatus.CANCELLED: "Cancelled",
    OrderStatus.REJECTED: "Inactive",
    OrderStatus.UNKNOWN: "Unknown",
}
WORKING_WORDS = frozenset({"ApiPending", "PendingSubmit", "PreSubmitted", "Submitted", "PendingCancel"})
CANCELLED_WORDS = frozenset({"ApiCancelled", "Cancelled"})
ORDER_TYPES = {"LMT": "LMT", "LIMIT": "LMT", "MKT": "MKT", "MARKET": "MKT"}


def status_word(status: OrderStatus) -> str:
    """IB's word for `status`; IB tells a partial fill from a fresh order by the filled quantity alone."""
    return WORDS[status]


def read_status(word: str | None, filled: Decimal | None) -> OrderStatus:
    """What IB's `word` means for an order of which `filled` shares are done. A word nobody knows is UNKNOWN."""
    done = filled is not None and filled > 0
    if word in WORKING_WORDS:
        return OrderStatus.PARTIAL if done else OrderStatus.SUBMITTED
    if word == "Filled":
        return OrderStatus.FILLED
    if word in CANCELLED_WORDS:
        return OrderStatus.CANCELLED
    if word == "Inactive":
        # IB stops an order so when it refuses it; what filled before then makes it a cancellation of the rest.
        return OrderStatus.CANCELLED if done else OrderStatus.REJECTED
    return OrderStatus.UNKNOWN


def order_row(order: BrokerOrder) -> OrderRow:
    return OrderRow(
        orderId=order.order_id,
        conid=order.conid,
        symbol=order.symbol,
        side=order.side,
        orderType=order.order_type,
        quantity=order.quantity,
        price=order.limit_price,
        status=status_word(order.status),
        filled=order.filled_quantity,
        remaining=order.quantity - order.filled_quantity,
        avgPrice=order.average_price,
        orderRef=order.client_order_id,
        timeInForce="DAY",
        account=order.account_id,
        commission=order.commission,
        message=order.message,
        submitted_at=order.submitted_at,
    )


def read_order(row: OrderRow) -> BrokerOrder:
    """The order in the broker's books, of whatever type."""
    row = readable(row)
    filled = row.filled or Decimal(0)
    kind = row.orderType or ""
    return BrokerOrder(
        order_id=row.orderId,
        client_order_id=row.orderRef,
        account_id=row.account,
        conid=row.conid,
        symbol=row.symbol,
        side=row.side,
        quantity=row.quantity,
        order_type=ORDER_TYPES.get(kind.upper(), kind),
        limit_price=row.price,
        status=read_status(row.status, filled),
        filled_quantity=filled,
        average_price=row.avgPrice,
        commission=row.commission,
        submitted_at=row.submitted_at,
        message=row.message,
    )


def execution_row(fill: Execution) -> ExecutionRow:
    return ExecutionRow(
        execution_id=fill.execution_id,
        orderId=fill.order_id,
        orderRef=fill.client_order_id,
        conid=fill.conid,
        symbol=fill.symbol,
        side=fill.side,
        quantity=fill.quantity,
        price=fill.price,
        commission=fill.commission,
        time=fill.executed_at,
        account=fill.account_id,
    )


def read_execution(row: ExecutionRow) -> Execution:
    row = readable(row)
    return Execution(
        execution_id=row.execution_id,
        order_id=row.orderId,
        client_order_id=row.orderRef,
        account_id=row.account,
        conid=row.conid,
        symbol=row.symbol,
        side=row.side,
        quantity=row.quantity,
        price=row.price,
        commission=row.commission,
        executed_at=row.time,
    )


def whatif_row(order: OrderRequest, answer: WhatIf) -> WhatIfRow:
    return WhatIfRow(
        equity=answer.equity_after,
        initial=answer.initial_margin_after,
        maintenance=answer.maintenance_margin_after,
        warn=answer.warning,
        error=answer.error,
        commission=answer.commission,
        amount=None if order.limit_price is None else order.limit_price * order.quantity,
        equity_before=answer.equity_before,
        initial_before=answer.initial_margin_before,
        maintenance_before=answer.maintenance_margin_before,
    )


def read_whatif(row: WhatIfRow) -> WhatIf:
    """The figures as the server gives them; whether they are plausible is for the guard to say."""
    row = readable(row)
    return WhatIf(
        initial_margin_before=row.initial_before,
        initial_margin_after=row.initial,
        maintenance_margin_before=row.maintenance_before,
        maintenance_margin_after=row.maintenance,
        equity_before=row.equity_before,
        equity_after=row.equity,
        commission=row.commission,
        warning=row.warn,
        error=row.error,
    )
