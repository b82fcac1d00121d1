from __future__ import annotations

from decimal import Decimal

import pytest
from pydantic import ValidationError

from portfolio.limits import PastTrade
from portfolio.models import AccountSummary, Check, OrderTerms, ProposedTrade, Quote, Side, WhatIf, all_passed
from tests.portfolio.cases import (
    NOW,
    SNAPSHOT,
    contract,
    make_snapshot,
    make_summary,
    make_verdict,
    open_order,
    position,
    quote,
    terms,
)


@pytest.mark.parametrize(
    "number", ["NaN", "sNaN", "Infinity", "-Infinity", "1e16", "-1e16", "1e999999", "1e-50", "-1e-10000000"]
)
def test_a_price_or_balance_that_is_no_number_never_becomes_a_fact(number: str) -> None:
    """Every comparison with NaN is false or an error: no limit could be trusted with one."""
    with pytest.raises(ValidationError):
        Quote(conid=1, symbol="SPY", bid=Decimal(number))
    with pytest.raises(ValidationError):
        AccountSummary.model_validate(make_summary().model_dump() | {"net_liquidation": number})


@pytest.mark.parametrize("quantity", [2**63, -(2**63) - 1, 10**40, 10**400])
def test_a_quantity_no_checkpoint_can_hold_never_becomes_a_trade(quantity: int) -> None:
    """It broke the run off where the plan was to be saved, past every handler and the reflection."""
    wanted = {"symbol": "SPY", "side": "BUY", "reason": "a wish"}
    assert ProposedTrade.model_validate(wanted | {"quantity": 2**63 - 1}).quantity == 2**63 - 1
    with pytest.raises(ValidationError):
        ProposedTrade.model_validate(wanted | {"quantity": quantity})


@pytest.mark.parametrize("number", ["NaN", "sNaN", "Infinity", "-Infinity", "1.1e48", "1e999999", "1e-50"])
def test_a_figure_of_a_what_if_is_at_least_a_number(number: str) -> None:
    with pytest.raises(ValidationError):
        WhatIf(equity_after=Decimal(number))


def test_three_figures_run_together_are_read_to_be_judged() -> None:
    """Refused as unreadable they would look like a broker's own error, and nobody could say what is wrong."""
    assert WhatIf(equity_after=Decimal("1500000" * 6)).equity_after == Decimal("1500000" * 6)


@pytest.mark.parametrize(
    ("answers", "awaits"),
    [
        ({"whatif": True, "whatif_warning": False}, True),
        ({"whatif": True, "whatif_warning": True}, False),
        ({"whatif": True, "whatif_warning": None}, False),
        ({"whatif": False, "whatif_warning": False}, False),
        ({"whatif": None, "whatif_warning": False}, False),
        ({"whatif": False, "whatif_warning": True}, False),
        ({"whatif_warning": False}, True),
        ({}, False),
    ],
)
def test_a_person_is_awaited_where_a_warning_alone_stands_against_a_trade(
    answers: dict[str, bool | None], *, awaits: bool
) -> None:
    """Asked about anything else, a person could approve what a limit forbids."""
    checks = tuple(Check(rule=rule, limit="", actual="", passed=passed) for rule, passed in answers.items())
    verdict = make_verdict(checks, passed=all_passed(checks))
    assert verdict.awaits_person is awaits


@pytest.mark.parametrize("change", [{"quantity": 0}, {"quantity": -1}, {"quantity": 1.5}, {"limit_price": Decimal(0)}])
def test_an_order_has_whole_shares_and_a_positive_price(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        OrderTerms.model_validate(terms("SPY", Side.BUY, 1).model_dump() | change)


@pytest.mark.parametrize("answers", [(), (False,), (True, False), (None,), (True, None)])
def test_a_verdict_cannot_claim_more_than_its_checks(answers: tuple[bool | None, ...]) -> None:
    checks = tuple(Check(rule="x", limit="1", actual="1", passed=answer) for answer in answers)
    with pytest.raises(ValidationError, match="against its own checks"):
        make_verdict(checks, passed=True)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError):
        PastTrade(symbol="SPY", side=Side.BUY, traded_at=NOW.replace(tzinfo=None))


def test_what_is_held_is_found_under_any_spelling_and_by_contract() -> None:
    """Two names for one holding would each have the whole position limit."""
    rows = [position("BRK.B", 10, conid=5), position("BERKSHIRE B", 7, conid=5), position("SPY", 3)]
    snapshot = make_snapshot(positions=rows)
    assert snapshot.held("BRK B") == 17
    assert snapshot.held("brk b") == 10
    assert snapshot.held("SPY") == 3
    assert snapshot.held("AAPL") == 0


def test_an_empty_position_is_no_position() -> None:
    assert make_snapshot(positions=[position("SPY", 0)]).positions_in("SPY") == ()


def test_open_orders_are_found_by_contract_too() -> None:
    order = open_order("SPY", Side.BUY, 5, symbol="SPDR S&P")
    snapshot = make_snapshot(open_orders=(order,))
    assert snapshot.open_orders_in("SPY") == (order,)
    assert snapshot.open_orders_in("VTI") == ()
    assert SNAPSHOT.rows_in("UNKNOWN", [order]) == ()


def test_an_order_that_has_filled_more_than_it_was_for_promises_nothing() -> None:
    assert open_order("SPY", Side.SELL, 5, filled_quantity=2).remaining == 3
    assert open_order("SPY", Side.SELL, 5, filled_quantity=9).remaining == 0


def test_the_mid_price_needs_both_sides() -> None:
    assert quote("SPY", bid=Decimal(99), ask=Decimal(101)).mid == 100
    assert quote("SPY", bid=None).mid is None
    assert contract("SPY").min_tick == Decimal("0.01")


@pytest.mark.parametrize("year", [1, 1969, 9999])
def test_a_time_far_from_ours_is_refused(year: int) -> None:
    """Arithmetic with it leaves the calendar."""
    with pytest.raises(ValidationError):
        PastTrade(symbol="SPY", side=Side.BUY, traded_at=NOW.replace(year=year))
