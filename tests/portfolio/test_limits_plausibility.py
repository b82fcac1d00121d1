"""The order is 5 shares at 100 USD, in an account worth 100,000 of which 90,000 are held, at a margin of 50,000.

Prices may move 5 % of what is held and ordered: 4,525 USD.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio.limits.plausibility import are_run_together, impossible_figures, missing_figures
from portfolio.models import WhatIf
from tests.portfolio.cases import WHAT_IF, buy, make_snapshot, make_summary, sell

VALUE = Decimal(500)
CENT = Decimal("0.01")


def test_an_ordinary_answer_holds_nothing_impossible() -> None:
    for case in (buy(), sell()):
        assert impossible_figures(case, VALUE, WHAT_IF) == {}
    assert missing_figures(WHAT_IF) == {}
    assert set(missing_figures(WhatIf())) == {"initial_margin_after", "equity_after", "commission"}


@pytest.mark.parametrize(
    ("field", "lowest", "highest"),
    [
        ("initial_margin_before", "45475", "54525"),
        ("initial_margin_after", "45475", "95025"),
        ("maintenance_margin_before", "20475", "29525"),
        ("maintenance_margin_after", "20475", "95025"),
        ("equity_before", "95475", "104525"),
        ("equity_after", "94975", "105025"),
    ],
)
def test_a_figure_of_a_purchase_is_believed_from_lowest_to_highest_and_not_a_cent_beyond(
    field: str, lowest: str, highest: str
) -> None:
    """Up to the whole value of all that is held and bought may be asked for as margin."""
    for told in (Decimal(lowest), Decimal(highest)):
        assert impossible_figures(buy(), VALUE, WhatIf.model_validate({field: told})) == {}
    for told in (Decimal(lowest) - CENT, Decimal(highest) + CENT):
        found = impossible_figures(buy(), VALUE, WhatIf.model_validate({field: told}))
        assert set(found) == {field}
        assert f"{told} USD cannot be true" in found[field]


@pytest.mark.parametrize("field", ["initial_margin_after", "maintenance_margin_after"])
def test_after_a_sale_there_may_be_no_margin_left_and_none_is_owed_beyond_what_is_held(field: str) -> None:
    for told in ("0", "94525"):
        assert impossible_figures(sell(), VALUE, WhatIf.model_validate({field: told})) == {}
    for told in ("-0.01", "94525.01"):
        assert set(impossible_figures(sell(), VALUE, WhatIf.model_validate({field: told}))) == {field}


@pytest.mark.parametrize("field", ["initial_margin_after", "maintenance_margin_after", "equity_after", "equity_before"])
def test_no_purchase_leaves_an_account_without_margin_or_equity(field: str) -> None:
    """However little it has and holds: 0 is near to that."""
    bare = {"initial_margin": Decimal(0), "maintenance_margin": Decimal(0)}
    small = make_snapshot(summary=make_summary(cash=Decimal(400), net=Decimal(400)).model_copy(update=bare))
    assert set(impossible_figures(buy(snapshot=small), VALUE, WhatIf.model_validate({field: 0}))) == {field}


@pytest.mark.parametrize(
    ("written", "now", "expected"),
    [
        ("4000095340953", 40_000, True),
        ("10000001500001150000", 1_000_000, True),
        ("1000000100000", 100_000, True),
        ("250250", 0, True),
        ("00", 0, False),
        ("4000095340954", 40_000, True),
        ("4000095340955", 40_000, False),
        ("4000095340953.27", 40_000, True),
        ("4000095340953", 90_000, False),
        ("51000", 50_000, False),
        ("9999900", 100_000, False),
        ("-4000095340953", 40_000, False),
        ("0", 0, False),
        ("7", 0, False),
        ("0.5", 0, False),
    ],
)
def test_three_figures_run_together_are_recognised(written: str, now: int, *, expected: bool) -> None:
    assert are_run_together(Decimal(written), Decimal(now), Decimal(4_525)) is expected


@given(st.decimals(-(10**48), 10**48, allow_nan=False, allow_infinity=False), st.integers(0, 10**6))
def test_whatever_the_figure_the_question_has_an_answer(figure: Decimal, now: int) -> None:
    assert are_run_together(figure, Decimal(now), Decimal(now) / 20) in (True, False)
