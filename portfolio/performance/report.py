"""What became of an account in a stretch of time, in figures that sum to its change of value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal

from portfolio.models import Fact, Utc
from portfolio.performance.books import ZERO, Books, Event
from portfolio.performance.returns import Valuation, deepest_fall, gain, growth


class Line(Fact):
    """One symbol: what is held at the end, and what it gained in the stretch, in USD."""

    symbol: str
    shares: Decimal
    average_cost: Decimal | None
    price: Decimal | None
    value: Decimal | None
    realised: Decimal
    unrealised: Decimal | None
    gained: Decimal | None


class Point(Fact):
    """The last look of a day: what the account was worth in USD, and what 1 USD had become, deposits removed."""

    day: date
    value: Decimal
    growth: float


class Report(Fact):
    """Money in USD, returns in %.

    `gained` is `realised` + `unrealised` + `income`, of which `unrealised` is the change in the stretch. By that and by
    `paid_in` the value went from `began_with` to `ended_with`. `commissions` are in the first two already.
    """

    since: Utc
    until: Utc
    began_with: Decimal
    ended_with: Decimal
    paid_in: Decimal
    gained: Decimal
    realised: Decimal
    unrealised: Decimal
    income: Decimal
    commissions: Decimal
    time_weighted_return: float | None
    deepest_fall: float
    lines: tuple[Line, ...]
    points: tuple[Point, ...]


def report_of(
    books: Books,
    prices: Mapping[str, Decimal],
    events: Iterable[Event],
    valuations: Sequence[Valuation],
    last_prices: Mapping[str, Decimal],
) -> Report:
    """From `books` at `prices`, which the first of the `valuations` is of, through `events` to `last_prices`."""
    ended = books.after(*events)
    lines = tuple(
        _line(symbol, books, ended, prices.get(symbol), last_prices.get(symbol)) for symbol in sorted(ended.holdings)
    )
    grown = growth(valuations)
    first, last = valuations[0], valuations[-1]
    realised, income = ended.realised_total - books.realised_total, ended.income - books.income
    gained = gain(valuations)
    return Report(
        since=first.at,
        until=last.at,
        began_with=first.value,
        ended_with=last.value,
        paid_in=sum((one.flow for one in valuations[1:]), ZERO),
        gained=gained,
        realised=realised,
        unrealised=gained - realised - income,
        income=income,
        commissions=ended.commissions - books.commissions,
        time_weighted_return=100 * (grown[-1] - 1) if len(grown) > 1 else None,
        deepest_fall=deepest_fall(grown),
        lines=tuple(line for line in lines if line.shares or line.gained),
        points=_points(valuations, grown),
    )


def _line(symbol: str, before: Books, after: Books, first: Decimal | None, last: Decimal | None) -> Line:
    held, realised = after.held(symbol), after.realised.get(symbol, ZERO) - before.realised.get(symbol, ZERO)
    unrealised = _open_gain(after, symbol, last)
    earlier = _open_gain(before, symbol, first)
    return Line(
        symbol=symbol,
        shares=held.quantity,
        average_cost=held.average_cost,
        price=last,
        value=None if last is None else held.quantity * last,
        realised=realised,
        unrealised=unrealised,
        gained=None if unrealised is None or earlier is None else realised + unrealised - earlier,
    )


def _open_gain(books: Books, symbol: str, price: Decimal | None) -> Decimal | None:
    held = books.held(symbol)
    if not held.quantity:
        return ZERO
    return None if price is None else held.unrealised(price)


def _points(valuations: Sequence[Valuation], grown: Sequence[float]) -> tuple[Point, ...]:
    days = {
        one.at.date(): Point(day=one.at.date(), value=one.value, growth=level)
        for one, level in zip(valuations, grown, strict=True)
    }
    return tuple(days.values())
