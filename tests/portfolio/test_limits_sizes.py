"""Limit exactly met passes, one cent or one share more fails; net liquidation is 100,000 USD, a share 100."""

from __future__ import annotations

from decimal import Decimal

import pytest

from portfolio.limits.sizes import (
    max_portfolio_change,
    max_position_size,
    max_positions,
    max_trade_value,
    min_cash,
    risk_threshold,
)
from portfolio.models import Side
from tests.portfolio.cases import (
    CONIDS,
    DAY,
    PRICE,
    buy,
    make_settings,
    make_snapshot,
    make_summary,
    open_order,
    position,
    sell,
    terms,
)

CENT = Decimal("0.01")
BROKE = make_snapshot(summary=make_summary(net=Decimal(0)))
INDEBTED = make_snapshot(summary=make_summary(net=Decimal(-100_000)))


class TestRiskThreshold:
    def test_exactly_the_threshold_passes_and_a_cent_more_fails(self) -> None:
        assert risk_threshold(buy(quantity=10)).passed
        over = risk_threshold(buy(quantity=1, limit_price=Decimal("1000.01")))
        assert over.passed is False
        assert over.actual == "1000.01"

    def test_it_binds_sales_too(self) -> None:
        assert risk_threshold(sell(quantity=11)).passed is False

    def test_a_protective_exit_is_exempt(self) -> None:
        assert risk_threshold(sell(quantity=100, protective=True)).actual == "exempt"

    @pytest.mark.parametrize("quantity", [0, -5])
    def test_without_a_sane_quantity_it_is_not_evaluated(self, quantity: int) -> None:
        """A negative value would be below every limit."""
        assert risk_threshold(buy(quantity=quantity)).passed is None

    @pytest.mark.parametrize("price", [None, Decimal(0), Decimal(-100)])
    def test_without_a_positive_price_it_is_not_evaluated(self, price: Decimal | None) -> None:
        assert risk_threshold(buy(limit_price=price)).passed is None


class TestMaxTradeValue:
    def test_exactly_the_limit_passes_and_a_cent_more_fails(self) -> None:
        assert max_trade_value(sell(quantity=100)).passed
        assert max_trade_value(sell(quantity=1, limit_price=Decimal("10000.01"))).passed is False

    def test_a_protective_exit_is_not_exempt(self) -> None:
        assert max_trade_value(sell(quantity=101, protective=True)).passed is False

    def test_without_a_value_it_is_not_evaluated(self) -> None:
        assert max_trade_value(buy(limit_price=None)).passed is None
        assert max_trade_value(buy(limit_price=Decimal(-1))).passed is None


class TestMaxPortfolioChange:
    def test_the_orders_of_a_run_together_may_be_exactly_the_limit(self) -> None:
        earlier = Decimal(4_500)
        assert max_portfolio_change(buy(quantity=5, discretionary_value=earlier)).passed
        assert max_portfolio_change(sell(quantity=5, discretionary_value=earlier)).passed
        over = max_portfolio_change(buy(quantity=5, discretionary_value=earlier + CENT))
        assert over.passed is False
        assert over.actual == "5.01", "a cent too much must not read like exactly the limit"

    def test_a_protective_exit_is_exempt(self) -> None:
        assert max_portfolio_change(sell(quantity=300, protective=True)).passed

    def test_in_an_account_that_is_worth_nothing_it_is_not_evaluated(self) -> None:
        assert max_portfolio_change(buy(snapshot=BROKE)).passed is None
        assert max_portfolio_change(buy(snapshot=INDEBTED)).passed is None
        assert max_portfolio_change(buy(limit_price=None)).passed is None


