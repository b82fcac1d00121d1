"""The order is 5 shares at 100 USD, in an account worth 100,000."""

from __future__ import annotations

from decimal import Decimal

import pytest

from portfolio.limits import Case
from portfolio.limits.preview import whatif
from portfolio.models import Account, WhatIf
from tests.portfolio.cases import LIVE, WHAT_IF, buy, make_settings, make_snapshot, sell


def said(**changes: object) -> WhatIf:
    return WHAT_IF.model_copy(update=changes)


def preview(**changes: object) -> Case:
    return buy(what_if=said(**changes))


def test_a_plausible_preview_passes() -> None:
    assert whatif(buy()).passed
    assert whatif(sell()).passed


def test_margin_of_exactly_the_equity_passes_and_a_cent_more_fails() -> None:
    assert whatif(preview(initial_margin_after=Decimal("99999.00"))).passed
    assert whatif(preview(initial_margin_after=Decimal("99999.01"))).passed is False


def test_a_commission_of_two_percent_is_still_believed_and_a_cent_more_not() -> None:
    assert whatif(preview(commission=Decimal("10.00"))).passed
    assert whatif(preview(commission=Decimal("10.01"))).passed is False
    assert whatif(preview(commission=Decimal(0))).passed
    assert whatif(preview(commission=Decimal("-0.01"))).passed is False


def test_equity_may_differ_from_the_account_by_the_order_and_five_percent_and_a_cent_more_fails() -> None:
    for equity in ("94500.00", "105500.00"):
        assert whatif(preview(equity_after=Decimal(equity))).passed
    for equity in ("94499.99", "105500.01"):
        assert whatif(preview(equity_after=Decimal(equity))).passed is False


def test_zeros_in_place_of_figures_do_not_pass() -> None:
    """A server without a preview may send zeros: margin 0 would be within equity 0."""
    zeros = said(initial_margin_after=Decimal(0), equity_after=Decimal(0), commission=Decimal(0))
    small = make_snapshot(cash=Decimal(400), positions=[])
    assert whatif(buy(what_if=zeros)).passed is False
    assert whatif(buy(what_if=zeros, snapshot=small)).passed is False
    assert whatif(sell(what_if=zeros, snapshot=small)).passed is False
    assert whatif(preview(initial_margin_after=Decimal(0))).passed is False


def test_after_the_last_sale_there_is_no_margin() -> None:
    assert whatif(sell(what_if=said(initial_margin_after=Decimal(0)))).passed


@pytest.mark.parametrize(
    "change",
    [{"initial_margin_after": Decimal(-1)}, {"equity_after": Decimal(-99_999)}, {"equity_after": Decimal(9_999_900)}],
)
def test_figures_that_cannot_be_true_fail(change: dict[str, object]) -> None:
    assert whatif(preview(**change)).passed is False


@pytest.mark.parametrize("change", [{"error": "201: order rejected"}, {"warning": "399: not until tomorrow"}])
def test_an_error_or_a_warning_fails_and_is_repeated(change: dict[str, str]) -> None:
    check = whatif(preview(**change))
    assert check.passed is False
    assert next(iter(change.values())) in check.why


@pytest.mark.parametrize("field", ["initial_margin_after", "equity_after", "commission"])
def test_a_missing_figure_is_not_evaluated(field: str) -> None:
    assert whatif(preview(**{field: None})).passed is None


def test_without_an_answer_or_a_value_it_is_not_evaluated() -> None:
    assert whatif(buy(what_if=None)).passed is None
    assert whatif(buy(limit_price=None)).passed is None


def test_where_it_is_not_required_a_paper_account_is_exempt_and_a_live_one_never() -> None:
    lax = make_settings(require_whatif=False)
    assert whatif(buy(what_if=None, settings=lax)).passed
    live = make_snapshot(account=Account(account_id=LIVE))
    assert whatif(buy(what_if=None, settings=lax, snapshot=live)).passed is None
