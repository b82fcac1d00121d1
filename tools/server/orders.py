"""The order tools: what is in the books, what an order would do, and the two that move money.

An order whose outcome is unknown is answered as a receipt without an `order_id`, never as an error: an error means
that nothing happened.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from brokers.errors import OutcomeUnknown, Terminal
from brokers.protocol import OrderRequest
from portfolio.models import BrokerOrder, OrderStatus, Utc
from tools.rows.orders import (
    CancelOrder,
    CancelRow,
    Executions,
    LiveOrders,
    OrderEcho,
    OrderStatusResult,
    PlaceOrder,
    PlaceRow,
    WhatIfOrder,
)
from tools.server.base import BAD_REQUEST, BrokerTools, words
from tools.server.parameters import (
    AccountId,
    ClientOrderId,
    Conid,
    DayOnly,
    LimitPrice,
    MaybeClientOrderId,
    OrderSide,
    OrderType,
    Quantity,
    SkipWhatIf,
)
from tools.wire.orders import execution_row, order_row, status_word, whatif_row


class OrderTools(BrokerTools):
    """Tools about orders; `place_order` and `cancel_order` are the only ones of the server that act."""

    async def get_live_orders(self) -> LiveOrders:
        """Orders of all accounts that are still working. `orderRef` is the client order id."""
        rows = [
            order_row(order)
            for account in await self._broker.accounts()
            for order in await self._broker.open_orders(account.account_id)
        ]
        return LiveOrders(orders=rows, count=len(rows))

    async def get_order_status(self, client_order_id: ClientOrderId, account_id: AccountId = None) -> OrderStatusResult:
        """What became of the order sent under client_order_id; `order` is null if the broker never saw it."""
        account = await self._account(account_id)
        order = await self._broker.order_status(account, client_order_id)
        return OrderStatusResult(client_order_id=client_order_id, order=order_row(order) if order else None)

    async def get_executions(
        self,
        since: Annotated[Utc, Field(description="ISO 8601 time with its offset, such as 2026-01-05T14:30:00Z.")],
        account_id: AccountId = None,
    ) -> Executions:
        """Fills since a time, with price in USD a share and the commission of that fill in USD."""
        account = await self._account(account_id)
        rows = [execution_row(fill) for fill in await self._broker.executions(account, since)]
        return Executions(executions=rows, count=len(rows))

    async def whatif_order(
        self,
        conid: Conid,
        side: OrderSide,
        quantity: Quantity,
        order_type: OrderType = "MKT",
        price: LimitPrice = None,
        account_id: AccountId = None,
    ) -> WhatIfOrder:
        """Equity and margins after exactly this order, and its commission, in USD. Nothing is sent.

        `error` says why the broker would refuse it.
        """
        account = await self._account(account_id)
        order = _order(account, conid, side, quantity, order_type, price)
        answer = await self._broker.what_if(order)
        return WhatIfOrder(account_id=account, order_request=_echo(order), whatif_result=whatif_row(order, answer))

    async def place_order(
        self,
        conid: Conid,
        side: OrderSide,
        quantity: Quantity,
        order_type: OrderType = "MKT",
        price: LimitPrice = None,
        account_id: AccountId = None,
        skip_whatif: SkipWhatIf = False,  # noqa: FBT002 - the contract's own default
        client_order_id: MaybeClientOrderId = None,
        tif: DayOnly = "DAY",
    ) -> PlaceOrder:
        """SENDS AN ORDER for the day. The same client_order_id and order again sends nothing and returns the first.

        No `order_id` in the result means not confirmed: ask get_order_status. A refused order is Inactive with `error`.
        """
        account = await self._account(account_id)
        order = _order(account, conid, side, quantity, order_type, price, client_order_id=client_order_id, tif=tif)
        if not skip_whatif and not await self._is_known(order):
            await self._preview(order)
        try:
            receipt = _receipt(await self._broker.place(order))
        except OutcomeUnknown as error:
            unknown = status_word(OrderStatus.UNKNOWN)
            receipt = PlaceRow(local_order_id=client_order_id, order_status=unknown, error=words(error))
        return PlaceOrder(account_id=account, order_request=_echo(order), result=receipt)

    async def cancel_order(
        self,
        order_id: Annotated[str, Field(description="The broker's orderId.", min_length=1)],
        account_id: AccountId = None,
    ) -> CancelOrder:
        """CANCELS what is left of an order; one that is already done stays as it is.

        `order_status` is what became of it; Unknown means that the cancellation is not confirmed.
        """
        account = await self._account(account_id)
        try:
            order = await self._broker.cancel(account, order_id)
            result = CancelRow(order_id=order_id, order_status=status_word(order.status), msg=order.message)
        except OutcomeUnknown as error:
            result = CancelRow(order_status=status_word(OrderStatus.UNKNOWN), error=words(error))
        return CancelOrder(account_id=account, order_id=order_id, result=result)

    async def _is_known(self, order: OrderRequest) -> bool:
        """Whether the order was sent before, so that a what-if would count it twice."""
        if order.client_order_id is None:
            return False
        return await self._broker.order_status(order.account_id, order.client_order_id) is not None

    async def _preview(self, order: OrderRequest) -> None:
        answer = await self._broker.what_if(order)
        if answer.error:
            raise Terminal(f"{answer.error} (the broker's what-if; the order was not sent)")


def _order(
    account: str,
    conid: int,
    side: OrderSide,
    quantity: Decimal,
    order_type: OrderType,
    price: Decimal | None,
    *,
    client_order_id: str | None = None,
    tif: DayOnly = "DAY",
) -> OrderRequest:
    if (order_type == "LMT") != (price is not None):
        had = "no price" if price is None else f"a price of {price}"
        raise Terminal(
            f"{side} {quantity}: {order_type} with {had} was not sent; give LMT and a price.", code=BAD_REQUEST
        )
    return OrderRequest(
        account_id=account,
        conid=conid,
        side=side,
        quantity=quantity,
        order_type=order_type,
        limit_price=price,
        tif=tif,
        client_order_id=client_order_id,
    )


def _echo(order: OrderRequest) -> OrderEcho:
    return OrderEcho(
        conid=order.conid,
        side=order.side,
        quantity=order.quantity,
        order_type=order.order_type,
        price=order.limit_price,
    )


def _receipt(order: BrokerOrder) -> PlaceRow:
    return PlaceRow(
        order_id=order.order_id,
        local_order_id=order.client_order_id,
        order_status=status_word(order.status),
        error=order.message if order.status is OrderStatus.REJECTED else None,
    )
