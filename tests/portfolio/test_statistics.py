"""Statistics of daily bars, worked by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from portfolio.models import Bar
from portfolio.statistics import PriceStatistics, price_statistics
from tests.portfolio.cases import NOW


def bars_of(closes: Sequence[Decimal | float]) -> list[Bar]:
    prices = [Decimal(str(close)) for close in closes]
    return [
        Bar(start=NOW + timedelta(days=day), open=price, high=price, low=price, close=price)
        for day, price in enumerate(prices)
    ]


def found(*closes: Decimal | float) -> PriceStatistics:
    statistics = price_statistics(bars_of(closes))
    assert statistics is not None
    return statistics


def test_a_fall_from_the_highest_close_so_far_is_a_drawdown() -> None:
    """From 100 to 80 are -20 %; from the new top of 125 to 100 are -20 %, to 110 only -12 %."""
    told = found(100, 80, 125, 100, 110)
    assert (told.bars, told.last_close) == (5, 110)
    assert (told.drawdown, told.max_drawdown) == (-12, -20)


def test_at_its_highest_there_is_no_drawdown_but_the_deepest_is_kept() -> None:
    """60 is 40 % below 100."""
    told = found(100, 60, 101)
    assert (told.drawdown, told.max_drawdown) == (0, -40)


def test_a_return_counts_so_many_bars_back_and_is_unknown_without_them() -> None:
    """Of 22 bars the one 5 days before the last closed at 80, and the one 21 days before at 50; the last at 100."""
    told = found(50, *[60] * 15, 80, 70, 70, 70, 70, 100)
    assert told.returns == {"return_5d": 25.0, "return_21d": 100.0, "return_63d": None, "return_126d": None}
    assert found(100, 100, 100, 100, 110).returns["return_5d"] is None
    assert found(100, 100, 100, 100, 100, 110).returns["return_5d"] == 10


def test_volatility_is_the_deviation_of_log_returns_in_a_year() -> None:
    """Twenty steps of +-ln 1.01 = 0.00995033: their mean is 0, and the root of (20/19) x 252 is 16.28658: 16.21 %."""
    assert found(*[100, 101] * 10, 100).volatility == 16.21


def test_volatility_needs_twenty_returns() -> None:
    assert found(*[100, 101] * 10).volatility is None


def test_flat_prices_do_not_swing() -> None:
    told = found(*[100] * 127)
    assert set(told.returns.values()) == {0.0}
    assert (told.volatility, told.drawdown, told.max_drawdown) == (0, 0, 0)


def test_one_bar_has_a_price_and_no_past() -> None:
    told = found(42.5)
    assert (told.bars, told.last_close, told.volatility) == (1, 42.5, None)
    assert (told.drawdown, told.max_drawdown) == (0, 0)
    assert set(told.returns.values()) == {None}


@pytest.mark.parametrize("closes", [[], [0], [0, -1]])
def test_where_there_is_no_price_there_is_nothing_to_say(closes: list[float]) -> None:
    assert price_statistics(bars_of(closes)) is None


def test_bars_without_a_price_are_left_out() -> None:
    assert found(0, 100, -5, 80, 0) == found(100, 80)


PRICES = st.decimals(Decimal("0.01"), Decimal(10_000), places=2)
CLOSES = st.lists(PRICES, min_size=1, max_size=140) | st.lists(PRICES, min_size=22, max_size=22)


@examples(deadline=None)
@given(CLOSES)
def test_no_drawdown_is_above_zero_or_deeper_than_the_deepest(closes: list[Decimal]) -> None:
    told = found(*closes)
    assert -100 <= told.max_drawdown <= told.drawdown <= 0


@examples(deadline=None)
@given(CLOSES, st.sampled_from([Decimal("0.25"), Decimal("0.5"), Decimal(2), Decimal(1024)]))
def test_in_other_money_only_the_price_is_another(closes: list[Decimal], factor: Decimal) -> None:
    """Powers of two, which binary fractions take without rounding."""
    told, scaled = found(*closes), found(*(close * factor for close in closes))
    assert scaled.last_close == told.last_close * float(factor)
    assert scaled.model_copy(update={"last_close": told.last_close}) == told


@examples(deadline=None)
@given(st.lists(st.sampled_from([Decimal("1e-40"), Decimal(1), Decimal("1e15")]), min_size=1, max_size=30))
def test_prices_however_absurd_are_reckoned_with(closes: list[Decimal]) -> None:
    assert found(*closes).bars == len(closes)
