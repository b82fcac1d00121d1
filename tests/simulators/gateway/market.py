"""Requests about the market: contracts, prices, history, scanners and the time."""

from __future__ import annotations

import math
import time
from datetime import timedelta

from brokers.errors import Terminal
from portfolio.models import Contract, Quote
from tests.simulators.gateway import messages
from tests.simulators.gateway.accounts import Handler
from tests.simulators.gateway.connection import Client, Streaming
from tests.simulators.gateway.faults import Faults
from tests.simulators.gateway.hours import hours_from
from tests.simulators.gateway.login import Login
from tests.simulators.gateway.order_messages import clock
from tests.simulators.gateway.orders import Wanted, read_contract
from tests.simulators.gateway.past import FAILED, NO_DATA, Past
from tests.simulators.gateway.wire import Cursor

NOTHING_FOUND = "No security definition has been found for the request"
NOT_SUBSCRIBED = (
    "Requested market data is not subscribed. Check API status by selecting the Account menu then under Management "
    "choose Market Data Subscription Manager and/or availability of delayed data."
)
DELAYED_AVAILABLE = (
    "Requested market data requires additional subscription for API. See link in 'Market Data Connections' dialog for "
    "more details.Delayed market data is available."
)
LIVE, FROZEN, DELAYED, DELAYED_FROZEN = 1, 2, 3, 4
DELAY = timedelta(minutes=15)
MOST_SCANNED = 50