class TestMaxPositionSize:
    """SPY is 30 % of the portfolio, and its rule allows 40 %: 100 shares more."""

    def test_exactly_the_cap_passes_and_a_share_more_fails(self) -> None:
        assert max_position_size(buy(quantity=100)).passed
        assert max_position_size(buy(quantity=101)).passed is False

    def test_a_cent_over_the_cap_fails_and_says_so(self) -> None:
        snapshot = make_snapshot(
            positions=[position("SPY", 300, market_value=Decimal("39500.01")), position("VTI", 505)],
            summary=make_summary(),
        )
        over = max_position_size(buy(quantity=5, snapshot=snapshot))
        assert over.passed is False
        assert (over.limit, over.actual) == ("40.0", "40.01")

    def test_a_symbol_that_is_not_held_starts_from_nothing(self) -> None:
        assert max_position_size(buy("VOO", 400)).passed
        assert max_position_size(buy("VOO", 401)).passed is False

    def test_open_orders_and_the_batch_count_at_the_dearer_price(self) -> None:
        working = make_snapshot(open_orders=(open_order("SPY", Side.BUY, 60, filled_quantity=10),))
        assert max_position_size(buy(quantity=50, snapshot=working)).passed
        assert max_position_size(buy(quantity=51, snapshot=working)).passed is False
        dear = (terms("SPY", Side.BUY, 40, limit_price=PRICE * 2),)
        assert max_position_size(buy(quantity=20, batch=dear)).passed
        assert max_position_size(buy(quantity=21, batch=dear)).passed is False

    def test_a_sale_in_the_batch_makes_no_room(self) -> None:
        assert max_position_size(buy(quantity=101, batch=(terms("SPY", Side.SELL, 300),))).passed is False

    def test_what_is_held_counts_at_the_limit_price_where_that_is_dearer_or_the_mark_is_missing(self) -> None:
        unmarked = make_snapshot(positions=[position("SPY", 300, None)], summary=make_summary())
        assert max_position_size(buy(quantity=100, snapshot=unmarked)).passed
        assert max_position_size(buy(quantity=101, snapshot=unmarked)).passed is False
        assert max_position_size(buy(quantity=100, limit_price=PRICE + CENT)).passed is False

    def test_a_holding_under_another_spelling_or_in_two_rows_counts(self) -> None:
        rows = [position("BRK.B", 150, conid=CONIDS["BRK B"]), position("BRK B", 100)]
        snapshot = make_snapshot(positions=rows, summary=make_summary())
        assert max_position_size(buy("BRK B", 50, snapshot=snapshot)).passed
        assert max_position_size(buy("BRK B", 51, snapshot=snapshot)).passed is False

    def test_a_sale_is_exempt(self) -> None:
        assert max_position_size(sell(quantity=300)).actual == "exempt"

    def test_without_a_rule_a_value_or_a_portfolio_it_is_not_evaluated(self) -> None:
        assert max_position_size(buy("GME")).passed is None
        assert max_position_size(buy(limit_price=None)).passed is None
        assert max_position_size(buy(snapshot=BROKE)).passed is None
        assert max_position_size(buy(snapshot=INDEBTED)).passed is None


class TestMaxPositions:
    """Five symbols are held; VOO would be the sixth."""

    def test_exactly_the_limit_passes_and_one_symbol_more_fails(self) -> None:
        assert max_positions(buy("VOO", settings=make_settings(max_positions=6))).passed
        assert max_positions(buy("VOO", settings=make_settings(max_positions=5))).passed is False

    def test_more_of_what_is_held_takes_no_place(self) -> None:
        assert max_positions(buy("SPY", settings=make_settings(max_positions=5))).passed

    def test_open_unresolved_and_batched_purchases_take_a_place_and_sales_free_none(self) -> None:
        five = make_settings(max_positions=5)
        held = [position(symbol, 1) for symbol in ("SPY", "VTI", "AAPL", "BRK B")]
        free = make_snapshot(positions=held)
        assert max_positions(buy("VOO", settings=five, snapshot=free)).passed
        working = make_snapshot(positions=held, open_orders=(open_order("GME", Side.BUY, 1),))
        assert max_positions(buy("VOO", settings=five, snapshot=working)).passed is False
        batch = (terms("GME", Side.BUY, 1),)
        assert max_positions(buy("VOO", settings=five, snapshot=free, batch=batch)).passed is False
        lost = DAY.model_copy(update={"unresolved": batch})
        assert max_positions(buy("VOO", settings=five, snapshot=free, day=lost)).passed is False
        sold = (terms("SPY", Side.SELL, 1), *batch)
        assert max_positions(buy("VOO", settings=five, snapshot=free, batch=sold)).passed is False

    def test_a_sale_is_exempt_however_many_are_held(self) -> None:
        assert max_positions(sell(settings=make_settings(max_positions=1))).passed

    def test_without_a_contract_it_is_not_evaluated(self) -> None:
        assert max_positions(buy(snapshot=make_snapshot(contracts={}))).passed is None


