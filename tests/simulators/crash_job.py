"""What a process that is to be killed is told to do: its market, and the broker's temper.

A temper is a broker in front of the simulated one, and leads the run to the states of an order that are rare: what the
books keep is real, only what is seen of them is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import Field

from brokers.errors import OutcomeUnknown, Unreachable
from brokers.protocol import Broker, OrderRequest
from brokers.session import ExchangeCalendar
from portfolio.models import BrokerOrder, Fact, Quote, WhatIf
from tests.simulators.delegating_broker import DelegatingBroker

CENT = Decimal("0.01")
DAYS = ExchangeCalendar().sessions(date(2026, 6, 15), date(2026, 8, 31))
RULES = [
    {"name": "Broad", "symbols": ["SPY", "VTI"], "target_allocation": 85.0, "max_position_size": 60.0},
    {"name": "Growth", "symbols": ["QQQ"], "target_allocation": 5.0},
    {"name": "Income", "symbols": ["JNJ"], "target_allocation": 10.0, "max_position_size": 15.0},
]
"""Far from what the account opens with, so that every run of some weeks has sales and purchases to make."""


def prices_in(file: Path, *, price: int, volume: int) -> Path:
    """A market of few symbols, as fewer are read faster; a low volume shows a hundred shares at a time."""
    rows = ["date,symbol,open,high,low,close,volume"]
    for place, symbol in enumerate(("SPY", "VTI", "QQQ", "JNJ")):
        for day in [date(2026, 6, 12), *DAYS]:
            close = Decimal(price) + Decimal(place) / 10 + Decimal(day.day % 3) / 100
            rows.append(f"{day},{symbol},{close},{close},{close},{close},{volume}")
    file.write_text("\n".join(rows), encoding="utf-8")
    return file


class Death(Fact):
    """When a process dies: the `nth` time that `moment` is reached there.

    Moments are "before STATE" and "after STATE", of the commit of that state to the journal, and at the broker
    "arrived" (the order, not yet accepted), "accepted" (and in its books), "cancelled". Who dies is the process that
    reaches the moment, or the one whose id is in the file `victim`.
    """

    moment: str
    nth: int = 1
    victim: Path | None = None


class Chance(Fact):
    """A death `delay` seconds after the run "started", or was about to be "sending"; of `victim`, or of the run."""

    since: str
    delay: float
    victim: int | None = None


class Job(Fact):
    """A run of the agent in `home`, over the server at `url` or an embedded broker; or, to `serve`, that broker."""

    home: Path
    day: date
    prices: Path
    serve: bool = False
    url: str | None = None
    temper: str = "even"
    settings: dict[str, Any] = Field(default_factory=dict)
    minutes_ahead: float = 0
    death: Death | None = None
    chance: Chance | None = None

    @property
    def pid_file(self) -> Path:
        return self.home / "pid"


class Ended(Fact):
    """How a job's process ended: `signal` is 0 where it ended by itself. A server has not ended: `pid` and `url`."""

    signal: int = 0
    code: int = 0
    pid: int = 0
    url: str = ""


class Refuses(DelegatingBroker):
    """The what-if is against every order."""

    async def what_if(self, order: OrderRequest) -> WhatIf:  # noqa: ARG002
        return WhatIf(error="201: the order is not acceptable")


class OffTick(DelegatingBroker):
    """The exchange refuses every order: its price is no multiple of a tick when it gets there."""

    async def place(self, order: OrderRequest) -> BrokerOrder:
        price = (order.limit_price or Decimal(1)) + CENT / 10
        return await super().place(order.model_copy(update={"limit_price": price}))


class Forgets(DelegatingBroker):
    """Takes an order, does not answer, and cannot be asked about it any more."""

    placed = False

    async def place(self, order: OrderRequest) -> BrokerOrder:
        await super().place(order)
        self.placed = True
        raise OutcomeUnknown("the connection broke after the order was sent")

    async def order_status(self, account_id: str, client_order_id: str) -> BrokerOrder | None:
        if self.placed:
            raise Unreachable("the connection is gone")
        return await super().order_status(account_id, client_order_id)


class Swallows(DelegatingBroker):
    """Orders get lost on their way, and nobody says so."""

    async def place(self, order: OrderRequest) -> BrokerOrder:  # noqa: ARG002
        raise OutcomeUnknown("no answer")


class RunsAway(DelegatingBroker):
    """The market rises when the first order arrives: purchases rest, are cancelled, and are sent once more."""

    risen = False

    async def place(self, order: OrderRequest) -> BrokerOrder:
        self.risen = True
        return await super().place(order)

    async def quotes(self, conids: Sequence[int]) -> list[Quote]:
        quotes = await super().quotes(conids)
        return quotes if self.risen else [_cheaper(quote) for quote in quotes]


class Holds(DelegatingBroker):
    """Does nothing with the first order for as long as the file is there, and goes on with everything else."""

    def __init__(self, inner: Broker, until_gone: Path) -> None:
        super().__init__(inner)
        self._until_gone = until_gone
        self._held: str | None = None

    async def place(self, order: OrderRequest) -> BrokerOrder:
        self._held = self._held or order.client_order_id
        is_held = order.client_order_id == self._held
        while is_held and await asyncio.to_thread(self._until_gone.exists):  # noqa: ASYNC110 - a test takes it away
            await asyncio.sleep(0.02)
        return await super().place(order)


TEMPERS: dict[str, type[DelegatingBroker]] = {
    "even": DelegatingBroker,
    "refuses": Refuses,
    "off_tick": OffTick,
    "forgets": Forgets,
    "swallows": Swallows,
    "runs_away": RunsAway,
}


def _cheaper(quote: Quote) -> Quote:
    """Half a percent, and at least two cents."""

    def lower(price: Decimal | None) -> Decimal | None:
        return None if price is None else price - max((price / 200).quantize(CENT), 2 * CENT)

    return quote.model_copy(update={name: lower(getattr(quote, name)) for name in ("bid", "ask", "last")})
