"""The Gateway itself: a TCP server on the loopback interface that speaks the TWS API over the simulated broker.

It looks at the broker on every request, on `tick` and on a slow beat, and tells connected clients what has changed.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Self

from brokers.errors import BrokerError
from brokers.protocol import Broker
from portfolio.models import Position, Side
from tests.simulators.gateway.accounts import AccountRequests, Handler
from tests.simulators.gateway.connection import NO_REQUEST, Client, Request
from tests.simulators.gateway.desk import Desk
from tests.simulators.gateway.faults import Faults, NotLoggedIn
from tests.simulators.gateway.login import Login
from tests.simulators.gateway.market import MarketRequests
from tests.simulators.gateway.order_messages import clock
from tests.simulators.gateway.orders import Order
from tests.simulators.gateway.placing import OrderRequests
from tests.simulators.gateway.telling import OrderNews
from tests.simulators.gateway.wire import GREETING, Cursor, read_frame, split

LEAST_VERSION, MOST_VERSION = 157, 178
LOOPBACK = "127.0.0.1"
BEAT_SECONDS = 0.5
START_API = 71
VERSIONS = re.compile(rb"v(\d+)\.\.(\d+)")
ID_AT = {1: 2, 2: 2, 3: 1, 4: 2, 7: 2, 9: 2, 20: 1, 22: 1, 23: 2, 62: 2, 76: 2, 92: 1, 94: 1}
"""Where in a request its id is, for errors about it."""
ID_IN_USE = "Unable to connect as the client id is already in use. Retry with a unique client id."
ANNOUNCEMENTS = {
    1100: "Connectivity between IBKR and Trader Workstation has been lost.",
    1101: "Connectivity between IBKR and Trader Workstation has been restored - data lost.",
    1102: "Connectivity between IBKR and Trader Workstation has been restored - data maintained.",
    2103: "Market data farm connection is broken:usfarm",
    2104: "Market data farm connection is OK:usfarm",
    2105: "HMDS data farm connection is broken:ushmds",
    2106: "HMDS data farm connection is OK:ushmds",
    2110: "Connectivity between Trader Workstation and server is broken. It will be restored automatically.",
    2158: "Sec-def data farm connection is OK:secdefil",
}
AT_CONNECT = (2104, 2106, 2158)


class Gateway:
    """A login at IB Gateway; `faults` may be changed while it runs, and `requests` are the messages that came.

    Args:
        login: who is logged in, and the broker behind.
        version: the newest server version it speaks.
        port: where it listens, 0 for any.
        beat: seconds between two looks of its own at the broker, 0 for none.
    """

    def __init__(self, login: Login, version: int = MOST_VERSION, port: int = 0, beat: float = BEAT_SECONDS) -> None:
        self.faults = Faults()
        self.requests: list[Request] = []
        self.port = port
        self._version = version
        self._beat = beat
        self._login = login
        self._desk = Desk(login, self.faults)
        self._accounts = AccountRequests(login)
        self._market = MarketRequests(login, self.faults)
        self._news = OrderNews(login, self.faults, self._desk)
        self._orders = OrderRequests(login, self.faults, self._desk, self._market, self._news)
        self._handlers: dict[int, Handler] = {
            **self._accounts.handlers,
            **self._market.handlers,
            **self._orders.handlers,
            **self._news.handlers,
        }
        self._clients: set[Client] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._beating: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        with socket.create_server((LOOPBACK, self.port)) as listening:
            self.port = listening.getsockname()[1]
            self._server = await asyncio.start_server(self._serve, sock=listening.dup())
        self._beating = asyncio.create_task(self._beat_on()) if self._beat else None
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._beating:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        await self._orders.close()
        await self._stop_listening()
        await self.drop()

    @property
    def account(self) -> str:
        """The account with books, as clients see it."""
        return self._login.shown

    # --- what a test does to it ---

    def orders(self) -> list[Order]:
        """Every order of the books, also those that were refused."""
        return self._desk.orders

    async def positions(self) -> list[Position]:
        """What the broker holds."""
        return await self._login.broker.positions(self._login.account)

    async def tick(self) -> None:
        """Look at the broker, let time pass for working orders, and tell clients what is new."""
        await self._look()
        for client in self._ready():
            await self._market.push(client)

    def announce(self, code: int, words: str | None = None) -> None:
        """Tell every client something that is about no request of its own, such as 1100."""
        said = words or ANNOUNCEMENTS[code]
        for client in self._ready():
            client.error(NO_REQUEST, code, said)

    async def drop(self) -> None:
        """Close every connection."""
        for client in [*self._clients]:
            await client.close()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def restart(self, down_for: float = 0.1, *, renumber: bool = True) -> None:
        """Go away for that many seconds and come back with books and orders.

        Order ids then begin far above the old ones, or with `renumber` off behind the last one that was seen, so that
        a client meets ids again that it gave to orders which got lost.
        """
        await self._stop_listening()
        await self.drop()
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((LOOPBACK, self.port))  # not listening yet: connections are refused, and the port stays ours
        await asyncio.sleep(down_for)
        if renumber:
            self._orders.renumber()
        self._server = await asyncio.start_server(self._serve, sock=listening)

    async def by_hand(
        self,
        symbol: str,
        side: Side,
        quantity: int,
        limit: Decimal | None = None,
        *,
        client_id: int = 0,
        order_id: int = 0,
        order_ref: str = "",
    ) -> Order:
        """Place an order in TWS itself, or with the ids given as another client."""
        found = await self._login.broker.find_contract(symbol)
        order = self._desk.draft(
            found.conid,
            symbol,
            side,
            Decimal(quantity),
            "MKT" if limit is None else "LMT",
            limit,
            client_id=client_id,
            order_id=order_id,
            order_ref=order_ref,
        )
        await self._desk.enter(order)
        self._orders.use_id(client_id, order_id)
        await self._look()
        return order

    # --- the server ---

    async def _stop_listening(self) -> None:
        if self._server:
            self._server.close()
            self._server = None

    async def _beat_on(self) -> None:
        while True:
            await asyncio.sleep(self._beat)
            await self.tick()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Client(reader, writer, self.faults)
        serving = asyncio.current_task()
        if serving:
            self._serving.add(serving)
            serving.add_done_callback(self._serving.discard)
        self._clients.add(client)
        try:
            with suppress(asyncio.IncompleteReadError, OSError, ValueError):
                await self._converse(client)
        finally:
            self._clients.discard(client)
            await client.close()

    async def _converse(self, client: Client) -> None:
        if self.faults.not_logged_in is NotLoggedIn.CLOSES:
            return
        if self.faults.not_logged_in is NotLoggedIn.SILENT:
            await client.reader.read()
            return
        if await client.reader.readexactly(len(GREETING)) != GREETING:
            return
        offered = VERSIONS.match(await read_frame(client.reader))
        if not offered:
            return
        client.version = min(int(offered[2]), self._version)
        client.send([client.version, clock(await self._login.now())])
        while not client.writer.is_closing():
            fields = split(await read_frame(client.reader))
            await self._answer(client, fields)
            await client.writer.drain()

    async def _answer(self, client: Client, fields: list[str]) -> None:
        """Answer a message; whatever it is, the worst that comes of it is an error."""
        number = int(fields[0]) if fields and fields[0].isdigit() else NO_REQUEST
        self.requests.append(Request(number, tuple(fields), client.id))
        if number in self.faults.silent_requests:
            return
        request = _request_id(number, fields)
        try:
            if number == START_API:
                await self._start(client, fields)
            elif client.id is None:
                client.error(NO_REQUEST, 321, "Error validating request: the API is not started.")
            elif number in self._handlers:
                await self._look()
                await self._handlers[number](client, fields)
                await self._look()
            else:
                client.error(NO_REQUEST, 505, f"Fatal Error: Unknown message id. {number}")
        except BrokerError as error:
            client.error(request, error.code or 321, str(error))
        except (ValueError, IndexError, ArithmeticError) as error:
            client.error(request, 320, f"Error reading request. {type(error).__name__}")

    async def _start(self, client: Client, fields: list[str]) -> None:
        number = Cursor(fields[2:]).whole()
        if any(other.id == number for other in self._clients):
            client.error(NO_REQUEST, 326, ID_IN_USE)
            await client.close()
            return
        client.id = number
        await self._look()
        await self._news.greet(client)
        await self._handlers[17](client, fields)
        await self._handlers[8](client, fields)
        for code in AT_CONNECT:
            client.error(NO_REQUEST, code, ANNOUNCEMENTS[code])

    async def _look(self) -> None:
        executed = await self._desk.look()
        for order in self._desk.orders:
            self._news.publish(order, self._owner(order))
        for client in self._ready() if executed else ():
            await self._accounts.push(client)

    def _ready(self) -> list[Client]:
        return [client for client in self._clients if client.id is not None]

    def _owner(self, order: Order) -> Client | None:
        """Who is told of `order` unasked: the client that sent it; of those by hand client 0, if it wants to be."""
        for client in self._ready():
            if client.id == order.client_id and (order.order_id or client.wants_orders_by_hand):
                return client
        return None


def _request_id(number: int, fields: list[str]) -> int:
    place = ID_AT.get(number)
    with suppress(ValueError, IndexError):
        return int(fields[place]) if place else NO_REQUEST
    return NO_REQUEST


@asynccontextmanager
async def gateway(
    broker: Broker,
    *,
    version: int = MOST_VERSION,
    shown: str | None = None,
    others: tuple[str, ...] = (),
    port: int = 0,
    beat: float = BEAT_SECONDS,
) -> AsyncIterator[Gateway]:
    """A Gateway over `broker`, which it does not close; `shown` renames its account, `others` have no books."""
    if not LEAST_VERSION <= version <= MOST_VERSION:
        raise ValueError(f"server versions are {LEAST_VERSION} to {MOST_VERSION}, not {version}")
    account = (await broker.accounts())[0].account_id
    async with Gateway(Login(broker, account, shown or account, others), version, port, beat) as running:
        yield running
