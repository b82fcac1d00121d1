from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from config.settings import Settings
from portfolio.drift import drift_after
from portfolio.models import PortfolioSnapshot, Side, TradePlan
from portfolio.rebalance import baseline_plan
from tests.portfolio.auditor import Auditor
from tests.portfolio.cases import (
    CORE,
    DAY,
    GROWTH,
    SETTINGS,
    SNAPSHOT,
    judge_batch,
    make_settings,
    make_snapshot,
    open_order,
    position,
    quote,
)

CENT = Decimal("0.01")


def first_symbol_plan(snapshot: PortfolioSnapshot, settings: Settings) -> TradePlan:
    return baseline_plan(snapshot, settings.model_copy(update={"rebalance_method": "first_symbol"}), DAY)


def orders(plan: TradePlan) -> list[tuple[Side, int, str]]:
    return [(trade.side, trade.quantity, trade.symbol) for trade in plan.trades]


def heavy_in_core(**changes: Any) -> PortfolioSnapshot:
    """80 % in Core, 10 % in Growth and 10 % cash: 20 points above and 30 below target."""
    rows = [position("SPY", 400), position("VTI", 400), position("AAPL", 100)]
    return make_snapshot(positions=changes.pop("positions", rows), **changes)


def test_a_bucket_above_target_sells_and_one_below_buys_sales_first() -> None:
    plan = first_symbol_plan(heavy_in_core(), SETTINGS)
    assert orders(plan) == [(Side.SELL, 10, "SPY"), (Side.BUY, 10, "AAPL")]
    assert plan.trades[0].reason == "Core is at 80.0 %, 20.0 points above its target of 60 %"
    assert plan.summary == "2 of 2 buckets off target; 2 orders would take the total drift from 50.0 to 48.0 points."
    assert not any(trade.protective for trade in plan.trades)


def test_a_drift_of_exactly_the_threshold_starts_nothing_and_a_little_more_does() -> None:
    """Growth is at 25 % and its target is 40."""
    calm = first_symbol_plan(SNAPSHOT, make_settings(rebalance_threshold=15))
    assert calm.trades == ()
    assert calm.summary == "Every bucket is within 15 points of its target."
    assert orders(first_symbol_plan(SNAPSHOT, make_settings(rebalance_threshold=14.99))) == [(Side.BUY, 10, "AAPL")]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"risk_threshold": 500}, [(Side.SELL, 5, "SPY"), (Side.BUY, 5, "AAPL")]),
        ({"risk_threshold": 599.99}, [(Side.SELL, 5, "SPY"), (Side.BUY, 5, "AAPL")]),
        ({"max_portfolio_change": 1.5}, [(Side.SELL, 10, "SPY"), (Side.BUY, 5, "AAPL")]),
        ({"max_portfolio_change": 1.0}, [(Side.SELL, 10, "SPY")]),
        ({"min_cash": 9.5}, [(Side.SELL, 10, "SPY"), (Side.BUY, 4, "AAPL")]),
        ({"min_cash": 10}, [(Side.SELL, 10, "SPY")]),
        ({"max_positions": 3}, [(Side.SELL, 10, "SPY"), (Side.BUY, 10, "AAPL")]),
        ({"max_positions": 2}, [(Side.SELL, 10, "SPY")]),
    ],
)
def test_every_limit_shrinks_the_plan_to_what_it_allows(
    changes: dict[str, Any], expected: list[tuple[Side, int, str]]
) -> None:
    assert orders(first_symbol_plan(heavy_in_core(), make_settings(**changes))) == expected


def test_two_purchases_take_two_places() -> None:
    empty = heavy_in_core(positions=[position("GME", 900)])
    assert orders(first_symbol_plan(empty, make_settings(max_positions=3))) == [
        (Side.BUY, 10, "SPY"),
        (Side.BUY, 10, "AAPL"),
    ]
    assert orders(first_symbol_plan(empty, make_settings(max_positions=2))) == [(Side.BUY, 10, "SPY")]


def test_where_a_symbol_is_full_the_next_one_of_the_bucket_is_bought() -> None:
    growth = GROWTH.model_copy(update={"max_position_size": 20.0})
    full = first_symbol_plan(SNAPSHOT, make_settings(trading_rules=(CORE, growth)))
    assert orders(full) == [(Side.BUY, 10, "BRK B")], "AAPL is 20 % already"


def test_a_bucket_sells_its_first_symbol_that_is_held() -> None:
    rows = [position("VTI", 450), position("VOO", 450)]
    assert orders(first_symbol_plan(heavy_in_core(positions=rows), SETTINGS))[0] == (Side.SELL, 10, "VTI")


def test_no_more_is_sold_than_the_whole_shares_held() -> None:
    rows = [position("SPY", Decimal("2.9")), position("VTI", 900)]
    assert orders(first_symbol_plan(heavy_in_core(positions=rows), SETTINGS))[0] == (Side.SELL, 2, "SPY")


def test_a_symbol_with_an_open_order_or_without_a_price_is_passed_over() -> None:
    busy = heavy_in_core(open_orders=(open_order("SPY", Side.SELL, 1),))
    assert orders(first_symbol_plan(busy, SETTINGS))[0] == (Side.SELL, 10, "VTI")
    blind = heavy_in_core(quotes={"SPY": quote("SPY", bid=None)})
    assert orders(first_symbol_plan(blind, SETTINGS))[0] == (Side.SELL, 10, "VTI")
    lost = SNAPSHOT.contracts.copy()
    del lost["SPY"]
    assert orders(first_symbol_plan(heavy_in_core(contracts=lost), SETTINGS))[0] == (Side.SELL, 10, "VTI")


