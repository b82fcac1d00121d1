"""The time-weighted return, by hand, and that no deposit can change it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio.performance import Valuation, gain, growth, time_weighted_return
from portfolio.performance.returns import deepest_fall

FIRST = datetime(2026, 6, 15, tzinfo=UTC)


def valued(*rows: tuple[float, float]) -> list[Valuation]:
    return [
        Valuation(at=FIRST + timedelta(days=day), value=Decimal(str(value)), flow=Decimal(str(flow)))
        for day, (value, flow) in enumerate(rows)
    ]


def test_a_deposit_between_two_runs_is_no_return() -> None:
    """10,000 grow by 10 %, 5,000 come, and the 16,000 fall by 5 %: 1.10 x 0.95 - 1 = 4.5 %, and 200 USD are gained."""
    rows = valued((10_000, 0), (16_000, 5_000), (15_200, 0))
    assert time_weighted_return(rows) == pytest.approx(4.5)
    assert gain(rows) == 200
    assert growth(rows) == pytest.approx([1.0, 1.1, 1.045])


def test_a_withdrawal_is_no_loss() -> None:
    rows = valued((10_000, 0), (4_000, -6_000))
    assert time_weighted_return(rows) == pytest.approx(0)
    assert gain(rows) == 0


@pytest.mark.parametrize("rows", [[], [(1_000, 0)]])
def test_of_fewer_than_two_valuations_there_is_no_return(rows: list[tuple[float, float]]) -> None:
    assert time_weighted_return(valued(*rows)) is None
    assert gain(valued(*rows)) == 0


def test_an_account_that_was_empty_earned_nothing_then() -> None:
    assert time_weighted_return(valued((0, 0), (1_000, 1_000), (1_100, 0))) == pytest.approx(10)


def test_the_deepest_fall_is_from_a_height_to_a_later_low() -> None:
    assert deepest_fall([1.0, 1.2, 0.9, 1.3, 1.04]) == pytest.approx(25)
    assert deepest_fall([1.0, 1.1, 1.2]) == 0
    assert deepest_fall([]) == 0


@given(
    earned=st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=20),
    flows=st.lists(st.integers(0, 100_000), min_size=20, max_size=20),
)
def test_deposits_do_not_change_it(earned: list[float], flows: list[int]) -> None:
    value, rows = 50_000.0, [(50_000.0, 0.0)]
    for rate, flow in zip(earned, flows, strict=False):
        value = round(value * (1 + rate), 2) + flow
        rows.append((value, flow))
    expected = 1.0
    for rate in earned:
        expected *= 1 + rate
    assert time_weighted_return(valued(*rows)) == pytest.approx(100 * (expected - 1), rel=1e-3, abs=0.01)
