"""A plan with wishes is another plan inside the same limits, and its protective exits are the same."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from config.settings import Settings
from portfolio.drift import drift_after
from portfolio.limits import first_refusal
from portfolio.models import PortfolioSnapshot, ProposedTrade, Side, TradePlan
from portfolio.rebalance import Wishes, baseline_plan
from tests.portfolio.cases import CORE, DAY, GROWTH, SETTINGS, make_settings, make_snapshot, position, quote
from tests.portfolio.hostile import LISTED, accounts, any_settings, days

METHODS = pytest.mark.parametrize("method", ["optimal", "first_symbol"])
HEAVY = make_snapshot(positions=[position("SPY", 400), position("VTI", 400), position("AAPL", 100)])
"""80 % in Core, 10 % in Growth and 10 % cash: 20 points above and 30 below target."""
FALLEN = make_snapshot(
    positions=[position("SPY", 100, Decimal(75)), position("VTI", 400), position("AAPL", 100)],
    quotes={"SPY": quote("SPY", Decimal(75))},
)
"""SPY is 25 % below its cost, and Core's stop_loss is -20 %."""


def planned(snapshot: PortfolioSnapshot = HEAVY, settings: Settings = SETTINGS, **wishes: Any) -> TradePlan:
    return baseline_plan(snapshot, settings, DAY, Wishes(**wishes))


def exits_of(plan: TradePlan) -> list[ProposedTrade]:
    return [trade for trade in plan.trades if trade.protective]


def free_trades_of(plan: TradePlan) -> list[ProposedTrade]:
    return [trade for trade in plan.trades if not trade.protective]


def using(method: str) -> Settings:
    return make_settings(rebalance_method=method)


@METHODS
def test_an_excluded_symbol_is_not_traded_and_another_takes_its_place(method: str) -> None:
    first = planned(settings=using(method)).trades[0].symbol
    plan = planned(settings=using(method), exclude=frozenset({first}))
    assert plan.trades
    assert first not in {trade.symbol for trade in plan.trades}


@METHODS
def test_with_every_symbol_excluded_nothing_is_rebalanced(method: str) -> None:
    assert planned(settings=using(method), exclude=frozenset(CORE.symbols + GROWTH.symbols)).trades == ()


@METHODS
def test_an_exit_is_made_though_its_symbol_is_excluded_and_no_order_is_wished_for(method: str) -> None:
    plan = planned(FALLEN, using(method), exclude=frozenset({"SPY"}), max_orders=0)
    assert [(trade.symbol, trade.side, trade.protective) for trade in plan.trades] == [("SPY", Side.SELL, True)]


@METHODS
@pytest.mark.parametrize("most", [0, 1, 2])
def test_there_are_at_most_so_many_orders_besides_the_exits(method: str, most: int) -> None:
    assert len(planned(settings=using(method)).trades) >= 2
    assert len(planned(settings=using(method), max_orders=most).trades) == most


@METHODS
def test_other_targets_turn_the_plan_round(method: str) -> None:
    """Core is at 80 %: sold towards 60, left alone at 80, bought towards 90."""
    sides = [
        {
            trade.side
            for trade in planned(settings=using(method), targets=targets).trades
            if trade.symbol in CORE.symbols
        }
        for targets in ({}, {"Core": 80, "Growth": 10}, {"Core": 90, "Growth": 0})
    ]
    assert sides == [{Side.SELL}, set(), {Side.BUY}]


def test_the_summary_tells_the_drift_from_the_targets_wished_for() -> None:
    plan = planned(targets={"Core": 70, "Growth": 10})
    wished = Wishes({"Core": 70, "Growth": 10}).applied_to(SETTINGS)
    after = drift_after(HEAVY, wished, plan.trades).total
    assert plan.summary.startswith("1 of 2 buckets off target")
    assert f"from 10.0 to {after:.1f} points" in plan.summary


def test_no_wishes_are_the_plain_baseline_and_wishes_change_no_limit() -> None:
    assert planned() == baseline_plan(HEAVY, SETTINGS, DAY)
    wished = Wishes({"Core": 5}).applied_to(SETTINGS)
    assert wished.rules[0].target_allocation == 5
    assert wished.model_copy(update={"trading_rules": SETTINGS.trading_rules}) == SETTINGS


WISHES = st.builds(
    Wishes,
    targets=st.dictionaries(st.sampled_from(["Core", "Growth"]), st.sampled_from([0.0, 0.01, 33.3, 100.0])),
    exclude=st.frozensets(st.sampled_from(LISTED), max_size=3),
    max_orders=st.none() | st.integers(0, 3),
)


@METHODS
@examples(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), accounts(), any_settings(), WISHES)
def test_whatever_is_wished_for_the_guard_would_refuse_none_of_it(
    method: str, data: st.DataObject, snapshot: PortfolioSnapshot, settings: Settings, wishes: Wishes
) -> None:
    rows = tuple(row.model_copy() for row in snapshot.positions)  # as a broker tells them: no two are one object
    snapshot = snapshot.model_copy(update={"positions": rows})
    day = data.draw(days(snapshot.summary.net_liquidation))
    settings = settings.model_copy(update={"rebalance_method": method})
    plan = baseline_plan(snapshot, settings, day, wishes)
    assert first_refusal(plan, snapshot, settings, day) is None
    assert exits_of(plan) == exits_of(baseline_plan(snapshot, settings, day))
    assert wishes.exclude.isdisjoint(trade.symbol for trade in free_trades_of(plan))
    assert wishes.max_orders is None or len(free_trades_of(plan)) <= wishes.max_orders
