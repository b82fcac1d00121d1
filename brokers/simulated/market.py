"""Where the simulated broker's prices come from, and the quote it makes of them.

A market gives one price a session: the close of a day is that day's price at any time of day, so a run in the morning
and one in the afternoon see the same market. Bid, ask and the sizes shown are derived from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_FLOOR, Decimal
from typing import Protocol
from zlib import crc32

from portfolio.costs import CENT
from portfolio.models import Quote

TICK = CENT

_FIRST_CONID = 10_000
_CONIDS = 900_000_000
_VOLUME_PER_SHARE_SHOWN = 20_000
_LEAST_SHOWN, _MOST_SHOWN = 100, 5_000


class MarketError(ValueError):
    """There is no such market to trade on, because of what was asked for; the message says what, and what to do."""


@dataclass(frozen=True)
class Instrument:
    """What is known of a symbol beside its prices; `spread` is the usual gap of bid and ask as a share of the price."""

    symbol: str
    name: str
    exchange: str
    spread: Decimal


@dataclass(frozen=True)
class DayBar:
    """Prices of one day in USD a share, and the shares traded."""

    day: date
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class Market(Protocol):
    """A source of daily prices. `name` is its identity: the same name gives the same price for the same day, for ever.

    Nothing after the day asked for may influence an answer.
    """

    @property
    def name(self) -> str: ...

    def symbols(self) -> Sequence[str]: ...

    def instrument(self, symbol: str) -> Instrument: ...

    def bars(self, symbol: str, until: date, count: int) -> list[DayBar]:
        """The newest `count` bars of `symbol` at or before `until`, oldest first; fewer where there are fewer."""
        ...

    def why_no_price(self, symbol: str, day: date) -> str:
        """One sentence on why `symbol` has no price of `day`, and what to do about it."""
        ...


def conids_of(symbols: Iterable[str]) -> dict[str, int]:
    """A contract id for each symbol, distinct, and the same in every market that has no two symbols in one place."""
    taken: dict[int, str] = {}
    for symbol in sorted(symbols):
        conid = _FIRST_CONID + crc32(symbol.encode()) % _CONIDS
        while conid in taken:
            conid += 1
        taken[conid] = symbol
    return {symbol: conid for conid, symbol in taken.items()}


def quote_of(instrument: Instrument, conid: int, today: DayBar, previous: DayBar | None, as_of: datetime) -> Quote:
    """The market in `instrument` at `as_of`: `today`'s price as the last trade, bid and ask whole ticks around it.

    A price of less than a tick is bid at one tick.
    """
    ticks = max(1, round(today.close * instrument.spread / TICK))
    below = today.close.quantize(TICK, ROUND_FLOOR) - ticks // 2 * TICK
    bid = max(below, TICK)
    size = shown_size(today.volume)
    return Quote(
        conid=conid,
        symbol=instrument.symbol,
        bid=bid,
        ask=bid + ticks * TICK,
        last=today.close,
        bid_size=size,
        ask_size=size,
        open=today.open,
        high=today.high,
        low=today.low,
        previous_close=previous.close if previous else None,
        volume=today.volume,
        as_of=as_of,
    )


def shown_size(volume: Decimal) -> Decimal:
    """Shares shown at bid and ask of a stock that trades `volume` shares a day: round lots, 100 to 5,000."""
    lots = int(volume) // _VOLUME_PER_SHARE_SHOWN // 100 * 100
    return Decimal(min(max(lots, _LEAST_SHOWN), _MOST_SHOWN))
