"""What the baseline plan says and leaves alone, besides the orders it makes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np

from portfolio.models import PortfolioSnapshot, Side
from portfolio.rebalance import baseline_plan
from portfolio.rebalance.baseline import Rebalancing, best_kept, pose
from portfolio.rebalance.exits import Exits
from portfolio.rebalance.optimal import Found
from tests.portfolio.cases import (
    CORE,
    DAY,
    GROWTH,
    SETTINGS,
    SNAPSHOT,
    contract,
    make_settings,
    make_snapshot,
    open_order,
    position,
    quote,
)


def heavy_in_core(**changes: Any) -> PortfolioSnapshot:
    """80 % in Core, 10 % in Growth and 10 % cash: 20 points above and 30 below target."""
    rows = [position("SPY", 400), position("VTI", 400), position("AAPL", 100)]
    return make_snapshot(positions=changes.pop("positions", rows), **changes)


def test_inside_every_band_nothing_is_planned() -> None:
    plan = baseline_plan(heavy_in_core(), make_settings(rebalance_threshold=30), DAY)
    assert plan.trades == ()
    assert plan.summary == "Every bucket is within 30 points of its target."


def test_sales_come_before_purchases_and_the_plan_says_what_it_is_for() -> None:
    plan = baseline_plan(heavy_in_core(), SETTINGS, DAY)
    sides = [trade.side for trade in plan.trades]
    assert sides == sorted(sides, key=lambda side: side is Side.BUY)
    assert "2 of 2 buckets off target" in plan.summary
    assert plan.notes == ()


def test_an_exit_rebalances_though_every_bucket_is_inside_its_band() -> None:
    """What it brings is put back to work in other symbols, never in the one that was sold."""
    fallen = [position("SPY", 100, Decimal(80)), position("VTI", 300), position("AAPL", 300), position("BRK B", 100)]
    snapshot = make_snapshot(positions=fallen, quotes={"SPY": quote("SPY", Decimal(80))})
    plan = baseline_plan(snapshot, make_settings(rebalance_threshold=30), DAY)
    assert [(trade.symbol, trade.quantity, trade.protective) for trade in plan.trades[:1]] == [("SPY", 100, True)]
    others = plan.trades[1:]
    assert others
    assert all(trade.symbol != "SPY" and not trade.protective for trade in others)


def test_a_bucket_that_holds_something_of_unknown_value_is_left_alone_and_said() -> None:
    rows = [position("SPY", 400), position("VTI", 400, None), position("AAPL", 100)]
    plan = baseline_plan(heavy_in_core(positions=rows), SETTINGS, DAY)
    assert not {trade.symbol for trade in plan.trades} & set(CORE.symbols)
    assert "Core: what VTI is worth in USD is not known; the bucket is not traded." in plan.notes


def test_a_symbol_with_an_open_order_is_not_traded_and_said() -> None:
    plan = baseline_plan(heavy_in_core(open_orders=(open_order("AAPL", Side.BUY, 1),)), SETTINGS, DAY)
    assert "AAPL" not in {trade.symbol for trade in plan.trades}
    assert any("AAPL" in note and note.endswith("not traded.") for note in plan.notes)


def test_with_more_symbols_than_max_positions_nothing_is_bought() -> None:
    plan = baseline_plan(heavy_in_core(), make_settings(max_positions=2), DAY)
    assert plan.trades
    assert {trade.side for trade in plan.trades} == {Side.SELL}


def test_missing_cash_is_raised_first() -> None:
    """Three orders of 1,000 USD each are all that risk_threshold allows, and nothing is bought."""
    rows = [position("SPY", 600), position("VTI", 300), position("AAPL", 200)]
    plan = baseline_plan(heavy_in_core(positions=rows, cash=Decimal(-10_000)), SETTINGS, DAY)
    assert {trade.side for trade in plan.trades} == {Side.SELL}
    assert sorted((trade.symbol, trade.quantity) for trade in plan.trades) == [("AAPL", 10), ("SPY", 10), ("VTI", 10)]


def test_weights_say_which_symbol_of_a_bucket_is_bought() -> None:
    weighted = GROWTH.model_copy(update={"weights": {"AAPL": 1.0, "BRK B": 3.0}})
    rows = [position("SPY", 300), position("VTI", 300), position("AAPL", 100)]
    settings = make_settings(trading_rules=(CORE, weighted), risk_threshold=2_000, max_portfolio_change=2)
    plan = baseline_plan(heavy_in_core(positions=rows, cash=Decimal(30_000)), settings, DAY)
    assert [(trade.side, trade.symbol) for trade in plan.trades] == [(Side.BUY, "BRK B")]


def test_an_account_worth_nothing_is_left_alone() -> None:
    plan = baseline_plan(heavy_in_core(cash=Decimal(-100_000)), SETTINGS, DAY)
    assert plan.trades == ()
    assert "worth nothing" in plan.summary


def test_a_sale_that_raises_missing_cash_says_so() -> None:
    """It moves the account away from its targets, so the person must read what it is for."""
    plan = baseline_plan(heavy_in_core(cash=Decimal(0)), make_settings(min_cash=60.0, max_portfolio_change=50), DAY)
    assert {trade.side for trade in plan.trades} == {Side.SELL}
    assert "Raises cash towards min_cash, 60 % of the account" in {trade.reason for trade in plan.trades}


def offered(*choices: dict[str, int], failed: bool = False) -> Rebalancing:
    """What is made of choices of a solver that cannot be trusted."""
    snapshot, exits = heavy_in_core(), Exits((), (), frozenset(), ())
    posed = pose(snapshot, SETTINGS, DAY, exits)
    symbols = [one.symbol for one in posed.market.tradable]
    arrays = [np.array([float(choice.get(symbol, 0)) for symbol in symbols]) for choice in choices]
    return best_kept(Found(arrays, failed), posed, exits, snapshot, SETTINGS, DAY)


def test_a_choice_that_the_guard_would_refuse_gives_way_to_the_next_and_the_plan_says_so() -> None:
    kept = offered({"AAPL": 11}, {"SPY": -1_000}, {"AAPL": 10})
    assert [(trade.side, trade.quantity, trade.symbol) for trade in kept.trades] == [(Side.BUY, 10, "AAPL")]
    assert [note.split(":")[0] for note in kept.notes] == [
        "A better plan was dropped, since the guard would refuse it on risk_threshold"
    ]


def test_where_no_choice_keeps_the_limits_nothing_is_rebalanced_and_the_plan_says_so() -> None:
    kept = offered({"AAPL": 11}, {"SPY": -1_000}, failed=True)
    assert kept.trades == ()
    assert kept.notes[0] == "The solver gave no answer; this is the greedy plan."
    assert kept.notes[-1] == "No plan kept every limit; nothing was rebalanced."


def test_two_symbols_of_one_contract_are_traded_as_one() -> None:
    known = heavy_in_core()
    contracts = {**known.contracts, "BRK B": contract("BRK B", conid=4)}
    plan = baseline_plan(known.model_copy(update={"contracts": contracts}), SETTINGS, DAY)
    assert "AAPL" in {trade.symbol for trade in plan.trades}
    assert "BRK B: it is the same contract as AAPL; not traded." in plan.notes


def test_a_price_out_of_this_world_freezes_its_symbol_alone() -> None:
    tiny = Decimal("1e-20")
    quotes = {"AAPL": quote("AAPL", tiny)}
    contracts = {**SNAPSHOT.contracts, "AAPL": contract("AAPL", min_tick=tiny)}
    rows = [position("SPY", 400), position("VTI", 400)]
    account = heavy_in_core(positions=rows, quotes=quotes, contracts=contracts, cash=Decimal(20_000))
    plan = baseline_plan(account, SETTINGS, DAY)
    assert "BRK B" in {trade.symbol for trade in plan.trades}
    assert "AAPL: its price or its amounts are not to be believed; not traded." in plan.notes


def test_after_the_daily_loss_nothing_is_bought_and_the_plan_says_so() -> None:
    plan = baseline_plan(heavy_in_core(), SETTINGS, DAY.model_copy(update={"first_net_liquidation": Decimal(110_000)}))
    assert {trade.side for trade in plan.trades} == {Side.SELL}
    assert plan.notes[0].startswith("Nothing is bought: the account was 9.1")


def test_a_limit_between_two_ticks_does_not_cost_the_whole_plan() -> None:
    """5 % of it is half a millionth of a dollar below 5,000 USD, which floats take for met."""
    settings = make_settings(risk_threshold=10_000, max_portfolio_change=5)
    rows = [position("SPY", 400), position("VTI", 399), position("VOO", 1, Decimal("99.99999"))]
    plan = baseline_plan(heavy_in_core(positions=rows, cash=Decimal(20_000)), settings, DAY)
    assert plan.trades
    assert not any("No plan" in note for note in plan.notes)
