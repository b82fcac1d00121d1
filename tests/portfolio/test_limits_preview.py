"""The order is 5 shares at 100 USD, in an account worth 100,000 of which 90,000 are held, at a margin of 50,000.

So 1,000 USD of buffer are asked for, and the broker says 50,250 of margin, 99,999 of equity and 1 of commission.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio.limits import Batch, Case, judge
from portfolio.limits.preview import whatif, whatif_warning
from portfolio.models import Account, PortfolioSnapshot, Side, WhatIf, all_passed
from tests.portfolio.cases import (
    DAY,
    LIVE,
    SETTINGS,
    SNAPSHOT,
    WHAT_IF,
    buy,
    make_settings,
    make_snapshot,
    make_summary,
    make_verdict,
    open_order,
    position,
    sell,
    terms,
    trade,
)

STRICT = make_settings(whatif_fallback="reject")
LAX = make_settings(require_whatif=False)
ON_LIVE = make_snapshot(account=Account(account_id=LIVE))
WARNING = "399: not until tomorrow"


def said(**changes: Any) -> WhatIf:
    return WHAT_IF.model_copy(update=changes)


def preview(**changes: Any) -> Case:
    """A purchase whose what-if says something else, where only the broker's own figures decide."""
    return buy(what_if=said(**changes), settings=STRICT)


def balances(**changes: Any) -> PortfolioSnapshot:
    return make_snapshot(summary=make_summary().model_copy(update=changes))


# --- figures that can be true -----------------------------------------------------------------------------------


def test_a_plausible_preview_passes_and_says_its_figures() -> None:
    assert whatif(buy()).actual == "50,250.00 <= 98,999.00, commission 1.00"
    assert whatif(buy()).limit == "margin <= equity - 1.0 % of the account, commission <= 1.1 %"
    assert whatif(buy()).why == ""
    assert whatif(sell()).passed


@pytest.mark.parametrize(
    ("buffer", "most"), [(1, "98999.00"), (0, "99999.00"), (5, "94999.00"), (12.5, "87499.00"), (0.1, "99899.00")]
)
def test_margin_up_to_equity_less_the_buffer_passes_and_a_cent_more_fails(buffer: float, most: str) -> None:
    settings = make_settings(whatif_buffer=buffer, whatif_fallback="reject")
    at, over = (said(initial_margin_after=Decimal(most) + cent) for cent in (Decimal(0), Decimal("0.01")))
    held = balances(initial_margin=Decimal(most))
    assert whatif(buy(what_if=at, settings=settings, snapshot=held)).passed
    check = whatif(buy(what_if=over, settings=settings, snapshot=held))
    assert check.passed is False
    assert " > " in check.actual
    assert check.why.startswith("SPY: it needs ")


def test_a_cash_account_that_is_asked_for_all_of_its_shares_keeps_trading_down_to_the_buffer() -> None:
    """The least cash asked for is 1 % by default; the buffer must not silently ask for more."""
    snapshot = balances(total_cash=Decimal(1_501), initial_margin=Decimal(98_499), gross_position_value=Decimal(98_499))
    filled = said(initial_margin_after=Decimal(98_999), equity_after=Decimal(99_999))
    assert whatif(buy(what_if=filled, snapshot=snapshot, settings=STRICT)).passed


@pytest.mark.parametrize(
    ("percent", "most"), [(1.1, "5.50"), (1, "5.00"), (0.2, "1.00"), (0.001, "0.01"), (100, "500.00")]
)
def test_a_commission_of_exactly_the_most_passes_and_a_cent_more_fails(percent: float, most: str) -> None:
    settings = make_settings(max_commission=percent, whatif_fallback="reject")
    assert whatif(buy(what_if=said(commission=Decimal(most)), settings=settings)).passed
    over = whatif(buy(what_if=said(commission=Decimal(most) + Decimal("0.01")), settings=settings))
    assert over.passed is False
    assert over.why.endswith(f"is above {most} USD")


@pytest.mark.parametrize(
    ("quantity", "price", "cost"),
    [
        (1, "20.00", "0.20"),
        (1, "33.33", "0.34"),
        (1, "99.99", "1.00"),
        (1, "455.10", "1.00"),
        (1000, "0.40", "4.20"),
        (1, "80.00", "0.81"),
        (10_000, "12.34", "50.00"),
    ],
)
def test_by_default_every_commission_of_interactive_brokers_passes(quantity: int, price: str, cost: str) -> None:
    """One at the cap of 1 % is rounded, bears a regulator's fee, or is of a sale that fills above its limit."""
    case = sell(quantity=quantity, limit_price=Decimal(price), what_if=said(commission=Decimal(cost)), settings=STRICT)
    assert whatif(case).passed


