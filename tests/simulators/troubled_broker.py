"""The simulated broker on a market that tests move, with a clock that stands until somebody waits, and with faults.

What it shows at each look and at each order is written down from its own books, for whoever audits the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

from brokers.errors import OutcomeUnknown, Terminal, Unreachable
from brokers.protocol import OrderRequest
from brokers.session import ExchangeCalendar
from brokers.simulated import SimulatedBroker
from brokers.simulated.accounting import Holding
from brokers.simulated.books import Books
from brokers.simulated.floor import TradingFloor
from brokers.simulated.market import DayBar, Instrument
from portfolio.costs import CENT
from portfolio.models import AccountSummary, BrokerOrder, Execution, Quote, WhatIf
from tests.simulators.delegating_broker import DelegatingBroker

NAMES = ("SPY", "VTI", "BRK B", "KO", "JNJ", "GME", "PENNY", "CHEAP", "DEAR", "NOK", "BND", "SSS", "DEAD")
"""DEAD is listed and has no price."""
CALENDAR = ExchangeCalendar()


class Clock:
    """Simulated time in UTC: it stands until somebody pauses."""

    def __init__(self, now: datetime) -> None:
        self.moment = now

    def now(self) -> datetime:
        return self.moment

    async def pause(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@dataclass
class Listing:
    """Last price in USD a share, gap of bid and ask as a share of it, and the shares of a day."""

    price: Decimal
    spread: Decimal
    volume: Decimal


class MovableMarket:
    """One price a symbol at a time, as `brokers.simulated.market.Market` has it, until a test moves it."""

    name = "movable"

    def __init__(self, listings: dict[str, Listing]) -> None:
        self.listings = listings

    def symbols(self) -> Sequence[str]:
        return NAMES

    def instrument(self, symbol: str) -> Instrument:
        return Instrument(symbol, symbol, "SMART", self.listings[symbol].spread)

    def bars(self, symbol: str, until: date, count: int) -> list[DayBar]:
        if symbol not in self.listings:
            return []
        listed = self.listings[symbol]
        days = (until - timedelta(days=1), until)
        price = listed.price
        return [DayBar(day, price, price, price, price, listed.volume) for day in days][-count:]

    def why_no_price(self, symbol: str, day: date) -> str:
        return f"{symbol} has no price of {day}."


@dataclass(frozen=True)
class Moment:
    """The broker's books and last prices as they were: cash in USD, shares and their cost, orders that still work."""

    at: datetime
    cash: Decimal
    holdings: dict[str, Holding]
    prices: dict[str, Decimal]
    working: tuple[BrokerOrder, ...]


@dataclass(frozen=True)
class Placed:
    """An order as it reached the books: what they held just before, and the looks that had been given until then."""

    request: OrderRequest
    before: Moment
    looks: tuple[Moment, ...]


@dataclass(frozen=True)
class Faults:
    """How often, from 0 to 1, each thing goes wrong; all from the one seed."""

    seed: int = 0
    refuses: float = 0
    lost_before: float = 0
    lost_after: float = 0
    late: float = 0
    forgets: float = 0
    blind: float = 0
    cannot_cancel: float = 0
    warns: float = 0
    previews_fail: float = 0
    moves: float = 0
    stride: float = 0
    slow: float = 0
    """`stride`: the most a price moves at a time, as a share of it; `slow`: the most seconds a question takes."""


