"""Requests to place, preview and cancel orders."""

from __future__ import annotations

import asyncio

from brokers.errors import Terminal
from portfolio.models import Contract, Side
from tests.simulators.gateway import order_messages
from tests.simulators.gateway.accounts import Handler
from tests.simulators.gateway.connection import Client
from tests.simulators.gateway.desk import Desk
from tests.simulators.gateway.faults import DropOnPlace, Faults, WhatIfFault
from tests.simulators.gateway.login import Login
from tests.simulators.gateway.market import MarketRequests
from tests.simulators.gateway.order_messages import Preview, preview_of
from tests.simulators.gateway.orders import Order, Ticket, read_ticket
from tests.simulators.gateway.telling import OrderNews

EMPTY = ("",) * 9
WARNING = "Your order is near the limit of what your account may hold."
NO_FUNDS = "Order rejected - reason:The account has no funds."
TIF_PRESET = "Order TIF was set to DAY based on order preset."


class OrderRequests:
    def __init__(self, login: Login, faults: Faults, desk: Desk, market: MarketRequests, news: OrderNews) -> None:
        self._news = news
        self._login = login
        self._faults = faults
        self._desk = desk
        self._market = market
        self._next_ids: dict[int, int] = {}
        self._least_id = 1
        self._acknowledging: set[asyncio.Task[None]] = set()
        self.handlers: dict[int, Handler] = {
            3: self._place,
            4: self._cancel,
            8: self._ids,
            58: self._global_cancel,
        }

    def next_id(self, client: Client) -> int:
        return max(self._next_ids.get(client.id or 0, 1), self._least_id)

    def use_id(self, client_id: int, order_id: int) -> None:
        """Let that client use that id and none below it again."""
        self._next_ids[client_id] = max(order_id + 1, self._next_ids.get(client_id, 1))

    def renumber(self) -> None:
        """Let order ids begin above all that were used."""
        self._least_id = max(self._least_id, *self._next_ids.values(), 1) + 1000

    async def close(self) -> None:
        for task in self._acknowledging:
            task.cancel()
        await asyncio.gather(*self._acknowledging, return_exceptions=True)

    # --- placing and cancelling ---

    async def _place(self, client: Client, fields: list[str]) -> None:
        ticket = read_ticket(fields, client.version)
        if self._faults.drop_on_place is DropOnPlace.LOST and not ticket.what_if:
            await self._drop(client)
            return
        self._check_permission()
        if self._faults.duplicate_ids or ticket.order_id < self.next_id(client):
            raise Terminal("Duplicate order id", code=103)
        self.use_id(client.id or 0, ticket.order_id)
        found = await self._market.listed(ticket.contract)
        order = self._order(ticket, found, client)
        if ticket.what_if:
            await self._what_if(client, order)
            return
        await self._enter(order)
        if self._faults.drop_on_place:
            await self._drop(client)
        if self._faults.tif_by_preset and not order.is_final:
            order.words.append((10349, TIF_PRESET))
        if self._faults.acknowledge_after:
            order.is_quiet = True
            acknowledging = asyncio.create_task(self._acknowledge(order, client))
            self._acknowledging.add(acknowledging)
            acknowledging.add_done_callback(self._acknowledging.discard)
        self._news.publish(order, client)

    async def _drop(self, client: Client) -> None:
        self._faults.drop_on_place = None
        await client.close()

    async def _enter(self, order: Order) -> None:
        if self._faults.reject_orders:
            await self._desk.refuse(order, "Order rejected - reason:Your account may not trade at present.")
        elif order.account != self._login.shown:
            await self._desk.refuse(order, NO_FUNDS)
        else:
            await self._desk.enter(order)

    async def _what_if(self, client: Client, order: Order) -> None:
        wrong = self._faults.what_if
        if wrong is WhatIfFault.HANGS:
            return
        if wrong is WhatIfFault.INVALID:
            words = "Error validating request.-'bN' : cause - The order cannot be previewed."
            raise Terminal(words, code=321)
        if order.account != self._login.shown:
            raise Terminal(NO_FUNDS, code=201)
        answer = await self._desk.what_if(order)
        if answer.error:
            raise Terminal(answer.error.partition(": ")[2], code=201)
        told = preview_of(answer)
        if wrong is WhatIfFault.EMPTY:
            told = Preview(EMPTY, told.commission, told.warning)
        if wrong is WhatIfFault.TWICE:
            first = Preview(warning=told.warning or WARNING)
            client.send(order_messages.open_order(client.version, order, first))
            told = Preview(told.margins, told.commission, "")
        client.send(order_messages.open_order(client.version, order, told))

    def _order(self, ticket: Ticket, found: Contract, client: Client) -> Order:
        """The order of a ticket that could be one.

        Raises:
            Terminal: it could not.
        """
        quantity, limit = ticket.quantity, ticket.limit
        if not ticket.account and self._login.others:
            raise Terminal("You must specify an account.", code=435)
        if ticket.account and ticket.account not in self._login.accounts:
            words = f"Error validating request.-'bE' : cause - Invalid account code '{ticket.account}'."
            raise Terminal(words, code=321)
        if ticket.action not in ("BUY", "SELL"):
            raise Terminal(f"Invalid order action: {ticket.action}.", code=321)
        if not quantity:
            raise Terminal("The order size cannot be zero.", code=434)
        if quantity != quantity.to_integral_value():
            raise Terminal("Fractional-sized order cannot be placed via API.", code=10243)
        if ticket.order_type not in ("LMT", "MKT") or ticket.tif not in ("", "DAY"):
            raise Terminal("Unsupported order type for this exchange and security type.", code=387)
        if ticket.order_type == "LMT" and limit is not None and limit % found.min_tick:
            words = "The price does not conform to the minimum price variation for this contract."
            raise Terminal(words, code=110)
        order = self._desk.draft(
            found.conid,
            found.symbol,
            Side(ticket.action),
            quantity,
            ticket.order_type,
            limit if ticket.order_type == "LMT" else None,
            client_id=client.id or 0,
            order_id=ticket.order_id,
            order_ref=ticket.order_ref,
        )
        order.account = ticket.account or self._login.shown
        return order

    def _check_permission(self) -> None:
        if self._faults.read_only:
            words = "Error validating request.-'bN' : cause - The API interface is currently in Read-Only mode."
            raise Terminal(words, code=321)

    async def _cancel(self, client: Client, fields: list[str]) -> None:
        number = int(fields[2])
        self._check_permission()
        order = self._desk.find(client.id or 0, number)
        if order is None:
            raise Terminal(f"OrderId {number} that needs to be cancelled is not found.", code=10147)
        if order.is_final:
            words = f"OrderId {number} that needs to be cancelled cannot be cancelled, state: {order.status}."
            raise Terminal(words, code=10148)
        await self._desk.cancel(order)

    async def _global_cancel(self, _client: Client, _fields: list[str]) -> None:
        for order in self._desk.working():
            await self._desk.cancel(order)

    async def _acknowledge(self, order: Order, client: Client) -> None:
        await asyncio.sleep(self._faults.acknowledge_after)
        order.is_quiet = False
        self._news.publish(order, client)

    async def _ids(self, client: Client, _fields: list[str]) -> None:
        client.send([9, 1, self.next_id(client)])
