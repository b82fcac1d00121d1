"""What past daily bars say about a symbol: returns, volatility, drawdown."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import log, sqrt
from statistics import stdev

from portfolio.models import Bar, Fact

TRADING_DAYS = 252
"""In a year, by convention."""
FEWEST_RETURNS = 20
SPANS = {"return_5d": 5, "return_21d": 21, "return_63d": 63, "return_126d": 126}


class PriceStatistics(Fact):
    """All in %, None where there are too few bars.

    `volatility` is the standard deviation of daily log returns, times the root of 252; `drawdown` is how far the last
    close is below the highest, `max_drawdown` the deepest such fall, both 0 or below.
    """

    bars: int
    last_close: float
    returns: dict[str, float | None]
    volatility: float | None
    drawdown: float
    max_drawdown: float


def price_statistics(bars: Sequence[Bar]) -> PriceStatistics | None:
    """Statistics of daily `bars`, oldest first; None where there is none with a price."""
    closes = [float(bar.close) for bar in bars if bar.close > 0]
    if not closes:
        return None
    falls = list(_falls(closes))
    return PriceStatistics(
        bars=len(closes),
        last_close=closes[-1],
        returns={name: _return(closes, days) for name, days in SPANS.items()},
        volatility=_volatility(closes),
        drawdown=round(falls[-1], 2),
        max_drawdown=round(min(falls), 2),
    )


def _return(closes: Sequence[float], days: int) -> float | None:
    return round(100 * (closes[-1] / closes[-1 - days] - 1), 2) if len(closes) > days else None


def _volatility(closes: Sequence[float]) -> float | None:
    steps = [log(after / before) for before, after in pairwise(closes)]
    return round(100 * stdev(steps) * sqrt(TRADING_DAYS), 2) if len(steps) >= FEWEST_RETURNS else None


def _falls(closes: Sequence[float]) -> list[float]:
    """How far below the highest close so far each close is, in %."""
    peak, falls = 0.0, []
    for close in closes:
        peak = max(peak, close)
        falls.append(100 * (close / peak - 1))
    return falls