@dataclass
class TroubledBroker(DelegatingBroker):
    """The simulated broker of one example; `start` begins another one, under the same MCP session."""

    clock: Clock
    market: MovableMarket = field(init=False)
    books: Books = field(init=False)
    faults: Faults = field(default=Faults(), init=False)
    looks: list[Moment] = field(default_factory=list, init=False)
    placed: list[Placed] = field(default_factory=list, init=False)
    late: list[OrderRequest] = field(default_factory=list, init=False)

    def start(self, listings: dict[str, Listing], cash: Decimal, holdings: dict[str, Holding]) -> None:
        self.close_books()
        self.market = MovableMarket(listings)
        self.books = Books(Path(":memory:"))
        with self.books.change():
            self.books.open(cash, holdings)
        self.inner = SimulatedBroker(TradingFloor(self.market, CALENDAR, self.clock.now), self.books)

    def begin_run(self, faults: Faults) -> None:
        self.faults = faults
        self.random = Random(faults.seed)  # noqa: S311  (chance, not secrets)
        self.looks, self.placed, self.late = [], [], []

    def close_books(self) -> None:
        if hasattr(self, "books"):
            self.books.close()

    # --- what its books say, read without letting anything fill -------------------------------------------------

    def moment(self) -> Moment:
        with self.books.change():
            return Moment(
                at=self.clock.now(),
                cash=self.books.cash(),
                holdings=self.books.holdings(),
                prices={symbol: listing.price for symbol, listing in self.market.listings.items()},
                working=tuple(order for order, _ in self.books.working_orders()),
            )

    def orders(self) -> list[BrokerOrder]:
        rows = self.books._db.execute("SELECT fact FROM orders ORDER BY order_id")
        return [BrokerOrder.model_validate_json(fact) for (fact,) in rows]

    def executions_so_far(self) -> list[Execution]:
        return self.books.executions()

    # --- what goes wrong ----------------------------------------------------------------------------------------

    def _happens(self, share: float) -> bool:
        return share > 0 and self.random.random() < share

    async def _time_passes(self) -> None:
        """A question takes its time, and prices move meanwhile."""
        if self.faults.slow:
            self.clock.moment += timedelta(seconds=self.random.random() * self.faults.slow)
        if self._happens(self.faults.moves):
            for listing in self.market.listings.values():
                change = Decimal(1 + self.random.uniform(-1, 1) * self.faults.stride)
                listing.price = max((listing.price * change).quantize(CENT), CENT)

    async def arrive(self) -> None:
        """Orders that were on their way reach the books."""
        arriving, self.late = self.late, []
        for order in arriving:
            await self._enter(order)

    async def _enter(self, order: OrderRequest) -> BrokerOrder:
        self.placed.append(Placed(order, self.moment(), tuple(self.looks)))
        return await super().place(order)

    async def summary(self, account_id: str) -> AccountSummary:
        summary = await super().summary(account_id)
        self.looks.append(self.moment())
        return summary

    async def quotes(self, conids: Sequence[int]) -> list[Quote]:
        self.looks.append(self.moment())
        return await super().quotes(conids)

    async def what_if(self, order: OrderRequest) -> WhatIf:
        await self._time_passes()
        if self._happens(self.faults.previews_fail):
            raise Terminal("the what-if service is down")
        answer = await super().what_if(order)
        return answer.model_copy(update={"warning": "mind the gap"}) if self._happens(self.faults.warns) else answer

    async def place(self, order: OrderRequest) -> BrokerOrder:
        await self._time_passes()
        if self._happens(self.faults.refuses):
            raise Terminal("the order was not accepted", code=201)
        if self._happens(self.faults.lost_before):
            raise OutcomeUnknown("the connection broke before the order was sent")
        if self._happens(self.faults.late):
            self.late.append(order)
            raise OutcomeUnknown("the connection broke while the order was sent")
        placed = await self._enter(order)
        if self._happens(self.faults.lost_after):
            raise OutcomeUnknown("the connection broke after the order was sent")
        return placed

    async def cancel(self, account_id: str, order_id: str) -> BrokerOrder:
        if self._happens(self.faults.cannot_cancel):
            raise OutcomeUnknown("the cancel was lost")
        return await super().cancel(account_id, order_id)

    async def order_status(self, account_id: str, client_order_id: str) -> BrokerOrder | None:
        await self._time_passes()
        if self._happens(self.faults.late):
            await self.arrive()
        if self._happens(self.faults.blind):
            raise Unreachable("the connection is gone")
        known = await super().order_status(account_id, client_order_id)
        return None if self._happens(self.faults.forgets) else known
