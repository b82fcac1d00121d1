"""What trading costs: Interactive Brokers' fixed US stock commission and Regulation T margin.

Sources: IBKR "Commissions, Stocks, ETFs, Fixed pricing, United States" (0.005 USD a share, at least 1.00 USD, at most
1 % of the trade's value, which wins where it is lower than the minimum); FINRA Rule 4210 and Regulation T (initial 50 %
of long and short value, maintenance 25 % long and 30 % short).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")
PER_SHARE = Decimal("0.005")
MINIMUM = Decimal("1.00")
MAXIMUM_SHARE_OF_VALUE = Decimal("0.01")

INITIAL_RATE = Decimal("0.50")
MAINTENANCE_LONG = Decimal("0.25")
MAINTENANCE_SHORT = Decimal("0.30")


def to_cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def commission(quantity: Decimal, price: Decimal) -> Decimal:
    """Commission in USD of one order of `quantity` shares at `price` (positive) USD a share; 0 for no shares.

    The cap is rounded down to the cent, since half a cent more would be above 1 % of a small order.
    """
    most = (MAXIMUM_SHARE_OF_VALUE * abs(quantity) * price).quantize(CENT, ROUND_DOWN)
    return min(to_cents(max(MINIMUM, PER_SHARE * abs(quantity))), most)


def initial_margin(position_values: Iterable[Decimal]) -> Decimal:
    """Regulation T initial margin, in USD, of positions worth `position_values` (negative: short)."""
    return to_cents(sum((abs(value) * INITIAL_RATE for value in position_values), Decimal(0)))


def maintenance_margin(position_values: Iterable[Decimal]) -> Decimal:
    """Maintenance margin, in USD, of positions worth `position_values` (negative: short)."""
    return to_cents(
        sum(
            (value * MAINTENANCE_LONG if value >= 0 else -value * MAINTENANCE_SHORT for value in position_values),
            Decimal(0),
        )
    )