def test_no_commission_passes_and_a_negative_one_cannot_be_true() -> None:
    assert whatif(preview(commission=Decimal(0))).passed
    check = whatif(preview(commission=Decimal("-0.01")))
    assert check.passed is False
    assert check.why.endswith("its commission of -0.01 USD is below 0")


# --- the batch before it ----------------------------------------------------------------------------------------


def test_the_earlier_purchases_of_the_batch_need_margin_and_all_its_orders_cost_commission() -> None:
    """The broker knows nothing of them: 4,000 USD need 2,000 more, and two orders cost 2."""
    batch = (terms("GME", Side.SELL, 40), terms("VTI", Side.BUY, 40))
    assert whatif(buy(batch=batch)).actual == "52,250.00 <= 98,997.00, commission 1.00"


def test_what_the_batch_needs_decides_to_the_cent() -> None:
    held = balances(initial_margin=Decimal(98_000))
    order = terms("VTI", Side.BUY, 1, limit_price=Decimal("100.02"))
    for margin, passed in (("98947.99", True), ("98948.00", False)):
        case = buy(what_if=said(initial_margin_after=Decimal(margin)), snapshot=held, settings=STRICT, batch=(order,))
        assert whatif(case).passed is passed


def test_sales_of_the_batch_are_not_credited() -> None:
    sold = (terms("GME", Side.SELL, 50),)
    held = balances(initial_margin=Decimal(98_000))
    case = buy(what_if=said(initial_margin_after=Decimal("98999.00")), snapshot=held, settings=STRICT, batch=sold)
    assert whatif(case).passed is False


def test_a_sale_is_the_way_out_of_too_much_margin_unless_it_adds_to_it() -> None:
    """A protective exit from an account over its margin must not be refused for being over its margin."""
    over = balances(initial_margin=Decimal(99_900))
    for margin, passed in (("99900.00", True), ("99900.01", False)):
        check = whatif(
            sell(what_if=said(initial_margin_after=Decimal(margin)), snapshot=over, settings=STRICT, protective=True)
        )
        assert check.passed is passed
        assert " > 98,999.00" in check.actual


def test_before_the_order_is_what_the_broker_says_it_is() -> None:
    over = balances(initial_margin=Decimal(99_000))
    told = said(initial_margin_before=Decimal(99_500), initial_margin_after=Decimal(99_400))
    assert whatif(sell(what_if=told, snapshot=over, settings=STRICT)).passed


# --- refusals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [SETTINGS, STRICT])
def test_an_error_is_refused_and_repeated_whatever_the_figures_and_settings(settings: Any) -> None:
    check = whatif(buy(what_if=said(error="201: order rejected"), settings=settings))
    assert check.passed is False
    assert check.why == "SPY: the broker says: 201: order rejected"
    assert whatif(buy(what_if=WhatIf(error="no answer in time"), settings=settings)).passed is False


@pytest.mark.parametrize("snapshot", [SNAPSHOT, ON_LIVE])
def test_without_an_answer_or_a_value_it_is_not_evaluated_and_never_estimated(snapshot: PortfolioSnapshot) -> None:
    assert whatif(buy(what_if=None, snapshot=snapshot)).passed is None
    assert whatif(buy(limit_price=None, snapshot=snapshot)).passed is None
    assert whatif_warning(buy(what_if=None, snapshot=snapshot)).passed is None


def test_where_it_is_not_required_a_paper_account_is_exempt_and_a_live_one_never() -> None:
    for rule in (whatif, whatif_warning):
        assert rule(buy(what_if=None, settings=LAX)).passed
        assert rule(buy(what_if=None, settings=LAX, snapshot=ON_LIVE)).passed is None


@pytest.mark.parametrize("field", ["initial_margin_after", "equity_after", "commission"])
def test_a_missing_figure_is_not_evaluated_where_nothing_is_estimated(field: str) -> None:
    for case in (preview(**{field: None}), buy(what_if=said(**{field: None}), snapshot=ON_LIVE)):
        check = whatif(case)
        assert check.passed is None
        assert check.why.endswith("is missing")


def test_zeros_in_place_of_figures_do_not_pass() -> None:
    """A server without a preview may send zeros: margin 0 would be within equity 0."""
    zeros = said(initial_margin_after=Decimal(0), equity_after=Decimal(0), commission=Decimal(0))
    small = make_snapshot(cash=Decimal(400), positions=[])
    for case in (buy(what_if=zeros), buy(what_if=zeros, snapshot=small), sell(what_if=zeros, snapshot=small)):
        assert whatif(replace(case, settings=STRICT)).passed is False


# --- our own estimate -------------------------------------------------------------------------------------------


GLUED = said(initial_margin_after=Decimal(5000025050250), equity_after=None, commission=None)


