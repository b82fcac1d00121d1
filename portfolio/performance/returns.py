"""Returns that deposits and withdrawals do not change.

The time-weighted return links what each stretch between two valuations earned (CFA Institute, Global Investment
Performance Standards 2020, section 2.A): money that came or went in a stretch is taken to have done so at its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from portfolio.models import Amount, Fact, Utc
from portfolio.performance.books import ZERO


class Valuation(Fact):
    """What the account was worth, in USD; `flow` is what came (or went) since the one before, and is part of it."""

    at: Utc
    value: Amount
    flow: Amount = ZERO


def growth(valuations: Sequence[Valuation]) -> list[float]:
    """What 1 USD became by each valuation, deposits removed, from 1 on.

    A stretch that began with nothing earned nothing.
    """
    return linked([one.value for one in valuations], [one.flow for one in valuations])


def linked(values: Sequence[Decimal], flows: Sequence[Decimal]) -> list[float]:
    """As `growth`, of values and of what came (or went) before each, in USD."""
    grown = [1.0] if values else []
    for before, now, flow in zip(values, values[1:], flows[1:], strict=False):
        earned = float((now - flow) / before) if before > 0 else 1.0
        grown.append(grown[-1] * max(earned, 0.0))
    return grown


def time_weighted_return(valuations: Sequence[Valuation]) -> float | None:
    """In % from the first valuation to the last; None where there are not two."""
    return 100 * (growth(valuations)[-1] - 1) if len(valuations) > 1 else None


def gain(valuations: Sequence[Valuation]) -> Decimal:
    """What the account gained from the first valuation to the last, in USD, deposits removed."""
    if not valuations:
        return ZERO
    first, *later = valuations
    return valuations[-1].value - first.value - sum((one.flow for one in later), ZERO)


def deepest_fall(grown: Iterable[float]) -> float:
    """The largest loss from a height to a later low, in % of the height (maximum drawdown)."""
    height = deepest = 0.0
    for level in grown:
        height = max(height, level)
        deepest = max(deepest, 1 - level / height if height > 0 else 0.0)
    return 100 * deepest
