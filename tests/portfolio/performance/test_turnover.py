"""Turnover as funds tell it, by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from portfolio.models import Side
from portfolio.performance import Payment, PaymentKind, Split, Trade
from portfolio.performance.report import Point
from portfolio.performance.turnover import turnover_of

AT = datetime(2026, 6, 15, 20, tzinfo=UTC)


def trade(side: Side, quantity: int, price: int) -> Trade:
    return Trade(
        at=AT, symbol="SPY", side=side, quantity=Decimal(quantity), price=Decimal(price), commission=Decimal(1)
    )


def points(days: int, *values: int) -> list[Point]:
    """The first and the last are `days` apart."""
    step = days / (len(values) - 1) if len(values) > 1 else 0
    return [
        Point(day=date(2026, 6, 15) + timedelta(days=round(place * step)), value=Decimal(value), growth=1.0)
        for place, value in enumerate(values)
    ]


EVENTS = (
    trade(Side.BUY, 10, 400),
    trade(Side.BUY, 5, 200),
    trade(Side.SELL, 4, 500),
    Payment(at=AT, amount=Decimal(9_000), kind=PaymentKind.DEPOSIT),
    Split(at=AT, symbol="SPY", ratio=Decimal(2)),
)


def test_it_is_the_lesser_of_what_was_bought_and_sold_over_the_mean_value() -> None:
    """Bought for 5,000 and sold for 2,000, with 10,000, 11,000 and 9,000 there: 2,000 of 10,000."""
    told = turnover_of(EVENTS, points(89, 10_000, 11_000, 9_000))
    assert [told.bought, told.sold, told.mean_value] == [Decimal(5_000), Decimal(2_000), Decimal(10_000)]
    assert told.percent == pytest.approx(20)
    assert told.annualised is None


def test_a_stretch_of_ninety_days_tells_of_a_year() -> None:
    """20 % in 146 days are 50 % in 365."""
    assert turnover_of(EVENTS, points(146, 10_000, 10_000)).annualised == pytest.approx(50)
    assert turnover_of(EVENTS, points(90, 10_000, 10_000)).annualised == pytest.approx(20 * 365 / 90)


def test_money_that_is_invested_for_the_first_time_is_no_turnover() -> None:
    assert turnover_of([trade(Side.BUY, 10, 400)], points(1, 10_000, 10_000)).percent == 0


def test_an_account_that_was_worth_nothing_has_none() -> None:
    told = turnover_of([], points(0, 0))
    assert (told.percent, told.annualised) == (None, None)