def test_on_paper_our_own_estimate_stands_in_for_missing_figures_and_says_so() -> None:
    check = whatif(buy(what_if=WhatIf()))
    assert check.passed
    assert check.actual == ("estimate: 50,250.00 <= 98,999.00, commission 1.00, the broker's figures are missing")
    assert check.why == (
        "SPY: of the broker's what-if its initial margin is missing and its equity is missing and its commission is "
        "missing, so our own estimate decides"
    )


def test_figures_run_together_are_named_and_the_estimate_decides() -> None:
    check = whatif(buy(what_if=GLUED))
    assert check.passed
    assert check.actual.endswith("the broker's figures cannot be true")
    assert "its initial margin 5000025050250 looks like three figures run together" in check.why


def test_figures_run_together_are_named_where_they_are_refused_too() -> None:
    for case in (buy(what_if=GLUED, settings=STRICT), buy(what_if=GLUED, snapshot=ON_LIVE)):
        check = whatif(case)
        assert check.passed is False
        assert "looks like three figures run together" in check.why


def test_the_estimate_counts_the_batch_and_holds_to_the_cent() -> None:
    """Of 100,000 the buffer takes 1,000, fees 1 and 0.02, the order 250 and the batch 1: 98,747.98 may be there."""
    one = (terms("VTI", Side.BUY, 1, limit_price=Decimal(2)),)
    for margin, passed in (("98747.98", True), ("98747.99", False)):
        case = buy(what_if=WhatIf(), snapshot=balances(initial_margin=Decimal(margin)), batch=one)
        check = whatif(case)
        assert check.passed is passed
        assert "estimate" in check.actual
        assert "our own estimate decides" in check.why


def test_the_estimate_takes_what_is_held_for_no_less_than_half_its_value_in_margin() -> None:
    """A server that sends zeros for a preview may send them for a balance."""
    assert whatif(buy(what_if=WhatIf(), snapshot=balances(initial_margin=Decimal(0)))).actual.startswith(
        "estimate: 45,250.00 "
    )


def test_the_estimate_counts_working_purchases_at_their_whole_cost() -> None:
    waiting = make_snapshot(open_orders=(open_order("VTI", Side.BUY, 10),))
    assert whatif(buy(what_if=WhatIf(), snapshot=waiting)).actual.startswith("estimate: 51,251.00 ")
    unpriced = make_snapshot(open_orders=(open_order("VTI", Side.BUY, 10, order_type="MKT", limit_price=None),))
    assert whatif(buy(what_if=WhatIf(), snapshot=unpriced)).passed is None


@pytest.mark.parametrize(
    "change",
    [{"initial_margin": Decimal(-1)}, {"equity_with_loan": Decimal(0)}, {"equity_with_loan": Decimal(-1)}],
)
def test_nothing_is_estimated_from_balances_that_make_no_sense(change: dict[str, Decimal]) -> None:
    check = whatif(buy(what_if=WhatIf(), snapshot=balances(**change)))
    assert check.passed is None
    assert "allow no estimate" in check.why


def test_a_figure_that_can_be_true_counts_beside_the_estimate_where_it_is_worse() -> None:
    """A broker that says plainly that the margin is not there is not outvoted because it forgot the commission."""
    held = balances(gross_position_value=Decimal(100_000))
    told = said(initial_margin_after=Decimal("99500.00"), commission=None)
    assert whatif(buy(what_if=told, snapshot=held)).passed is False
    assert whatif(buy(what_if=said(equity_after=None, commission=Decimal("5.51")))).passed is False
    assert whatif(buy(what_if=said(initial_margin_after=None, equity_after=Decimal(95_000)))).actual.startswith(
        "estimate: 50,250.00 <= 94,000.00"
    )


def test_the_estimate_of_a_sale_frees_nothing_and_lets_it_out() -> None:
    assert whatif(sell(what_if=WhatIf())).actual.startswith("estimate: 50,000.00 <= ")
    over = balances(initial_margin=Decimal(99_900))
    assert whatif(sell(what_if=WhatIf(), snapshot=over, protective=True)).passed


def test_on_paper_it_may_be_refused_instead() -> None:
    assert whatif(buy(what_if=WhatIf(), settings=STRICT)).passed is None


CLAIMS = st.none() | st.decimals(-(10**48), 10**48, allow_nan=False, allow_infinity=False, places=2)
NEAR = st.none() | st.decimals(-200_000, 200_000, allow_nan=False, places=2)
ANSWERS = st.builds(
    WhatIf,
    **{field: CLAIMS | NEAR for field in WhatIf.model_fields if field not in {"warning", "error"}},
    warning=st.sampled_from([None, WARNING]),
    error=st.sampled_from([None, None, "201: no"]),
)
TRADES = st.builds(trade, st.just("SPY"), st.sampled_from(Side), st.integers(1, 50))


