from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio.costs import commission, initial_margin, maintenance_margin, to_cents

SHARES = st.integers(0, 1_000_000).map(Decimal)
PRICES = st.decimals("0.01", "1000000", places=4)


@pytest.mark.parametrize(
    ("quantity", "price", "expected"),
    [
        (0, "100", "0.00"),
        (1, "1000", "1.00"),  # the minimum
        (200, "100", "1.00"),  # 200 x 0.005 is the minimum exactly
        (201, "100", "1.01"),  # 1.005, and half a cent goes up
        (1000, "100", "5.00"),
        (-1000, "100", "5.00"),  # a sale pays the same
        (1000, "0.25", "2.50"),  # 1 % of the value wins
        (1, "50", "0.50"),  # and wins over the minimum too
        (1, "50.50", "0.50"),  # 0.505: rounded up it would be more than 1 %
        (1, "0.50", "0.00"),
    ],
)
def test_commission_follows_the_fixed_schedule(quantity: int, price: str, expected: str) -> None:
    charged = commission(Decimal(quantity), Decimal(price))
    assert str(charged) == expected


@given(SHARES, PRICES)
def test_commission_is_never_above_one_percent_of_the_value(quantity: Decimal, price: Decimal) -> None:
    assert 0 <= commission(quantity, price) * 100 <= quantity * price


@given(SHARES, SHARES, PRICES, PRICES)
def test_a_larger_order_never_costs_less(one: Decimal, other: Decimal, price: Decimal, dearer: Decimal) -> None:
    fewer, more = sorted((one, other))
    cheap, dear = sorted((price, dearer))
    assert commission(fewer, cheap) <= commission(more, cheap) <= commission(more, dear)


def test_half_a_cent_goes_up() -> None:
    assert to_cents(Decimal("0.005")) == Decimal("0.01")
    assert to_cents(Decimal("-0.005")) == Decimal("-0.01")


def test_margin_binds_half_of_every_position_and_keeps_less_of_long_ones_than_of_short_ones() -> None:
    values = [Decimal(10_000), Decimal(-2_000)]
    assert initial_margin(values) == Decimal("6000.00")
    assert maintenance_margin(values) == Decimal("3100.00")
    assert initial_margin([]) == maintenance_margin([]) == Decimal("0.00")
