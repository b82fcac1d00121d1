from __future__ import annotations

from decimal import Decimal

import pytest

from portfolio.drift import BucketDrift, Oddity, drift_after, drift_table, values_by_ticker, weight_of
from portfolio.models import Position, Side
from tests.portfolio.cases import SETTINGS, SNAPSHOT, make_settings, make_snapshot, position, trade


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
    assert values_by_ticker(snapshot) == {"BRK B": 10_000}
    assert drift_table(snapshot, SETTINGS).unassigned == 0


def test_a_drift_of_exactly_the_threshold_is_not_made_larger_by_binary_fractions() -> None:
    assert 20.1 - 15.1 > 5
    assert BucketDrift(name="x", value=Decimal(1), weight=20.1, target=15.1).drift == 5


@pytest.mark.parametrize("net", [Decimal(0), Decimal(-100)])
def test_in_an_account_that_is_worth_nothing_every_weight_is_0(net: Decimal) -> None:
    assert weight_of(Decimal(100), net) == 0.0


def test_short_positions_count_against_their_bucket_and_are_told_apart() -> None:
    snapshot = make_snapshot(positions=[position("SPY", 100), position("VTI", -40)])
    table = drift_table(snapshot, SETTINGS)
    assert table.buckets[0].value == 6_000
    assert [(odd.symbol, odd.oddity) for odd in table.odd_holdings] == [("VTI", Oddity.SHORT)]


@pytest.mark.parametrize(
    ("held", "oddity", "value"),
    [
        (position("SPY", Decimal("10.25")), Oddity.FRACTION, Decimal(1025)),
        (position("SPY", 10, None), Oddity.NO_PRICE, None),
        (position("SPY", 10, currency="EUR"), Oddity.FOREIGN, None),
    ],
)
def test_what_is_not_simply_whole_dollar_shares_is_named_and_never_guessed(
    held: Position, oddity: Oddity, value: Decimal | None
) -> None:
    table = drift_table(make_snapshot(positions=[held, position("AAPL", 1)]), SETTINGS)
    (odd,) = table.odd_holdings
    assert (odd.oddity, odd.quantity, odd.value) == (oddity, held.quantity, value)
    assert table.buckets[0].unvalued == (("SPY",) if value is None else ())


def test_a_bucket_of_unknown_value_is_not_said_to_be_off_target() -> None:
    """Taking what has no price for worthless would have the plan buy it all over again."""
    (core, growth) = drift_table(make_snapshot(positions=[position("SPY", 100, None)]), SETTINGS).buckets
    assert core.drift == -60
    assert not core.is_outside(5)
    assert growth.is_outside(5)


def test_the_table_after_some_trades_moves_value_between_the_buckets_and_the_cash() -> None:
    trades = [trade("SPY", Side.SELL, 10), trade("AAPL", Side.BUY, 4)]
    after = drift_after(SNAPSHOT, SETTINGS, trades)
    assert [bucket.value for bucket in after.buckets] == [59_000, 25_400]
    assert after.cash == 10_600
    assert after.total == pytest.approx(1.0 + 14.6)


def test_a_trade_without_a_last_price_leaves_its_bucket_of_unknown_value() -> None:
    snapshot = make_snapshot(quotes={"SPY": SNAPSHOT.quotes["SPY"].model_copy(update={"last": None})})
    assert drift_after(snapshot, SETTINGS, [trade("SPY", Side.SELL, 1)]).buckets[0].unvalued == ("SPY",)


def test_a_bucket_of_unknown_value_adds_nothing_to_the_total() -> None:
    """It is not as far off target as the part of it that is known would make it look."""
    table = drift_table(make_snapshot(positions=[position("SPY", 10, None), position("AAPL", 254)]), SETTINGS)
    assert [bucket.is_outside(1) for bucket in table.buckets] == [False, True]
    assert table.total == pytest.approx(abs(table.buckets[1].drift))


def test_a_holding_under_another_name_is_the_symbol_that_is_resolved_to_its_contract() -> None:
    """Else a renamed share looks sold, and the plan buys it a second time."""
    snapshot = make_snapshot(positions=[position("SPY OLD", 100, conid=1), position("GONE", 5, conid=99)])
    assert values_by_ticker(snapshot) == {"SPY": 10_000, "GONE": 500}
    assert drift_table(snapshot, SETTINGS).unassigned == 500
