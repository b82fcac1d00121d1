"""What is told of orders: to their owners as things happen, and to whoever asks."""

from __future__ import annotations

from datetime import UTC, datetime

from brokers.session import NEW_YORK
from tests.simulators.gateway import order_messages
from tests.simulators.gateway.accounts import Handler
from tests.simulators.gateway.connection import Client
from tests.simulators.gateway.desk import Desk
from tests.simulators.gateway.faults import Faults
from tests.simulators.gateway.login import Login
from tests.simulators.gateway.orders import Fill, Order
from tests.simulators.gateway.wire import Cursor

HELD = 399
REMARKS = frozenset({202, HELD, 10349})
"""Codes that are told behind the state of the order they are about, and not before it."""
NOBODY_ASKED = -1


class OrderNews:
    """Orders that ended, and executions, are those of the day."""

    def __init__(self, login: Login, faults: Faults, desk: Desk) -> None:
        self._login = login
        self._faults = faults
        self._desk = desk
        self.handlers: dict[int, Handler] = {
            5: self._open_orders,
            7: self._executions,
            15: self._auto_open_orders,
            16: self._all_open_orders,
            99: self._completed_orders,
        }

    def publish(self, order: Order, owner: Client | None) -> None:
        """Tell `owner` what is new of `order`; what nobody hears is not told again."""
        if order.is_quiet:
            return
        reports = [fill for fill in order.fills if not fill.is_commission_told and not self._faults.commission_late]
        if owner:
            self._tell_news(owner, order)
            for fill in reports:
                self._tell_commission(owner, fill)
        for fill in order.fills:
            fill.is_told = True
        for fill in reports:
            fill.is_commission_told = True
        order.words, order.told = [], (order.status, order.filled)

    def _tell_news(self, owner: Client, order: Order) -> None:
        """Refusals, executions, the order's state, and remarks, as the real Gateway orders them.

        A cancellation is told in the status alone, and of an order that is held there is word once more afterwards.
        """
        remarks = [one for one in order.words if one[0] in REMARKS]
        self._tell(owner, order, [one for one in order.words if one not in remarks])
        for fill in order.fills:
            if not fill.is_told:
                self._tell_execution(owner, NOBODY_ASKED, order, fill)
        if (order.status, order.filled) != order.told:
            if order.status != "Cancelled" or not order.told:
                owner.send(order_messages.open_order(owner.version, order))
            owner.send(order_messages.order_status(order))
        self._tell(owner, order, remarks)
        if any(code == HELD for code, _ in remarks):
            self._tell_state(owner, order)

    async def greet(self, client: Client) -> None:
        """A client is told of its working orders without asking, and before anything else."""
        if any(order.client_id == client.id for order in self._desk.working()):
            await self._open_orders(client, [])

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
        api_only = fields[1].lower() in ("1", "true")
        today = await self._midnight()
        for order in self._desk.orders:
            if order.ended_at and order.ended_at >= today and (order.order_id or not api_only):
                client.send(order_messages.completed_order(client.version, order))
        client.send([102])

    async def _executions(self, client: Client, fields: list[str]) -> None:
        given = Cursor(fields[2:])
        request, client_id, account, time = given.whole(), given.whole(), given.text(), given.text()
        symbol, _, _, side = (given.text() for _ in range(4))
        since = max(await self._midnight(), _moment(time)) if time else await self._midnight()
        for order in self._desk.orders:
            if (
                client_id in (0, order.client_id)
                and account in ("", order.account)
                and symbol in ("", order.symbol)
                and side in ("", order.side.value)
            ):
                self._tell_executions(client, request, order, since)
        client.send([55, 1, request])

    def _tell_executions(self, client: Client, request: int, order: Order, since: datetime) -> None:
        for fill in order.fills:
            if fill.execution.executed_at >= since:
                self._tell_execution(client, request, order, fill)
                if not self._faults.commission_late:
                    self._tell_commission(client, fill)

    async def _midnight(self) -> datetime:
        now = (await self._login.now()).astimezone(NEW_YORK)
        return now.replace(hour=0, minute=0, second=0, microsecond=0)

    def _tell_execution(self, client: Client, request: int, order: Order, fill: Fill) -> None:
        with_zone = not self._faults.times_without_zone
        client.send(order_messages.exec_details(client.version, request, order, fill, with_zone=with_zone))

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
