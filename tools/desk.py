"""The only way to the order tools. It takes nothing but an `ApprovedOrder`, which only the guard makes, and each once.

The permission is burned before the request leaves, whatever comes of the attempt.

What may have happened is told by the error's type. `Terminal` and `Unreachable` are raised only for what is known
before the request leaves: no such tool, parameters it does not take, a connection already lost. Every failure after
that is `OutcomeUnknown`, also a plain error of the server, which may have failed after its broker took the order, and a
receipt that confirms nothing or is of another order; then the books are asked.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from brokers.errors import BrokerError, OutcomeUnknown
from portfolio.models import ApprovedOrder, OrderStatus
from tools.account import order_arguments, other_than
from tools.answers import ask
from tools.client import Tools
from tools.contract import Tool
from tools.rows.orders import CancelOrder, CancelRow, PlaceOrder, PlaceRow
from tools.wire.foreign_text import readable
from tools.wire.orders import status_word


class Permits(Protocol):
    """Where permissions to send are kept; the journal of orders is one."""

    def burn(self, approved: ApprovedOrder, now: datetime) -> None:
        """Use up the permission, durably, or raise if it is not one that holds."""
        ...


class OrderDesk:
    """The ordering half of a broker's tools. `clock` gives the time in UTC that permissions are held against."""

    def __init__(self, tools: Tools, permits: Permits, clock: Callable[[], datetime]) -> None:
        self._tools = tools
        self._permits = permits
        self._clock = clock

    async def place(self, approved: ApprovedOrder) -> PlaceRow:
        """Burn the permission and send the order; the receipt may carry a refusal in `error`.

        What `burn` raises comes through: then nothing was sent.

        Raises:
            Terminal: the order cannot be sent here; nothing was sent.
            Unreachable: the connection was lost before; nothing was sent.
            OutcomeUnknown: the order may have been placed, or another in its place.
        """
        order = approved.terms
        arguments = order_arguments(order)
        ours = {"client_order_id": order.client_order_id, "tif": "DAY"}
        arguments |= {name: value for name, value in ours.items() if self._tools.takes(Tool.PLACE_ORDER, name)}
        self._tools.check(Tool.PLACE_ORDER, arguments)
        self._permits.burn(approved, self._clock())
        try:
            receipt, echo = await ask(
                self._tools,
                Tool.PLACE_ORDER,
                PlaceOrder,
                lambda got: (readable(got.result), got.order_request),
                **arguments,
            )
        except BrokerError as error:
            raise OutcomeUnknown(f"{order.symbol}: the order may have been placed ({error})") from error
        if (other := other_than(order, echo)) is not None:
            raise OutcomeUnknown(f"{order.symbol}: the order may have been placed (its receipt is of another: {other})")
        if not receipt.order_id or receipt.order_status == status_word(OrderStatus.UNKNOWN):
            said = receipt.error or f"the broker's receipt has order id {receipt.order_id or 'none'}"
            raise OutcomeUnknown(f"{order.symbol}: the order may have been placed ({said})")
        return receipt

    async def cancel(self, account_id: str, order_id: str) -> CancelRow:
        """Ask the broker to cancel what is left of an order; whether it did, its books tell.

        Raises:
            BrokerError: the server answered with an error, or not at all; the order may be cancelled or not.
        """
        return await ask(
            self._tools,
            Tool.CANCEL_ORDER,
            CancelOrder,
            lambda got: readable(got.result),
            order_id=order_id,
            account_id=account_id,
        )