@given(ANSWERS, TRADES, st.sampled_from([SETTINGS, STRICT, LAX]))
def test_on_a_live_account_nothing_is_ever_estimated(answer: WhatIf, wanted: Any, settings: Any) -> None:
    check = whatif(replace(buy(what_if=answer, settings=settings, snapshot=ON_LIVE), trade=wanted))
    assert "estimate" not in check.actual + check.why
    if answer.error or None in (answer.initial_margin_after, answer.equity_after, answer.commission):
        assert check.passed is not True


@given(ANSWERS, TRADES, st.sampled_from([SETTINGS, STRICT]))
def test_whatever_the_broker_says_there_is_an_answer_and_errors_are_never_passed(
    answer: WhatIf, wanted: Any, settings: Any
) -> None:
    case = replace(buy(what_if=answer, settings=settings), trade=wanted)
    check = whatif(case)
    if answer.error:
        assert check.passed is False
    if check.passed is not True:
        assert check.why
    if check.passed and "estimate" not in check.actual:
        assert answer.initial_margin_after is not None
        assert answer.equity_after is not None
        assert 0 <= answer.initial_margin_after < 200_000
        assert 0 < answer.equity_after < 200_000
    assert whatif_warning(case).passed is (answer.warning is None)


@given(
    st.integers(100, 5_000_000),
    st.integers(100, 5_000_000),
    st.integers(1, 2_000),
    st.sampled_from(Side),
    st.sampled_from(["initial_margin_after", "equity_after", "maintenance_margin_after"]),
)
def test_figures_run_together_never_pass_for_the_brokers(
    cash: int, held: int, shares: int, side: Side, field: str
) -> None:
    """An account of any size, an order of any part of it, and a server that leaves out what separates the figures."""
    shares = min(shares, max((cash if side is Side.BUY else held) // 100, 1))
    snapshot = make_snapshot(cash=Decimal(cash), positions=[position("SPY", 1, Decimal(held))])
    summary = snapshot.summary.model_copy(update={"initial_margin": held // 2, "maintenance_margin": held // 4})
    change = {"initial_margin_after": 50 * shares, "maintenance_margin_after": 25 * shares, "equity_after": 0}[field]
    was = {"initial_margin_after": held // 2, "maintenance_margin_after": held // 4, "equity_after": cash + held}[field]
    glued = Decimal(f"{was}{change}{was + change}")
    true = WhatIf(
        initial_margin_after=summary.initial_margin + 50 * shares * (side is Side.BUY),
        equity_after=summary.equity_with_loan,
        commission=Decimal(1),
    )
    case = buy(
        snapshot=snapshot.model_copy(update={"summary": summary}),
        what_if=true.model_copy(update={field: glued}),
        settings=STRICT,
    )
    check = whatif(replace(case, trade=trade("SPY", side, shares)))
    assert check.passed is False
    assert "looks like three figures run together" in check.why


# --- warnings ---------------------------------------------------------------------------------------------------


def test_a_warning_leaves_the_figures_to_be_judged_and_stops_the_order() -> None:
    case = buy(what_if=said(warning=WARNING))
    assert whatif(case).passed
    check = whatif_warning(case)
    assert check.passed is False
    assert check.actual == f"SPY: {WARNING}"
    assert WARNING in check.why
    assert whatif_warning(buy()).actual == "none"


def test_a_warning_stops_the_order_where_no_preview_is_required_too() -> None:
    assert whatif_warning(buy(what_if=said(warning=WARNING), settings=LAX)).passed is False


@pytest.mark.parametrize(
    ("accepted", "passed"),
    [
        ({f"SPY: {WARNING}"}, True),
        ({f"SPY: {WARNING}", "VTI: something else"}, True),
        ({WARNING}, False),
        ({f"VTI: {WARNING}"}, False),
        ({f"SPY: {WARNING} and more"}, False),
        (set[str](), False),
    ],
)
def test_a_person_approves_one_text_for_one_symbol(accepted: set[str], *, passed: bool) -> None:
    case = buy(what_if=said(warning=WARNING), accepted_warnings=frozenset(accepted))
    assert whatif_warning(case).passed is passed


def test_what_the_failed_check_says_is_what_approves_it() -> None:
    wanted = trade("SPY", Side.BUY, 5)
    batch = Batch(SNAPSHOT, SETTINGS, DAY)
    order = batch.draft(wanted)
    checks = judge(batch.case(wanted, order, said(warning=WARNING)))
    verdict = make_verdict(checks, wanted, passed=all_passed(checks))
    assert verdict.awaits_person
    accepted = frozenset(check.actual for check in verdict.failures)
    seen = replace(batch, accepted_warnings=accepted)
    assert all_passed(judge(seen.case(wanted, order, said(warning=WARNING))))
    assert not all_passed(judge(seen.case(wanted, order, said(warning="another"))))
