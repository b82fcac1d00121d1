"""How much of the account was traded.

The definition is that of the portfolio turnover rate of mutual funds (SEC form N-1A, item 13, instruction 4(d)): the
lesser of purchases and sales over the average value. So money that is invested for the first time, or paid out, is no
turnover. Funds average the ends of months, and of securities alone; here it is each day's last look, at all there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from statistics import mean

from portfolio.costs import to_cents
from portfolio.models import Fact, Side
from portfolio.percent import in_percent
from portfolio.performance.books import ZERO, Event, Trade
from portfolio.performance.report import Point

YEAR = 365
LEAST_DAYS = 90
"""A shorter stretch says too little of a year."""


class Turnover(Fact):
    """What was bought and sold, commissions aside, and the account's mean value, in USD; `percent` of that value.

    `annualised` is `percent` for as many days as a year has, None for a stretch below 90 days; both are None where the
    account was worth nothing.
    """

    bought: Decimal
    sold: Decimal
    mean_value: Decimal
    percent: float | None
    annualised: float | None


def turnover_of(events: Iterable[Event], points: Sequence[Point]) -> Turnover:
    """Of all trades among `events`, whoever made them, in the days of `points`."""
    trades = [event for event in events if isinstance(event, Trade)]
    bought, sold = (_traded(trades, side) for side in (Side.BUY, Side.SELL))
    value = mean(point.value for point in points)
    percent = float(in_percent(min(bought, sold), value)) if value > 0 else None
    return Turnover(
        bought=to_cents(bought),
        sold=to_cents(sold),
        mean_value=to_cents(value),
        percent=percent,
        annualised=_annualised(percent, points[0].day, points[-1].day),
    )


def _traded(trades: Iterable[Trade], side: Side) -> Decimal:
    return sum((trade.quantity * trade.price for trade in trades if trade.side is side), ZERO)


def _annualised(percent: float | None, first: date, last: date) -> float | None:
    days = (last - first).days
    return None if percent is None or days < LEAST_DAYS else percent * YEAR / days
