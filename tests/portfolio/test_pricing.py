from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from portfolio.models import Quote, Side
from portfolio.pricing import limit_price_of, marketable_limit, patient_limit
from tests.portfolio.cases import contract, make_settings, quote

SPY = contract("SPY")
SIDES = st.sampled_from(Side)
PRICES = st.decimals("0.0001", "100000", places=4)
TICKS = st.sampled_from([Decimal(tick) for tick in ("0.0001", "0.005", "0.01", "0.05", "0.25", "1")])
OFFSETS = st.integers(0, 10_000).map(lambda hundredths: hundredths / 100)


def two_sided(bid: str, ask: str) -> Quote:
    return quote("SPY", bid=Decimal(bid), ask=Decimal(ask))


@pytest.mark.parametrize(
    ("side", "offset", "expected"),
    [
        (Side.BUY, 0.0, "100.02"),
        (Side.BUY, 0.1, "100.12"),  # 100.12002
        (Side.BUY, 1.0, "101.02"),  # 101.0202
        (Side.SELL, 0.0, "99.98"),
        (Side.SELL, 0.1, "99.89"),  # 99.88002
        (Side.SELL, 1.0, "98.99"),  # 98.9802
    ],
)
def test_a_purchase_goes_above_the_ask_and_a_sale_below_the_bid(side: Side, offset: float, expected: str) -> None:
    assert marketable_limit(side, two_sided("99.98", "100.02"), SPY, offset) == Decimal(expected)


@given(SIDES, PRICES, TICKS, OFFSETS)
def test_every_limit_is_on_the_tick_marketable_and_within_the_offset(
    side: Side, touch: Decimal, tick: Decimal, offset: float
) -> None:
    limit = marketable_limit(side, quote("SPY", touch), contract("SPY", min_tick=tick), offset)
    assume(limit is not None)
    assert limit is not None
    assert limit > 0
    assert limit % tick == 0
    assert (limit - touch) * side.sign >= 0
    assert abs(limit - touch) * 100 <= touch * Decimal(str(offset))


@given(SIDES, PRICES, TICKS, OFFSETS)
def test_there_is_no_limit_only_where_no_tick_lies_within_the_offset(
    side: Side, touch: Decimal, tick: Decimal, offset: float
) -> None:
    limit = marketable_limit(side, quote("SPY", touch), contract("SPY", min_tick=tick), offset)
    steps, rest = divmod(touch, tick)
    nearest = (steps + 1 if side is Side.BUY and rest else steps) * tick
    reachable = abs(nearest - touch) * 100 <= touch * Decimal(str(offset)) and nearest > 0
    if limit is None:
        # A sale may also fall to nothing: below the first tick there is no price to sell at.
        furthest = touch - touch * Decimal(str(offset)) / 100
        assert not reachable or (side is Side.SELL and furthest <= 0)
    else:
        assert reachable


@pytest.mark.parametrize("touch", [None, Decimal(0), Decimal(-5)])
def test_without_a_positive_price_on_the_side_that_is_needed_there_is_no_limit(touch: Decimal | None) -> None:
    assert marketable_limit(Side.BUY, quote("SPY", ask=touch), SPY, 0.1) is None
    assert marketable_limit(Side.SELL, quote("SPY", bid=touch), SPY, 0.1) is None


def test_the_side_that_is_not_needed_may_be_missing() -> None:
    assert marketable_limit(Side.BUY, quote("SPY", bid=None), SPY, 0.0) == 100
    assert marketable_limit(Side.SELL, quote("SPY", ask=None), SPY, 0.0) == 100


@pytest.mark.parametrize("tick", [Decimal(0), Decimal("-0.01")])
def test_a_tick_that_is_not_positive_gives_no_limit(tick: Decimal) -> None:
    """A server may send anything; a division by zero would end the whole run."""
    assert marketable_limit(Side.BUY, quote("SPY"), contract("SPY", min_tick=tick), 0.1) is None


def test_a_quote_between_two_ticks_too_far_apart_gives_no_limit_instead_of_one_off_the_tick() -> None:
    between = two_sided("1.005", "1.005")
    assert marketable_limit(Side.BUY, between, SPY, 0.1) is None
    assert marketable_limit(Side.SELL, between, SPY, 0.1) is None
    assert marketable_limit(Side.BUY, between, SPY, 1.0) == Decimal("1.01")


def test_a_sale_is_never_priced_at_nothing() -> None:
    assert marketable_limit(Side.SELL, quote("SPY"), SPY, 100.0) is None


@given(SIDES, PRICES, TICKS)
def test_a_patient_limit_is_the_best_tick_that_is_not_worse_than_its_price(
    side: Side, price: Decimal, tick: Decimal
) -> None:
    limit = patient_limit(side, price, contract("SPY", min_tick=tick))
    assume(limit is not None)
    assert limit is not None
    assert limit > 0
    assert limit % tick == 0
    assert 0 <= (price - limit) * side.sign < tick


@pytest.mark.parametrize("price", [None, Decimal(0), Decimal(-1)])
def test_without_a_positive_price_there_is_no_patient_limit(price: Decimal | None) -> None:
    assert patient_limit(Side.SELL, price, SPY) is None
    assert patient_limit(Side.BUY, price, SPY) is None


@pytest.mark.parametrize(
    ("policy", "buys_at", "sells_at"),
    [("marketable", "100.12", "99.89"), ("mid", "100.00", "100.00"), ("passive", "99.98", "100.02")],
)
def test_each_policy_has_its_price(policy: str, buys_at: str, sells_at: str) -> None:
    settings = make_settings(price_policy=policy, limit_offset=0.1)
    between = two_sided("99.98", "100.02")
    assert limit_price_of(Side.BUY, between, SPY, settings) == Decimal(buys_at)
    assert limit_price_of(Side.SELL, between, SPY, settings) == Decimal(sells_at)