class MarketRequests:
    def __init__(self, login: Login, faults: Faults) -> None:
        self._login = login
        self._broker = login.broker
        self._faults = faults
        self._past = Past(login.broker, faults)
        self._told_time = -math.inf
        self.handlers: dict[int, Handler] = {
            1: self._market_data,
            2: self._end_market_data,
            9: self._contract_details,
            20: self._history,
            22: self._scan,
            23: self._end_scan,
            24: self._scanner_parameters,
            25: self._end_history,
            49: self._time,
            59: self._market_data_type,
            91: self._market_rule,
        }

    async def listed(self, wanted: Wanted) -> Contract:
        """The contract that a client means.

        Raises:
            Terminal: there is none.
        """
        symbol = wanted.symbol
        try:
            if wanted.conid:
                (quote,) = await self._broker.quotes([wanted.conid])
                symbol = quote.symbol
            found = await self._broker.find_contract(symbol, wanted.sec_type or "STK")
        except Terminal as error:
            raise Terminal(NOTHING_FOUND, code=200) from error
        at_home = ("", found.exchange)
        if (
            symbol in self._faults.unknown_symbols
            or wanted.currency not in ("", found.currency)
            or wanted.exchange not in ("SMART", *at_home)
            or wanted.primary_exchange not in at_home
        ):
            raise Terminal(NOTHING_FOUND, code=200)
        return found

    async def push(self, client: Client) -> None:
        """Send the prices that have changed to who streams them."""
        for request, streaming in client.prices.items():
            await self._tell_prices(client, request, streaming)

    async def _contract_details(self, client: Client, fields: list[str]) -> None:
        given = Cursor(fields[2:])
        request, wanted = given.whole(), read_contract(given)
        found = await self.listed(wanted)
        hours = hours_from(await self._login.now())
        client.send(messages.contract_details(client.version, request, found, wanted.exchange or "SMART", hours))
        client.send([52, 1, request])

    async def _market_data_type(self, client: Client, fields: list[str]) -> None:
        client.market_data_type = int(fields[2])

    async def _market_data(self, client: Client, fields: list[str]) -> None:
        given = Cursor(fields[2:])
        request, wanted = given.whole(), read_contract(given)
        given.skip(3 if given.flag() else 0)
        _, is_snapshot = given.text(), given.flag()
        found = await self.listed(wanted)
        client.send([81, request, found.min_tick, "9c0001", 3])
        if not self._permits(client, request, found.symbol):
            return
        streaming = Streaming(found.conid)
        await self._tell_prices(client, request, streaming)
        if is_snapshot:
            client.send([57, 1, request])
        else:
            client.prices[request] = streaming

    def _permits(self, client: Client, request: int, symbol: str) -> bool:
        """Whether there will be prices; what is in their way is told, unless that is silence."""
        if symbol in self._faults.silent_symbols:
            return False
        wants_delayed = client.market_data_type in (DELAYED, DELAYED_FROZEN)
        if self._faults.competing_session:
            client.error(request, 10197, "No market data during competing live session")
            return False
        if self._faults.not_subscribed:
            client.error(request, 354, f"{NOT_SUBSCRIBED}{symbol} S/TOP/ALL")
            return False
        if self._faults.delayed_only and not wants_delayed:
            client.error(request, 10089, f"{DELAYED_AVAILABLE}{symbol} NASDAQ.NMS/TOP/ALL")
            return False
        if self._faults.delayed_only:
            words = "Requested market data is not subscribed. Displaying delayed market data."
            client.error(request, 10167, words)
        return True

    async def _tell_prices(self, client: Client, request: int, streaming: Streaming) -> None:
        (quote,) = await self._broker.quotes([streaming.conid])
        if quote == streaming.sent:
            return
        streaming.sent = quote
        is_open = (await self._broker.session(quote.symbol)).is_open
        kind = self._kind(client, is_open=is_open)
        client.send([58, 1, request, kind])
        is_delayed = kind in (DELAYED, DELAYED_FROZEN)
        no_sides = not is_open and kind in (LIVE, DELAYED)
        shown = _earlier(quote) if is_delayed else quote
        client.send_all(messages.ticks(request, shown, delayed=is_delayed, is_frozen_out=no_sides))

    def _kind(self, client: Client, *, is_open: bool) -> int:
        """The type of data a client gets: the best there is, and that of the close only where it was asked for."""
        keeps_last = not is_open and client.market_data_type in (FROZEN, DELAYED_FROZEN)
        if self._faults.delayed_only:
            return DELAYED_FROZEN if keeps_last else DELAYED
        return FROZEN if keeps_last else LIVE

    async def _end_market_data(self, client: Client, fields: list[str]) -> None:
        client.prices.pop(int(fields[2]), None)

    async def _history(self, client: Client, fields: list[str]) -> None:
        given = Cursor(fields[1:])
        request, wanted = given.whole(), read_contract(given)
        given.skip(1)  # includeExpired
        until, size, duration = given.text(), given.text(), given.text()
        found = await self.listed(wanted)
        (quote,) = await self._broker.quotes([found.conid])
        bars = await self._past.bars(quote, size, duration, until, (found.symbol, *fields[15:]))
        if not bars:
            raise Terminal(f"{FAILED}HMDS query returned no data: {found.symbol}@SMART Trades", code=NO_DATA)
        start, end = bars[0].start, await self._login.now()
        dates = [f"{bar.start:%Y%m%d}" for bar in bars]
        client.send(messages.history(request, clock(start), clock(end), bars, dates))

    async def _end_history(self, client: Client, fields: list[str]) -> None:
        """There is nothing to end, as no history is kept up to date."""

    async def _scan(self, client: Client, fields: list[str]) -> None:
        given = Cursor(fields[1:])
        request, rows = given.whole(), given.whole()
        given.skip(2)  # instrument, location
        count = rows if 0 < rows < MOST_SCANNED else MOST_SCANNED
        client.send(messages.scan_data(request, await self._broker.scan(given.text(), count)))

    async def _end_scan(self, client: Client, fields: list[str]) -> None:
        client.error(int(fields[2]), NO_DATA, f"{FAILED}API scanner subscription cancelled: {fields[2]}")

    async def _scanner_parameters(self, client: Client, _fields: list[str]) -> None:
        client.send(messages.scanner_parameters(await self._broker.scan_codes()))

    async def _time(self, client: Client, _fields: list[str]) -> None:
        if time.monotonic() - self._told_time < self._faults.time_once_in:
            return
        self._told_time = time.monotonic()
        client.send([49, 1, int((await self._login.now()).timestamp())])

    async def _market_rule(self, client: Client, fields: list[str]) -> None:
        rule = int(fields[1])
        if rule != messages.RULE:
            raise Terminal(f"Error validating request.-'cW' : cause - Market rule {rule} is unknown.", code=321)
        client.send(messages.market_rule(rule, Contract(conid=0, symbol="", exchange="").min_tick))


def _earlier(quote: Quote) -> Quote:
    return quote.model_copy(update={"as_of": quote.as_of - DELAY}) if quote.as_of else quote