class TestMinCash:
    """10,000 USD in cash, of which 1 % of 100,000 stay; a purchase of 1,000 or more costs 1 USD or more on top."""

    FREE_AND_CLEAR = make_settings(min_cash=0)

    def test_the_last_cent_that_may_be_spent_passes_and_one_more_fails(self) -> None:
        assert min_cash(buy(quantity=1, limit_price=Decimal("8999.00"))).passed
        over = min_cash(buy(quantity=1, limit_price=Decimal("8999.01")))
        assert over.passed is False
        assert (over.limit, over.actual) == ("1.0", "0.99")

    def test_commission_is_part_of_what_is_spent(self) -> None:
        assert min_cash(buy(quantity=89)).passed
        assert min_cash(buy(quantity=90)).passed is False, "9,000 and 1 USD of commission"

    def test_with_no_minimum_there_is_still_no_margin(self) -> None:
        assert min_cash(buy(quantity=1, limit_price=Decimal("9999.00"), settings=self.FREE_AND_CLEAR)).passed
        over = min_cash(buy(quantity=1, limit_price=Decimal("9999.01"), settings=self.FREE_AND_CLEAR))
        assert over.passed is False

    def test_purchases_of_the_batch_and_open_ones_have_spent_their_cash(self) -> None:
        batch = (terms("VTI", Side.BUY, 40),)
        assert min_cash(buy(quantity=49, batch=batch)).passed
        assert min_cash(buy(quantity=50, batch=batch)).passed is False
        working = make_snapshot(open_orders=(open_order("VTI", Side.BUY, 40),))
        assert min_cash(buy(quantity=49, snapshot=working)).passed
        assert min_cash(buy(quantity=50, snapshot=working)).passed is False
        lost = DAY.model_copy(update={"unresolved": batch})
        assert min_cash(buy(quantity=50, day=lost)).passed is False

    def test_sales_of_the_batch_count_at_their_limit_less_commission(self) -> None:
        """They are sent before any purchase, and `funding` asks what they brought before one is."""
        batch = (terms("SPY", Side.SELL, 50),)
        assert min_cash(buy("VTI", 139, batch=batch)).passed
        assert min_cash(buy("VTI", 140, batch=batch)).passed is False

    def test_a_working_sale_is_no_cash_until_it_fills(self) -> None:
        working = make_snapshot(open_orders=(open_order("SPY", Side.SELL, 300),))
        assert min_cash(buy("VTI", 90, snapshot=working)).passed is False

    def test_proceeds_of_a_short_sale_are_not_spent(self) -> None:
        short = make_snapshot(cash=Decimal(20_000), positions=[position("GME", -100), position("SPY", 900)])
        assert min_cash(buy(quantity=89, snapshot=short)).passed
        assert min_cash(buy(quantity=90, snapshot=short)).passed is False

    def test_a_sale_is_exempt_even_in_debt(self) -> None:
        assert min_cash(sell(snapshot=make_snapshot(cash=Decimal(-5_000)))).passed

    def test_with_an_open_purchase_or_a_short_position_of_unknown_price_it_is_not_evaluated(self) -> None:
        market = open_order("VTI", Side.BUY, 1, order_type="MKT", limit_price=None)
        assert min_cash(buy(snapshot=make_snapshot(open_orders=(market,)))).passed is None
        short = make_snapshot(positions=[position("GME", -1, None)], summary=make_summary())
        assert min_cash(buy(snapshot=short)).passed is None

    def test_without_a_value_or_a_portfolio_it_is_not_evaluated(self) -> None:
        assert min_cash(buy(limit_price=None)).passed is None
        assert min_cash(buy(limit_price=Decimal(-100))).passed is None
        assert min_cash(buy(snapshot=BROKE)).passed is None
        assert min_cash(buy(snapshot=INDEBTED)).passed is None
