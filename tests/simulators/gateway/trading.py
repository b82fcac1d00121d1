"""Requests about orders."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from brokers.errors import Terminal
from brokers.session import NEW_YORK
from portfolio.models import Contract, Side
from tests.simulators.gateway import order_messages
from tests.simulators.gateway.accounts import Handler
from tests.simulators.gateway.connection import Client
from tests.simulators.gateway.desk import Desk
from tests.simulators.gateway.faults import DropOnPlace, Faults, WhatIfFault
from tests.simulators.gateway.login import Login
from tests.simulators.gateway.market import MarketRequests
from tests.simulators.gateway.order_messages import Preview, preview_of
from tests.simulators.gateway.orders import Fill, Order, Ticket, read_ticket
from tests.simulators.gateway.wire import Cursor

REMARKS = frozenset({399, 10349})
"""Codes that are told behind the state of the order they are about, and not before it."""
EMPTY = ("",) * 9
NOBODY_ASKED = -1
WARNING = "Your order is near the limit of what your account may hold."
NO_FUNDS = "Order rejected - reason:The account has no funds."
TIF_PRESET = "Order TIF was set to DAY based on order preset."


class OrderRequests:
    def __init__(self, login: Login, faults: Faults, desk: Desk, market: MarketRequests) -> None:
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
            5: self._open_orders,
            7: self._executions,
            8: self._ids,
            15: self._auto_open_orders,
            16: self._all_open_orders,
            58: self._global_cancel,
            99: self._completed_orders,
        }

    def next_id(self, client: Client) -> int:
        return max(self._next_ids.get(client.id or 0, 1), self._least_id)

    def use_id(self, client_id: int, order_id: int) -> None:
        """Let that client use that id and none below it again."""
        self._next_ids[client_id] = max(order_id + 1, self._next_ids.get(client_id, 1))

    def renumber(self) -> None:
        """Let order ids begin above all that were used."""
        self._least_id = max(self._least_id, *self._next_ids.values(), 1) + 1000

    def publish(self, order: Order, owner: Client | None) -> None:
        """Tell `owner` what is new of `order`; what nobody hears is not told again."""
        if order.is_quiet:
            return
        words, order.words = order.words, []
        state = (order.status, order.filled)
        rows = [
            order_messages.exec_details(owner.version if owner else 0, NOBODY_ASKED, order, fill, "SMART")
            for fill in order.fills
            if not fill.is_told
        ]
        reports = [fill for fill in order.fills if not fill.is_commission_told and not self._faults.commission_late]
        if owner:
            self._tell(owner, order, [one for one in words if one[0] not in REMARKS])
            owner.send_all(rows)
            if state != order.told:
                self._tell_state(owner, order)
            self._tell(owner, order, [one for one in words if one[0] in REMARKS])
            for fill in reports:
                self._tell_commission(owner, fill)
        for fill in order.fills:
            fill.is_told = True
        for fill in reports:
            fill.is_commission_told = True
        order.told = state

    async def close(self) -> None:
        for task in self._acknowledging:
            task.cancel()
        await asyncio.gather(*self._acknowledging, return_exceptions=True)

    # --- placing and cancelling ---

    async def _place(self, client: Client, fields: list[str]) -> None:
        ticket = read_ticket(fields, client.version)
        self._check_permission()
        if self._faults.duplicate_ids or ticket.order_id < self.next_id(client):
            raise Terminal("Duplicate order id", code=103)
        self.use_id(client.id or 0, ticket.order_id)
        found = await self._market.listed(ticket.contract)
        order = self._order(ticket, found, client)
        if ticket.what_if:
            await self._what_if(client, order)
            return
        drop, self._faults.drop_on_place = self._faults.drop_on_place, None
        if drop is not DropOnPlace.LOST:
            await self._enter(order)
        if drop:
            await client.close()
        if self._faults.tif_by_preset and not order.is_final:
            order.words.append((10349, TIF_PRESET))
        if self._faults.acknowledge_after:
            order.is_quiet = True
            acknowledging = asyncio.create_task(self._acknowledge(order, client))
            self._acknowledging.add(acknowledging)
            acknowledging.add_done_callback(self._acknowledging.discard)
        self.publish(order, client)

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
        self.publish(order, client)

    # --- telling of them ---

    async def _ids(self, client: Client, _fields: list[str]) -> None:
        client.send([9, 1, self.next_id(client)])

    async def _auto_open_orders(self, client: Client, fields: list[str]) -> None:
        client.wants_orders_by_hand = fields[2] == "1"

    async def _open_orders(self, client: Client, _fields: list[str]) -> None:
        for order in self._desk.working():
            if order.client_id == client.id:
                self._tell_state(client, order)
        client.send([53, 1])

    async def _all_open_orders(self, client: Client, _fields: list[str]) -> None:
        for order in self._desk.working():
            self._tell_state(client, order)
        client.send([53, 1])

    async def _completed_orders(self, client: Client, fields: list[str]) -> None:
        api_only = fields[1] in ("1", "True", "true")
        for order in self._desk.orders:
            if order.is_final and (order.order_id or not api_only):
                client.send(order_messages.completed_order(client.version, order))
        client.send([102])

    async def _executions(self, client: Client, fields: list[str]) -> None:
        given = Cursor(fields[2:])
        request, client_id, account, since = given.whole(), given.whole(), given.text(), given.text()
        symbol, _, _, side = (given.text() for _ in range(4))
        for order in self._desk.orders:
            if (
                client_id in (0, order.client_id)
                and account in ("", order.account)
                and symbol in ("", order.symbol)
                and side in ("", order.side.value)
            ):
                for fill in order.fills:
                    if not since or fill.execution.executed_at >= _moment(since):
                        row = order_messages.exec_details(client.version, request, order, fill, "SMART")
                        client.send(row)
                        if not self._faults.commission_late:
                            self._tell_commission(client, fill)
        client.send([55, 1, request])

    def _tell_state(self, client: Client, order: Order) -> None:
        client.send(order_messages.open_order(client.version, order))
        client.send(order_messages.order_status(order))

    def _tell_commission(self, client: Client, fill: Fill) -> None:
        client.send(order_messages.commission_report(fill, is_known=not self._faults.commission_unknown))

    @staticmethod
    def _tell(client: Client, order: Order, words: list[tuple[int, str]]) -> None:
        for code, text in words:
            client.error(order.order_id, code, text)


def _moment(text: str) -> datetime:
    """A time as clients write it: in New York, or behind a dash in UTC."""
    moment = datetime.strptime(f"{text[:8]} {text[8:].lstrip(' -')[:8]}", "%Y%m%d %H:%M:%S")  # noqa: DTZ007
    return moment.replace(tzinfo=UTC if text[8:9] == "-" else NEW_YORK)
