"""Whatever plan comes in, on whatever facts, the orders that pass the rules break no limit, alone or together."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from config.settings import Settings
from portfolio.limits import PastTrade
from portfolio.models import PortfolioSnapshot, ProposedTrade, Side, TradePlan
from tests.portfolio.auditor import Auditor, Batch
from tests.portfolio.cases import DAY, SETTINGS, SNAPSHOT, hours_ago, judge_batch, make_settings, terms, trade
from tests.portfolio.hostile import TRADES, accounts, any_settings, days


@examples(max_examples=200, deadline=None)
@given(st.data(), accounts(), any_settings(), st.lists(TRADES, min_size=5, max_size=30))
def test_no_batch_of_orders_that_passed_the_rules_breaks_a_limit(
    data: st.DataObject, snapshot: PortfolioSnapshot, settings: Settings, trades: list[ProposedTrade]
) -> None:
    day = data.draw(days(snapshot.summary.net_liquidation))
    verdicts, passed = judge_batch(TradePlan(source="a stranger", trades=tuple(trades)), snapshot, settings, day)
    assert len(verdicts) == len(trades)
    assert Auditor(snapshot, settings, day).broken(passed) == set()


def batch(*orders: tuple[str, Side, int]) -> Batch:
    return [(trade(*order), terms(*order)) for order in orders]


def priced(symbol: str, side: Side, quantity: int, limit: str) -> Batch:
    return [(trade(symbol, side, quantity), terms(symbol, side, quantity, limit_price=Decimal(limit)))]


BUY, SELL = Side.BUY, Side.SELL
WIDE = make_settings(risk_threshold=50_000, max_trade_value=100_000, max_portfolio_change=100)


@pytest.mark.parametrize(
    ("orders", "settings", "fault"),
    [
        (batch(("SPY", BUY, 11)), SETTINGS, "risk_threshold"),
        (batch(("SPY", SELL, 101)), SETTINGS, "max_trade_value"),
        (
            batch(*((symbol, SELL, 10) for symbol in ("SPY", "VTI", "AAPL", "BRK B", "GME")), ("VOO", BUY, 1)),
            SETTINGS,
            "max_portfolio_change",
        ),
        (batch(("SPY", BUY, 101)), WIDE, "max_position_size"),
        (batch(("SPY", BUY, 50), ("SPY", BUY, 51)), WIDE, "max_position_size"),
        (batch(("VTI", BUY, 45), ("VOO", BUY, 45)), WIDE, "min_cash"),
        (batch(("VOO", BUY, 1)), make_settings(max_positions=5), "max_positions"),
        (batch(("GME", SELL, 30), ("GME", SELL, 30)), WIDE, "short sale"),
        (batch(("GME", BUY, 1)), SETTINGS, "symbol"),
        (batch(("NEVERHEARD", SELL, 1)), SETTINGS, "contract"),
        (batch(("SPY", BUY, 1), ("SPY", SELL, 1)), SETTINGS, "two orders on one contract"),
        (priced("SPY", BUY, 1, "101.01"), SETTINGS, "collar"),
        (batch(("SPY", SELL, 1)), make_settings(paper_trading=False), "account not confirmed"),
        (batch(*(("SPY", SELL, 1),) * 21), SETTINGS, "max_orders_per_day"),
    ],
)
def test_the_auditor_sees_what_is_broken(orders: Batch, settings: Settings, fault: str) -> None:
    """One who sees nothing would be satisfied with anything."""
    assert fault in Auditor(SNAPSHOT, settings, DAY).broken(orders)


def test_the_auditor_counts_day_trades() -> None:
    past = tuple(PastTrade(symbol=name, side=BUY, traded_at=hours_ago(1)) for name in ("SPY", "VTI"))
    day, lax = DAY.model_copy(update={"past_trades": past}), make_settings(reversal_cooldown_hours=0)
    for remaining, faults in ((1, {"day trade"}), (2, set[str]()), (-1, set[str]()), (None, set[str]())):
        summary = SNAPSHOT.summary.model_copy(update={"day_trades_remaining": remaining})
        snapshot = SNAPSHOT.model_copy(update={"summary": summary})
        assert Auditor(snapshot, lax, day).broken(batch(("SPY", SELL, 1), ("VTI", SELL, 1))) == faults


def test_the_auditor_is_content_with_an_ordinary_batch() -> None:
    assert Auditor(SNAPSHOT, SETTINGS, DAY).broken(batch(("SPY", SELL, 10), ("VOO", BUY, 10))) == set()
