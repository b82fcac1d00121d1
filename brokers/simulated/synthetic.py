"""A seeded market that needs no data: a price is a function of the seed, the symbol and the date, and nothing else.

The logarithm of each price reverts to a level of its own (an Ornstein-Uhlenbeck walk), moved by the whole market, by
its sector and by itself. Shocks fall on every weekday, holidays too, so that an amended holiday calendar moves no
price; and each symbol draws from a stream of its own, so that a new line in the table moves no other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any
from zlib import crc32

from brokers.session import ExchangeCalendar
from brokers.simulated.market import DayBar, Instrument
from brokers.simulated.universe import Listing, instrument_of, universe
from portfolio.costs import CENT, to_cents

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST_DAY = date(1990, 1, 1)
DEFAULT_SEED = 1

_HALF_LIFE = 126.0
_SESSIONS_A_YEAR = 252.0
_SECTOR_SHARE = 0.35
_CLOSED_DAYS_IN_A_ROW = 10


@dataclass(frozen=True)
class _Series:
    """One symbol's weekdays since 1990: closing prices in USD, and normal draws for the rest of each bar."""

    closes: NDArray[Any]
    draws: NDArray[Any]


class SyntheticMarket:
    """The synthetic market of one seed, from 1990 on, open on the sessions of `calendar`."""

    def __init__(self, calendar: ExchangeCalendar, seed: int = DEFAULT_SEED) -> None:
        self._calendar = calendar
        self._seed = seed

    @property
    def name(self) -> str:
        return f"synthetic-{self._seed}"

    def symbols(self) -> Sequence[str]:
        return tuple(universe())

    def instrument(self, symbol: str) -> Instrument:
        return instrument_of(symbol)

    def bars(self, symbol: str, until: date, count: int) -> list[DayBar]:
        reach = min(count * 2 + _CLOSED_DAYS_IN_A_ROW, (until - FIRST_DAY).days)
        earliest = until - timedelta(days=reach)
        sessions = self._calendar.sessions(earliest, until)[-count:]
        listing = universe()[symbol]
        series = _series(self._seed, symbol, until.year)
        return [_bar(listing, series, day) for day in sessions]

    def why_no_price(self, symbol: str, day: date) -> str:
        if symbol not in universe():
            return f"{symbol} is not one of the {len(universe())} symbols of the simulated market; correct the symbol."
        return f"{symbol}: the simulated market begins on {FIRST_DAY} and has no price of {day}; take a later day."


def _weekday(day: date) -> int:
    """How many weekdays lie between the first day and `day`; a weekend counts as its Friday."""
    weeks, rest = divmod((day - FIRST_DAY).days, 7)
    return weeks * 5 + min(rest, 4)


def _draws(seed: int, stream: str, length: int) -> NDArray[Any]:
    """The first `length` normal draws of a named stream; a longer stream begins with the shorter one."""
    import numpy as np  # noqa: PLC0415 - a replayed market does not need it

    return np.random.default_rng([seed, crc32(stream.encode())]).standard_normal(length)


@cache
def _series(seed: int, symbol: str, year: int) -> _Series:
    """The series of `symbol` to the end of `year`; a later year's begins with the same numbers."""
    import numpy as np  # noqa: PLC0415 - as above

    listing = universe()[symbol]
    length = _weekday(date(year, 12, 31)) + 1
    own_share = 1 - listing.market**2
    shocks = (
        listing.market * _draws(seed, "market", length)
        + math.sqrt(own_share * _SECTOR_SHARE) * _draws(seed, f"sector {listing.sector}", length)
        + math.sqrt(own_share * (1 - _SECTOR_SHARE)) * _draws(seed, f"symbol {symbol}", length)
    ) * _daily_volatility(listing)
    pull = 0.5 ** (1 / _HALF_LIFE)
    deviation, walk = 0.0, []
    for shock in shocks.tolist():
        deviation = pull * deviation + shock
        walk.append(listing.level * math.exp(deviation))
    return _Series(np.array(walk), _draws(seed, f"bar {symbol}", length * 4).reshape(length, 4))


def _daily_volatility(listing: Listing) -> float:
    return listing.volatility / math.sqrt(_SESSIONS_A_YEAR)


def _bar(listing: Listing, series: _Series, day: date) -> DayBar:
    place = _weekday(day)
    close, before = float(series.closes[place]), float(series.closes[max(place - 1, 0)])
    gap, up, down, crowd = series.draws[place].tolist()
    step = _daily_volatility(listing)
    opening = before * math.exp(gap * step * 0.4)
    high = max(opening, close) * math.exp(abs(up) * step * 0.4)
    low = min(opening, close) * math.exp(-abs(down) * step * 0.4)
    excitement = abs(math.log(close / before)) / step
    volume = listing.volume * math.exp(0.25 * crowd) * (0.8 + 0.25 * excitement)
    return DayBar(
        day, _cents(opening), _cents(high), _cents(low), _cents(close), Decimal(round(volume, -2)).to_integral()
    )


def _cents(price: float) -> Decimal:
    return max(to_cents(Decimal(price)), CENT)
