from __future__ import annotations

from decimal import Decimal

import pytest

from portfolio.drift import BucketDrift, drift_table, value_of, weight_of
from tests.portfolio.cases import SETTINGS, SNAPSHOT, make_settings, make_snapshot, position


def test_the_table_weighs_every_enabled_bucket_the_cash_and_what_no_rule_names() -> None:
    table = drift_table(SNAPSHOT, SETTINGS)
    assert [(bucket.name, bucket.value, bucket.weight, bucket.drift) for bucket in table.buckets] == [
        ("Core", Decimal(60_000), 60.0, 0.0),
        ("Growth", Decimal(25_000), 25.0, -15.0),
    ]
    assert table.cash == 10_000
    assert table.cash_weight == 10.0
    assert table.unassigned == 5_000


def test_a_disabled_rule_has_no_bucket_and_its_symbols_count_as_unassigned() -> None:
    rules = (
        {"name": "Core", "target_allocation": 100, "symbols": ["SPY", "VTI", "VOO"], "max_position_size": 40},
        {"name": "Growth", "target_allocation": 40, "symbols": ["AAPL", "BRK B"], "enabled": False},
    )
    table = drift_table(SNAPSHOT, make_settings(trading_rules=rules))
    assert [bucket.name for bucket in table.buckets] == ["Core"]
    assert table.unassigned == 30_000


@pytest.mark.parametrize("spelling", ["BRK B", "BRK.B", "brk-b"])
def test_a_holding_belongs_to_its_bucket_however_the_broker_spells_it(spelling: str) -> None:
    """Else the bucket looks empty, and the plan buys it a second time."""
    snapshot = make_snapshot(positions=[position(spelling, 100, conid=5)])
    assert value_of(["BRK B"], snapshot) == 10_000
    assert drift_table(snapshot, SETTINGS).unassigned == 0


def test_a_drift_of_exactly_the_threshold_is_not_made_larger_by_binary_fractions() -> None:
    assert 20.1 - 15.1 > 5
    assert BucketDrift(name="x", value=Decimal(1), weight=20.1, target=15.1).drift == 5


@pytest.mark.parametrize("net", [Decimal(0), Decimal(-100)])
def test_in_an_account_that_is_worth_nothing_every_weight_is_0(net: Decimal) -> None:
    assert weight_of(Decimal(100), net) == 0.0


def test_short_positions_count_against_their_bucket() -> None:
    snapshot = make_snapshot(positions=[position("SPY", 100), position("VTI", -40)])
    assert value_of(["SPY", "VTI"], snapshot) == 6_000
