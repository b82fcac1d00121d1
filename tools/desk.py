"""The only way to the order tools. It takes nothing but an `ApprovedOrder`, which only the guard makes.

A failure after the request has left is never read as "not placed": it raises `OutcomeUnknown`, and the books are asked.
"""

from __future__ import annotations

from brokers.errors import BrokerError, OutcomeUnknown, Unreachable
from portfolio.models import ApprovedOrder
from tools.account import ask, order_arguments
from tools.client import ToolSet
from tools.contract import Tool
from tools.rows.orders import CancelOrder, CancelRow, PlaceOrder, PlaceRow


class OrderDesk:
    """The ordering half of a broker's tools."""

    def __init__(self, tools: ToolSet) -> None:
        self._tools = tools

    async def place(self, order: ApprovedOrder) -> PlaceRow:
        """Send the order, once; the receipt may carry a refusal in `error`.

        Raises:
            OutcomeUnknown: the order may have been placed.
            Unreachable: there is no order tool; nothing was sent.
        """
        if Tool.PLACE_ORDER not in self._tools:
            raise Unreachable(f"{order.symbol}: the MCP server has no place_order tool; nothing was sent.")
        try:
            return await ask(
                self._tools,
                Tool.PLACE_ORDER,
                PlaceOrder,
                lambda got: got.result,
                client_order_id=order.client_order_id,
                tif="DAY",
                **order_arguments(order),
            )
        except BrokerError as error:
            raise OutcomeUnknown(f"{order.symbol}: the order may have been placed ({error})") from error

    async def cancel(self, account_id: str, order_id: str) -> CancelRow:
        """Ask the broker to cancel what is left of an order; whether it did, its books tell."""
        return await ask(
            self._tools,
            Tool.CANCEL_ORDER,
            CancelOrder,
            lambda got: got.result,
            order_id=order_id,
            account_id=account_id,
        )
