"""How many runs a bucket needs into its band, by hand: an account of 100,000 USD with bands of 5 points."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import Settings
from portfolio.drift import BucketDrift, DriftTable, drift_table
from portfolio.limits import Limit
from portfolio.rebalance.pace import Pace, out_of_reach, paces
from tests.portfolio.cases import CORE, GROWTH, NET, make_settings, make_snapshot


def bucket(name: str, drift: float, **changes: Any) -> BucketDrift:
    return BucketDrift(**{"name": name, "value": Decimal(0), "weight": 50 + drift, "target": 50.0, **changes})


def pace_of(*buckets: BucketDrift, net: Decimal = NET, **changes: Any) -> tuple[Pace, ...]:
    return paces(buckets, net, make_settings(**changes))


ONE_SYMBOL = (CORE.model_copy(update={"symbols": ("SPY",), "max_position_size": 60.0}), GROWTH)


def test_the_real_account_by_hand() -> None:
    """Growth is 15 points below its target, 10 beyond its band: two orders of 1,000 USD a run take five runs."""
    settings = make_settings()
    (found,) = paces(drift_table(make_snapshot(), settings).buckets, NET, settings)
    assert found == Pace(bucket="Growth", limit=Limit.RISK_THRESHOLD, gap=Decimal(10_000), each=Decimal(2000), runs=5)


def test_the_turnover_binds_where_orders_may_be_large() -> None:
    """5 % of the account are 5,000 USD, and the gap is 10,000."""
    (found,) = pace_of(bucket("Growth", 15.0), risk_threshold=10_000)
    assert (found.limit, found.gap, found.each, found.runs) == (
        Limit.MAX_PORTFOLIO_CHANGE,
        Decimal(10_000),
        Decimal(5000),
        2,
    )


def test_one_symbol_takes_as_many_times_longer_as_there_are_others() -> None:
    """6,000 USD beyond the band: three symbols at 1,000 each take two runs, one takes six."""
    assert [one.runs for one in pace_of(bucket("Core", 11.0))] == [2]
    assert [one.runs for one in pace_of(bucket("Core", 11.0), trading_rules=ONE_SYMBOL)] == [6]


def test_above_and_below_the_target_are_the_same_way_off() -> None:
    assert pace_of(bucket("Growth", -15.0)) == pace_of(bucket("Growth", 15.0))


def test_a_part_of_a_run_is_a_run() -> None:
    """4,000.01 USD at 2,000 a run."""
    assert [one.runs for one in pace_of(bucket("Growth", 9.0))] == [2]
    assert [one.runs for one in pace_of(bucket("Growth", 9.00001))] == [3]


@pytest.mark.parametrize("drift", [0.0, 4.9, 5.0, -5.0, 6.9, 7.0])
def test_in_its_band_or_brought_there_by_one_run_it_has_no_pace(drift: float) -> None:
    """7 points are 2 beyond the band: exactly the 2,000 USD of two orders."""
    assert pace_of(bucket("Growth", drift)) == ()
    assert len(pace_of(bucket("Growth", 7.001))) == 1


def test_each_bucket_may_have_the_whole_turnover_at_best() -> None:
    """10,000 and 30,000 USD of 5,000 a run: two runs and six at least, whichever comes first."""
    found = pace_of(bucket("Core", 15.0), bucket("Growth", -35.0), risk_threshold=10_000)
    assert [(one.bucket, one.limit, one.each, one.runs) for one in found] == [
        ("Core", Limit.MAX_PORTFOLIO_CHANGE, Decimal(5000), 2),
        ("Growth", Limit.MAX_PORTFOLIO_CHANGE, Decimal(5000), 6),
    ]


def test_each_bucket_has_the_limit_that_binds_it() -> None:
    """Three orders in Core and two in Growth can trade 3,000 and 2,000 USD of a turnover of 5,000, or of 2,500."""
    found = pace_of(bucket("Core", 15.0), bucket("Growth", -35.0))
    assert [(one.bucket, one.limit, one.each, one.runs) for one in found] == [
        ("Core", Limit.RISK_THRESHOLD, Decimal(3000), 4),
        ("Growth", Limit.RISK_THRESHOLD, Decimal(2000), 15),
    ]
    found = pace_of(bucket("Core", 15.0), bucket("Growth", -35.0), max_portfolio_change=2.5)
    assert [(one.bucket, one.limit, one.runs) for one in found] == [
        ("Core", Limit.MAX_PORTFOLIO_CHANGE, 4),
        ("Growth", Limit.RISK_THRESHOLD, 15),
    ]


@pytest.mark.parametrize("net", [Decimal(0), Decimal(-100_000)])
def test_an_account_that_is_worth_nothing_has_no_pace(net: Decimal) -> None:
    assert pace_of(bucket("Growth", 40.0), net=net) == ()


def test_a_bucket_of_unknown_value_or_of_no_rule_has_none() -> None:
    assert pace_of(bucket("Growth", 40.0, unvalued=("AAPL",))) == ()
    assert pace_of(bucket("Sold off", 40.0)) == ()


def out_of(table: DriftTable, **changes: Any) -> list[str]:
    return [one.name for one in out_of_reach(table, NET, make_settings(min_cash=5, **changes))]


def table_of(*buckets: BucketDrift, cash: int, unassigned: int) -> DriftTable:
    amount = Decimal(unassigned)
    return DriftTable(
        buckets=buckets, cash=Decimal(cash), cash_weight=0, unassigned=amount, unassigned_weight=float(amount / 1000)
    )


def test_what_holdings_outside_the_rules_keep_from_a_bucket_no_run_can_bring_it() -> None:
    """Growth lacks 10,000 USD of its band; 5,000 of the cash are min_cash, so 14,999.99 leave 9,999.99 to buy with."""
    growth = bucket("Growth", -15.0)
    assert out_of(table_of(growth, cash=5_000, unassigned=54_000)) == ["Growth"]
    assert out_of(table_of(growth, cash=14_999, unassigned=54_000)) == ["Growth"]
    assert out_of(table_of(growth, cash=15_000, unassigned=54_000)) == []
    assert out_of(table_of(growth, bucket("Core", 10.0), cash=5_000, unassigned=54_000)) == []
    assert out_of(table_of(growth, bucket("Core", 9.0), cash=5_000, unassigned=54_000)) == ["Growth"]


def test_a_bucket_that_holds_too_much_or_is_in_its_band_and_an_account_within_its_rules_is_never_out_of_reach() -> None:
    assert out_of(table_of(bucket("Growth", 15.0), cash=0, unassigned=54_000)) == []
    assert out_of(table_of(bucket("Growth", -5.0), cash=0, unassigned=54_000)) == []
    assert out_of(table_of(bucket("Growth", -15.0), cash=0, unassigned=0)) == []


@given(
    st.lists(st.floats(-100, 1000, allow_nan=False).map(lambda drift: round(drift, 9)), max_size=2),
    st.decimals("-1e9", "1e9", places=2),
    st.builds(
        make_settings,
        risk_threshold=st.integers(1, 10_000),
        max_portfolio_change=st.floats(0.001, 100),
        rebalance_threshold=st.floats(0.001, 100),
        min_order_value=st.just(0),
    ),
)
def test_so_many_runs_and_no_fewer_close_the_gap(drifts: list[float], net: Decimal, settings: Settings) -> None:
    buckets = [bucket(rule.name, drift) for rule, drift in zip(settings.rules, drifts, strict=False)]
    for one in paces(buckets, net, settings):
        assert one.runs >= 2
        assert (one.runs - 1) * one.each < one.gap * Decimal("1.000001")
        assert one.runs * one.each >= one.gap * Decimal("0.999999")
        assert one.each <= net * Decimal("1.000001")