def test_cash_an_open_purchase_may_take_is_not_spent_again() -> None:
    waiting = heavy_in_core(open_orders=(open_order("VTI", Side.BUY, 85),))
    assert orders(first_symbol_plan(waiting, SETTINGS)) == [(Side.SELL, 10, "SPY"), (Side.BUY, 4, "AAPL")]
    market = open_order("VTI", Side.BUY, 1, order_type="MKT", limit_price=None)
    assert orders(first_symbol_plan(heavy_in_core(open_orders=(market,)), SETTINGS)) == [(Side.SELL, 10, "SPY")]


def test_where_no_whole_share_fits_the_plan_is_empty_and_says_why() -> None:
    dear = {symbol: quote(symbol, Decimal(1001)) for symbol in ("SPY", "VTI", "VOO", "AAPL", "BRK B")}
    plan = first_symbol_plan(heavy_in_core(quotes=dear), SETTINGS)
    assert plan.trades == ()
    assert plan.summary == (
        "2 of 2 buckets off target, but no order that the limits allow is worth its commission and order_penalty."
    )


@pytest.mark.parametrize("cash", [-90_000, -100_000])
def test_an_account_that_is_worth_nothing_buys_nothing(cash: int) -> None:
    assert first_symbol_plan(heavy_in_core(cash=Decimal(cash)), SETTINGS).trades == ()


@st.composite
def any_settings(draw: st.DrawFn) -> Settings:
    target = draw(st.integers(5, 95))
    core_cap = draw(st.integers(-(-target // 3), 100))
    growth_cap = draw(st.integers(-(-(100 - target) // 2), 100))
    risk, most = draw(st.sampled_from([("99.99", 100), ("1000", 10_000), ("2500", 2_500), ("1000000", 2_000_000)]))

    def hundredths(low: int, high: int) -> float:
        return draw(st.integers(low, high)) / 100

    return make_settings(
        trading_rules=(
            CORE.model_copy(update={"target_allocation": float(target), "max_position_size": float(core_cap)}),
            GROWTH.model_copy(update={"target_allocation": 100.0 - target, "max_position_size": float(growth_cap)}),
        ),
        max_trade_value=most,
        risk_threshold=risk,
        min_order_value=50,
        max_portfolio_change=draw(st.sampled_from([0.1, 3.3, 5.0, 25.0, 100.0])),
        rebalance_threshold=hundredths(1, 1_000),
        min_cash=draw(st.sampled_from([0.0, 1.0, 12.5])),
        max_positions=draw(st.sampled_from([3, 5, 50])),
        limit_offset=hundredths(0, 50),
    )


@st.composite
def any_account(draw: st.DrawFn) -> PortfolioSnapshot:
    """Whatever may be held and waiting; quotes are good, since the plan leaves their quality to the guard."""
    symbols = ("SPY", "VTI", "VOO", "AAPL", "BRK B", "GME")
    prices = {symbol: draw(st.integers(1, 30_000)) * CENT for symbol in symbols}
    asks = {
        symbol: price + (price * draw(st.integers(0, 40)) / 10_000).quantize(CENT) for symbol, price in prices.items()
    }
    quotes = {symbol: quote(symbol, price, ask=asks[symbol]) for symbol, price in prices.items()}
    held = draw(
        st.dictionaries(
            st.sampled_from(symbols), st.integers(-2_000, 500_000).map(lambda n: Decimal(n) / 100), min_size=2
        )
    )
    waiting = draw(
        st.lists(st.tuples(st.sampled_from(symbols), st.sampled_from(Side), st.integers(1, 500)), max_size=2)
    )
    return make_snapshot(
        cash=draw(st.sampled_from([Decimal(50_000), Decimal(400_000), Decimal("1234.56"), Decimal(-500)])),
        positions=[position(symbol, shares, prices[symbol]) for symbol, shares in held.items()],
        quotes=quotes,
        open_orders=tuple(open_order(symbol, side, shares) for symbol, side, shares in waiting),
    )


@examples(max_examples=250, deadline=None)
@given(any_account(), any_settings())
def test_whatever_is_planned_passes_every_limit_when_it_is_judged(
    snapshot: PortfolioSnapshot, settings: Settings
) -> None:
    """Else the rules would propose what the guard refuses, and the portfolio would never move."""
    plan = first_symbol_plan(snapshot, settings)
    day = DAY.model_copy(update={"first_net_liquidation": Decimal(1)})
    verdicts, approved = judge_batch(plan, snapshot, settings, day)
    assert [check for verdict in verdicts for check in verdict.failures] == []
    assert Auditor(snapshot, settings, day).broken(approved) == set()
    _is_honest(plan, snapshot, settings)


def _is_honest(plan: TradePlan, snapshot: PortfolioSnapshot, settings: Settings) -> None:
    """Once the exits are made, no bucket is traded twice or the wrong way, and nothing is sold that is not held."""
    exits = [trade for trade in plan.trades if trade.protective]
    drifts = {bucket.name: bucket.drift for bucket in drift_after(snapshot, settings, exits).buckets}
    wanted = [trade for trade in plan.trades if not trade.protective]
    names = [rule.name for trade in wanted for rule in settings.rules if trade.symbol in rule.symbols]
    assert len(names) == len(set(names)) == len(wanted)
    for trade, name in zip(wanted, names, strict=True):
        assert (trade.side is Side.SELL) is (drifts[name] > 0)
        assert abs(drifts[name]) > settings.rebalance_threshold
        if trade.side is Side.SELL:
            assert trade.quantity <= snapshot.held(trade.symbol)
