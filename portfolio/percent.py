"""Percentages: read from the configuration as floats, applied to money exactly as they were written."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache


@lru_cache(typed=True)
def exact(percent: float) -> Decimal:
    """The decimal a person wrote: 0.1 is one tenth, not its nearest binary fraction."""
    return Decimal(str(percent))


def share_of(amount: Decimal, percent: float) -> Decimal:
    """`percent` % of `amount`, in the unit of `amount`."""
    return amount * exact(percent) / 100


def in_percent(part: Decimal, whole: Decimal) -> Decimal:
    """`part` in % of `whole`, which must not be 0."""
    return 100 * part / whole
