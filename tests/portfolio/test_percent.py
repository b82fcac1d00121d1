from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from portfolio.percent import exact, in_percent, share_of


def test_a_percentage_means_what_was_written_and_not_its_binary_neighbour() -> None:
    assert exact(0.1) == Decimal("0.1")
    assert exact(1e-07) == Decimal("0.0000001")
    assert share_of(Decimal(1_000), 0.1) == Decimal(1)


@given(st.integers(1, 10_000), st.decimals("1", "1000000000", places=2))
def test_a_share_that_was_taken_reads_back_as_the_same_percentage(hundredths: int, whole: Decimal) -> None:
    """A limit that is met exactly must not fail on the way back."""
    percent = hundredths / 100
    assert in_percent(share_of(whole, percent), whole) == exact(percent)
