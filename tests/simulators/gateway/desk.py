"""The Gateway's own books of orders, kept in step with the broker behind it.

Every order gets a permId and reaches the broker under an id made of that: an `orderRef` is stored and echoed and means
nothing, so that two orders with one reference are two orders. What the broker has that was not sent through here is
taken for an order by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time
from decimal import Decimal
from itertools import count
from secrets import randbelow

from brokers.protocol import OrderRequest
from brokers.session import NEW_YORK
from portfolio.models import BrokerOrder, Execution, OrderStatus, Side, WhatIf
from tests.simulators.gateway.faults import Faults
from tests.simulators.gateway.login import Login
from tests.simulators.gateway.order_messages import TAKEN_OFF, average
from tests.simulators.gateway.orders import ZERO, Fill, Order

CANCELLED, REJECTED, WARNING = 202, 201, 399


class Desk:
    """Orders of the account that has books."""

    def __init__(self, login: Login, faults: Faults) -> None:
        self.orders: list[Order] = []
        self._login = login
        self._broker = login.broker
        self._faults = faults
        self._perm_ids = count(1_000_000_000 + randbelow(900_000_000))
        self._owners: dict[str, Order] = {}
        self._seen: set[str] = set()

    def draft(
        self,
        conid: int,
        symbol: str,
        side: Side,
        quantity: Decimal,
        order_type: str,
        limit: Decimal | None,
        *,
        client_id: int = 0,
        order_id: int = 0,
        order_ref: str = "",
    ) -> Order:
        """An order that is in no books yet; without an order id it is one by hand."""
        return Order(
            perm_id=next(self._perm_ids),
            order_id=order_id,
            client_id=client_id,
            account=self._login.shown,
            conid=conid,
            symbol=symbol,
            side=side,
            quantity=quantity,
            order_type=order_type,
            limit=limit,
            order_ref=order_ref,
        )

    async def what_if(self, order: Order) -> WhatIf:
        return await self._broker.what_if(self._request(order, order.quantity, None))

    async def enter(self, order: Order) -> None:
        """Take `order` into the books, where it is working or has been refused.

        Raises:
            Terminal: the broker takes it for no order at all, and it is not in the books.
        """
        is_whole = not self._faults.fill_at_most and not self._faults.hold_orders
        refusal = None if is_whole else (await self.what_if(order)).error
        if refusal:
            await self.refuse(order, refusal)
            return
        if self._faults.hold_orders:
            order.status = "PreSubmitted"
            order.words.append((WARNING, _not_yet(order)))
        else:
            await self._pass_on(order)
        self.orders.append(order)

    async def refuse(self, order: Order, words: str) -> None:
        """Keep `order` as one that never worked."""
        await self._end(order, "Inactive", words)
        if order not in self.orders:
            self.orders.append(order)

    async def cancel(self, order: Order) -> None:
        if order.parts and not order.is_final:
            await self._broker.cancel(self._login.account, order.parts[-1].order_id)
        await self._see()
        if not order.is_final:
            await self._end(order, "Cancelled", TAKEN_OFF)

    async def look(self) -> bool:
        """Let working orders go on and see what became of them; whether anything was executed."""
        for order in self.working():
            if not self._faults.hold_orders and order.filled == order.passed_on < order.quantity:
                await self._pass_on(order)
        return await self._see()

    def working(self) -> list[Order]:
        return [order for order in self.orders if not order.is_final]

    def find(self, client_id: int, order_id: int) -> Order | None:
        mine = [order for order in self.orders if (order.client_id, order.order_id) == (client_id, order_id)]
        return mine[-1] if mine else None

    async def _see(self) -> bool:
        found = await self._broker.open_orders(self._login.account)
        for one in found:
            self._owner(one)
        is_open = {one.order_id for one in found}
        executed = await self._enter_executions()
        for order in self.working():
            await self._settle(order, is_open)
        return executed

    async def _pass_on(self, order: Order) -> None:
        """Give the broker what is left of `order`, or as much of it as may fill at a look."""
        rest = order.quantity - order.passed_on
        quantity = min(rest, Decimal(self._faults.fill_at_most or rest))
        request = self._request(order, quantity, f"{order.perm_id}.{len(order.parts) + 1}")
        placed = await self._broker.place(request)
        order.parts.append(placed)
        self._owners[placed.order_id] = order
        if placed.status is OrderStatus.REJECTED:
            await self._end(order, "Cancelled" if order.fills else "Inactive", placed.message or "rejected")
        elif placed.message:
            order.status = "PreSubmitted"
            order.words.append(_coded(placed.message, WARNING))
        else:
            order.status = "Submitted"

    async def _settle(self, order: Order, is_open: set[str]) -> None:
        if order.filled >= order.quantity:
            await self._end(order, "Filled", "")
        elif order.parts and order.parts[-1].order_id not in is_open and order.filled < order.passed_on:
            name = order.parts[-1].client_order_id
            found = await self._broker.order_status(self._login.account, name) if name else None
            await self._end(order, "Cancelled", (found and found.message) or TAKEN_OFF)
        elif order.fills:
            order.status = "Submitted"

    async def _end(self, order: Order, status: str, reason: str) -> None:
        order.status, order.ended_at = status, await self._login.now()
        if reason:
            code, order.reason = _coded(reason, CANCELLED if status == "Cancelled" else REJECTED)
            order.words.append((code, order.reason))

    def _owner(self, found: BrokerOrder) -> Order:
        """The order that the broker's `found` is part of."""
        if found.order_id not in self._owners:
            order = self.draft(
                found.conid, found.symbol, found.side, found.quantity, found.order_type, found.limit_price
            )
            order.parts.append(found)
            self.orders.append(order)
            self._owners[found.order_id] = order
        return self._owners[found.order_id]

    async def _enter_executions(self) -> bool:
        day = (await self._login.now()).astimezone(NEW_YORK).date()
        since = datetime.combine(day, time(), NEW_YORK)
        done = await self._broker.executions(self._login.account, since)
        new = [one for one in done if one.execution_id not in self._seen]
        for one in new:
            self._seen.add(one.execution_id)
            order = self._owners.get(one.order_id) or self._owner(_order_of(one, done))
            filled = order.filled + one.quantity
            paid = order.filled * order.average_price + one.quantity * one.price
            exec_id = f"0000e0d5.{order.perm_id:08x}.{len(order.fills) + 1:02d}.01"
            order.fills.append(Fill(one, exec_id, filled, average(paid, filled)))
        return bool(new)

    def _request(self, order: Order, quantity: Decimal, name: str | None) -> OrderRequest:
        return OrderRequest.model_validate(
            {
                "account_id": self._login.account,
                "conid": order.conid,
                "side": order.side,
                "quantity": quantity,
                "order_type": order.order_type,
                "limit_price": order.limit,
                "client_order_id": name,
            }
        )


def _not_yet(order: Order) -> str:
    return (
        f"Order Message:\n{order.side} {order.quantity} {order.symbol}\nWarning: Your order will not be placed at the "
        "exchange until the next session opens."
    )


def _order_of(one: Execution, done: Sequence[Execution]) -> BrokerOrder:
    """The order that was executed, as far as its executions tell."""
    return BrokerOrder(
        order_id=one.order_id,
        client_order_id=one.client_order_id,
        account_id=one.account_id,
        conid=one.conid,
        symbol=one.symbol,
        side=one.side,
        quantity=sum((other.quantity for other in done if other.order_id == one.order_id), ZERO),
        order_type="MKT",
        limit_price=None,
        status=OrderStatus.FILLED,
    )


def _coded(words: str, usual: int) -> tuple[int, str]:
    """The code that IB's `words` begin with, or the usual one, and the words without it."""
    code, colon, rest = words.partition(": ")
    return (int(code), rest) if colon and code.isdigit() else (usual, words)
