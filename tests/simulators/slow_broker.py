"""A broker whose orders rest for a while before they go to the market."""

from __future__ import annotations

from brokers.protocol import Broker, OrderRequest
from portfolio.models import BrokerOrder, OrderStatus, Position
from tests.simulators.delegating_broker import DelegatingBroker

NEVER = 1_000_000


class SlowBroker(DelegatingBroker):
    """Each order rests until the account's positions have been looked at `looks` times, then trades at once.

    What rests is gone when the broker is closed.
    """

    def __init__(self, inner: Broker, looks: int = NEVER) -> None:
        super().__init__(inner)
        self._looks = looks
        self._resting: dict[str, tuple[int, OrderRequest]] = {}
        self._cancelled: dict[str, BrokerOrder] = {}
        self._number = 0

    async def place(self, order: OrderRequest) -> BrokerOrder:
        self._number += 1
        order_id = f"slow-{self._number}"
        self._resting[order_id] = (self._looks, order)
        return await self._shown(order_id, order)

    async def positions(self, account_id: str) -> list[Position]:
        for order_id, (looks, order) in list(self._resting.items()):
            self._resting[order_id] = (looks - 1, order)
            if looks <= 1:
                del self._resting[order_id]
                await self.inner.place(order)
        return await super().positions(account_id)

    async def open_orders(self, account_id: str) -> list[BrokerOrder]:
        resting = [await self._shown(order_id, order) for order_id, (_, order) in self._resting.items()]
        return [*await super().open_orders(account_id), *resting]

    async def cancel(self, account_id: str, order_id: str) -> BrokerOrder:
        if order_id not in self._resting:
            return await super().cancel(account_id, order_id)
        _, order = self._resting.pop(order_id)
        over = (await self._shown(order_id, order)).model_copy(update={"status": OrderStatus.CANCELLED})
        self._cancelled[order_id] = over
        return over

    async def order_status(self, account_id: str, client_order_id: str) -> BrokerOrder | None:
        for order_id, (_, order) in self._resting.items():
            if order.client_order_id == client_order_id:
                return await self._shown(order_id, order)
        over = (order for order in self._cancelled.values() if order.client_order_id == client_order_id)
        return next(over, None) or await super().order_status(account_id, client_order_id)

    async def _shown(self, order_id: str, order: OrderRequest) -> BrokerOrder:
        (quote,) = await self.inner.quotes([order.conid])
        return BrokerOrder(
            order_id=order_id,
            client_order_id=order.client_order_id,
            account_id=order.account_id,
            conid=order.conid,
            symbol=quote.symbol,
            side=order.side,
            quantity=order.quantity,
            order_type=order.order_type,
            limit_price=order.limit_price,
            status=OrderStatus.SUBMITTED,
        )
