"""Whatever the account, a plan comes back, and it breaks no limit."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from config.settings import Settings
from portfolio.limits import TradingDay
from portfolio.models import PortfolioSnapshot, TradePlan
from portfolio.pricing import limit_price_of
from portfolio.rebalance import baseline_plan
from tests.portfolio.auditor import Auditor, Batch
from tests.portfolio.cases import terms
from tests.portfolio.rebalance.adversarial import World, worlds


def as_orders(plan: TradePlan, snapshot: PortfolioSnapshot, settings: Settings) -> Batch:
    """Every trade as the order it would be, whatever the guard thinks of it."""
    batch = []
    for trade in plan.trades:
        quote, contract = snapshot.quotes[trade.symbol], snapshot.contracts[trade.symbol]
        limit = limit_price_of(trade.side, quote, contract, settings)
        assert limit is not None, f"{trade.symbol} has no limit price"
        order = terms(trade.symbol, trade.side, trade.quantity, conid=contract.conid, limit_price=limit)
        batch.append((trade, order))
    return batch


def audited(plan: TradePlan, snapshot: PortfolioSnapshot, settings: Settings, day: TradingDay) -> set[str]:
    """What `plan` breaks, by an auditor with his own arithmetic, who knows nothing of how it was made."""
    return Auditor(snapshot, settings, day).broken(as_orders(plan, snapshot, settings))


def breaks_no_limit(world: World) -> None:
    plan = baseline_plan(world.snapshot, world.settings, world.day)
    assert plan.summary
    assert audited(plan, world.snapshot, world.settings, world.day) == set()
    for trade, order in as_orders(plan, world.snapshot, world.settings):
        value = trade.quantity * order.limit_price
        if not trade.protective and value < world.settings.min_order_value:
            assert trade.quantity == held(world.snapshot, trade.symbol), "only a whole position may be a smaller order"


@examples(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds())
def test_no_plan_breaks_a_limit(world: World) -> None:
    breaks_no_limit(world)


@pytest.mark.slow
@examples(max_examples=3_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds())
def test_none_of_five_thousand_plans_breaks_a_limit(world: World) -> None:
    breaks_no_limit(world)


def held(snapshot: PortfolioSnapshot, symbol: str) -> int:
    return int(sum(row.quantity for row in snapshot.positions if row.symbol == symbol))


@examples(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), st.integers(0, 1000))
def test_the_same_account_gives_the_same_plan_whatever_was_planned_before(world: World, other: int) -> None:
    first = baseline_plan(world.snapshot, world.settings, world.day)
    smaller = world.settings.model_copy(update={"max_portfolio_change": 1 + other / 1000})
    baseline_plan(world.snapshot, smaller, world.day)
    assert baseline_plan(world.snapshot, world.settings, world.day) == first
