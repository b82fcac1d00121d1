"""All rules together: each is asked once, and not one of them can be left out."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from portfolio.limits import RULES, judge
from portfolio.limits.case import shown
from portfolio.models import MOST, Contract, PortfolioSnapshot, Quote, Side, WhatIf, all_passed
from tests.portfolio.cases import DAY, buy, checks_of, make_case, make_snapshot, make_summary, sell, trade

ANY_MONEY = st.decimals(-MOST / 2, MOST / 2, allow_nan=False, allow_infinity=False, places=2)
MAYBE_MONEY = st.none() | ANY_MONEY


def test_an_ordinary_purchase_and_an_ordinary_sale_pass_every_rule() -> None:
    for case in (buy(), sell()):
        assert [check for check in judge(case) if check.passed is not True] == []


def test_every_rule_answers_once_under_its_own_name() -> None:
    names = [check.rule for check in judge(buy())]
    assert names == [rule.__name__ for rule in RULES]
    assert len(names) == len(set(names))


def test_an_absurd_quantity_is_refused_at_any_price_and_breaks_nothing_off() -> None:
    """A value beyond 28 digits cannot be rounded to cents, and the error took the other trades with it."""
    for quantity in (-(2**63), 10**9, 10**18, 2**63 - 1):
        for price in (Decimal("0.01"), MOST):
            for case in (buy(quantity=quantity, limit_price=price), sell(quantity=quantity, limit_price=price)):
                assert not all_passed(judge(case))


def test_a_trade_nothing_is_known_about_passes_no_rule_that_needs_a_fact() -> None:
    empty = make_snapshot(positions=[]).model_copy(
        update={"quotes": dict[str, Quote](), "contracts": dict[str, Contract](), "data_quality": ()}
    )
    day = DAY.model_copy(update={"first_net_liquidation": None})
    case = make_case(trade("NEVERHEARD", Side.BUY, 1), snapshot=empty, limit_price=None, what_if=None, day=day)
    answered = {name: check.passed for name, check in checks_of(case).items()}
    assert {name for name, passed in answered.items() if passed} == {
        "not_halted",
        "account_kind",
        "session_open",
        "whole_quantity",
        "no_short",
        "no_open_order",
        "no_unresolved_order",
        "protective_exit",
        "max_orders_per_day",
        "reversal_cooldown",
        "day_trades",
        "as_approved",
    }
    assert not all_passed(judge(case))


def test_a_check_that_did_not_pass_says_why_and_one_that_passed_says_nothing() -> None:
    bare: PortfolioSnapshot = make_snapshot(positions=[], contracts={}, data_quality=())
    for check in (*judge(buy(snapshot=bare, limit_price=None, what_if=None)), *judge(sell(quantity=10_000))):
        assert bool(check.why) is (check.passed is not True)


@given(
    st.integers(-(10**12), 10**12),
    MAYBE_MONEY,
    st.tuples(ANY_MONEY, ANY_MONEY),
    st.tuples(MAYBE_MONEY, MAYBE_MONEY, MAYBE_MONEY),
    st.tuples(MAYBE_MONEY, MAYBE_MONEY, MAYBE_MONEY),
    st.tuples(st.sampled_from(Side), st.booleans()),
)
def test_whatever_the_numbers_every_rule_answers_and_none_breaks(
    quantity: int,
    limit: Decimal | None,
    balances: tuple[Decimal, Decimal],
    prices: tuple[Decimal | None, Decimal | None, Decimal | None],
    preview: tuple[Decimal | None, Decimal | None, Decimal | None],
    kind: tuple[Side, bool],
) -> None:
    """An exception in the guard would end a run between two orders' verdicts, with nothing on record."""
    known = make_snapshot()
    bid, ask, last = prices
    quoted = known.quotes["SPY"].model_copy(update={"bid": bid, "ask": ask, "last": last})
    margin, equity, cost = preview
    case = make_case(
        trade("SPY", kind[0], quantity, protective=kind[1]),
        limit_price=limit,
        snapshot=known.model_copy(
            update={"summary": make_summary(cash=balances[0], net=balances[1]), "quotes": {"SPY": quoted}}
        ),
        what_if=WhatIf(initial_margin_after=margin, equity_after=equity, commission=cost),
    )
    checks = judge(case)
    assert len(checks) == len(RULES)
    if quantity < 1 or limit is None or limit <= 0:
        assert not all_passed(checks)


@given(st.decimals(-1000, 1000, places=6), st.decimals(-1000, 1000, places=2))
def test_an_amount_beside_its_limit_never_reads_as_if_it_were_on_the_other_side(
    actual: Decimal, limit: Decimal
) -> None:
    read = Decimal(shown(actual, limit))
    assert (read > limit) is (actual > limit)
    assert (read < limit) is (actual < limit)
