"""Numbers as the protocol writes them, where "none" has several spellings."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from math import isfinite

from ib_async.util import UNSET_DOUBLE

LARGEST = 1e300
"""Beyond it stands the largest double there is, which means "no value"; it comes rounded at times."""


def number(told: float | str | Decimal | None) -> Decimal | None:
    """The amount, None where none was told."""
    if told is None or told == "":
        return None
    try:
        amount = float(told)
    except ValueError:
        return None
    if not isfinite(amount) or abs(amount) >= min(LARGEST, UNSET_DOUBLE):
        return None
    try:
        exact = Decimal(str(told))
    except InvalidOperation:
        return None
    # The library reads everything as floats, of which a whole one is written with a decimal place too many.
    return Decimal(int(exact)) if isinstance(told, float) and exact == exact.to_integral_value() else exact


def price(told: float | str | Decimal | None) -> Decimal | None:
    """The price above 0; a market without one is written as -1 or 0."""
    amount = number(told)
    return amount if amount is not None and amount > 0 else None
