"""What experience may do to a limit: make it smaller for a while, and never larger.

A tightening names one of a few limits that bind what is bought and rebalanced, and never a protective exit. However it
came to be written down, it is applied as the smaller of two numbers, so no row and no text can loosen anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from config.settings import Settings
from portfolio.models import Amount, Fact, Utc
from portfolio.percent import exact, share_of

LEAST_PERCENT, MOST_PERCENT = 25, 90
"""Of a limit as it is set: what a lesson may leave of it, at least and at most."""


class Limit(StrEnum):
    """The limits that a lesson may tighten; a smaller value of each is the stricter one."""

    RISK_THRESHOLD = "risk_threshold"
    MAX_PORTFOLIO_CHANGE = "max_portfolio_change"
    MAX_POSITIONS = "max_positions"
    MAX_DAILY_LOSS = "max_daily_loss"

    def told(self, value: Decimal | float) -> str:
        """A value of it with the unit."""
        unit = {Limit.RISK_THRESHOLD: " USD", Limit.MAX_POSITIONS: ""}.get(self, " %")
        return f"{Decimal(str(value)).normalize():f}{unit}"


class Tightening(Fact):
    """`limit` is at most `value`, in the unit of its setting, until `expires_at` by the broker's clock."""

    limit: Limit
    value: Annotated[Amount, Field(gt=0)]
    expires_at: Utc

    @property
    def in_words(self) -> str:
        return f"{self.limit} is at most {self.limit.told(self.value)} until {self.expires_at:%Y-%m-%d}"


def tightened(settings: Settings, tightenings: Iterable[Tightening]) -> Settings:
    """The settings with every limit at the smallest of its own value and its tightenings; doing it twice is once."""
    limits: dict[str, Decimal | float] = {limit: getattr(settings, limit) for limit in Limit}
    for one in tightenings:
        limits[one.limit] = min(limits[one.limit], _as(limits[one.limit], one.value))
    return settings.model_copy(update=limits)


def smaller(limit: Limit, percent: int, settings: Settings) -> Decimal:
    """`percent` % of the limit as it is set, within the bounds above; of risk_threshold at least min_order_value."""
    set_to = _exact(getattr(settings, limit))
    value = share_of(set_to, min(max(percent, LEAST_PERCENT), MOST_PERCENT))
    if limit is Limit.RISK_THRESHOLD:
        value = max(value, min(settings.min_order_value, set_to))
    if limit is Limit.MAX_POSITIONS:
        least = share_of(set_to, LEAST_PERCENT).to_integral_value(ROUND_CEILING)
        value = max(value.to_integral_value(ROUND_FLOOR), least)
    return value


def _as(like: Decimal | float, value: Decimal) -> Decimal | float:
    """`value` in the type of a setting; of whole numbers, the one below."""
    return type(like)(value)


def _exact(limit: Decimal | float) -> Decimal:
    return limit if isinstance(limit, Decimal) else exact(limit)
