from __future__ import annotations

from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

import pytest

from graph.state import Context
from portfolio.limits import TradingDay
from tests.portfolio.cases import DAY, SNAPSHOT, make_settings


class Questioned:
    """A journal that remembers how far back it was asked to look."""

    lookback = timedelta(0)

    def trading_day(self, account_id: str, now: datetime, lookback: timedelta) -> TradingDay:  # noqa: ARG002
        self.lookback = lookback
        return DAY


@pytest.mark.parametrize(("cooldown", "hours"), [(0, 24), (1, 24), (24, 24), (48, 48)])
def test_trades_of_the_day_are_known_however_short_the_cooldown_is(cooldown: float, hours: float) -> None:
    """Without a cooldown the rule about day trades would have nothing to look at, and pass everything."""
    journal = Questioned()
    nobody: dict[str, Any] = dict.fromkeys(field.name for field in fields(Context))
    context = Context(**{**nobody, "settings": make_settings(reversal_cooldown_hours=cooldown), "journal": journal})
    context.trading_day(SNAPSHOT)
    assert journal.lookback == timedelta(hours=hours)
