from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from portfolio.limits import Case, PastTrade
from portfolio.limits.history import day_trades, max_daily_loss, max_orders_per_day, reversal_cooldown
from portfolio.models import Side
from tests.portfolio.cases import DAY, buy, hours_ago, make_settings, make_snapshot, make_summary, sell, terms, trade


class TestMaxDailyLoss:
    """Net liquidation is 100,000 USD and 20 % may be lost."""

    @staticmethod
    def since(first: str | None) -> Case:
        value = None if first is None else Decimal(first)
        day = DAY.model_copy(update={"first_net_liquidation": value})
        return buy(day=day, settings=make_settings(max_daily_loss=20))

    def test_a_loss_of_exactly_the_limit_passes_and_a_cent_more_fails(self) -> None:
        assert max_daily_loss(self.since("125000.00")).passed
        over = max_daily_loss(self.since("125000.01"))
        assert over.passed is False
        assert over.actual == "20.01"

    def test_a_day_without_a_loss_passes(self) -> None:
        assert max_daily_loss(self.since("50000.00")).passed

    def test_what_was_lost_today_stays_lost_however_the_account_recovers(self) -> None:
        """For the rest of the day means for the rest of the day."""
        for lowest, passed in (("80000.00", True), ("79999.99", False)):
            low = {"first_net_liquidation": Decimal(100_000), "lowest_net_liquidation": Decimal(lowest)}
            case = buy(day=DAY.model_copy(update=low), settings=make_settings(max_daily_loss=20))
            assert max_daily_loss(case).passed is passed

    def test_a_sale_is_exempt(self) -> None:
        crash = DAY.model_copy(update={"first_net_liquidation": Decimal(1_000_000)})
        assert max_daily_loss(sell(day=crash)).passed

    @pytest.mark.parametrize("first", [None, "0", "-5"])
    def test_without_a_first_value_it_is_not_evaluated(self, first: str | None) -> None:
        assert max_daily_loss(self.since(first)).passed is None


class TestMaxOrdersPerDay:
    def test_the_last_order_of_the_day_passes_and_one_more_fails(self) -> None:
        assert max_orders_per_day(buy(day=DAY.model_copy(update={"orders_sent": 19}))).passed
        assert max_orders_per_day(buy(day=DAY.model_copy(update={"orders_sent": 20}))).passed is False

    def test_the_batch_counts_and_sales_do_too(self) -> None:
        day = DAY.model_copy(update={"orders_sent": 18})
        one = (terms("VTI", Side.BUY, 1),)
        two = (*one, terms("AAPL", Side.SELL, 1))
        assert max_orders_per_day(sell(day=day, batch=one)).passed
        assert max_orders_per_day(sell(day=day, batch=two)).passed is False
        assert max_orders_per_day(sell(day=day, batch=two, protective=True)).passed is False


class TestReversalCooldown:
    @staticmethod
    def after(symbol: str, side: Side, hours: float) -> Case:
        past = PastTrade(symbol=symbol, side=side, traded_at=hours_ago(hours))
        return sell(day=DAY.model_copy(update={"past_trades": (past,)}))

    def test_exactly_the_cooldown_passes_and_a_second_less_fails(self) -> None:
        assert reversal_cooldown(self.after("SPY", Side.BUY, 24)).passed
        assert reversal_cooldown(self.after("SPY", Side.BUY, 24 - 1 / 3600)).passed is False

    def test_a_trade_on_record_for_a_later_time_than_now_blocks(self) -> None:
        """Clocks differ; what was bought a moment ahead of the broker's clock was still bought."""
        assert reversal_cooldown(self.after("SPY", Side.BUY, -1)).passed is False

    def test_the_same_side_and_other_symbols_do_not_count(self) -> None:
        assert reversal_cooldown(self.after("SPY", Side.SELL, 1)).passed
        assert reversal_cooldown(self.after("VTI", Side.BUY, 1)).passed

    def test_a_purchase_after_a_sale_is_a_reversal_too(self) -> None:
        case = self.after("SPY", Side.SELL, 1)
        assert reversal_cooldown(replace(case, trade=trade("SPY", Side.BUY, 1))).passed is False

    def test_another_spelling_is_the_same_symbol(self) -> None:
        case = self.after("BRK.B", Side.BUY, 1)
        assert reversal_cooldown(replace(case, trade=trade("BRK B", Side.SELL, 1))).passed is False

    def test_a_protective_exit_is_exempt(self) -> None:
        case = self.after("SPY", Side.BUY, 1)
        assert reversal_cooldown(replace(case, trade=trade("SPY", Side.SELL, 1, protective=True))).passed


class TestDayTrades:
    """It is noon in New York; SPY was bought today, and VTI too where a test says so."""

    @staticmethod
    def remaining(count: int | None, *bought: str, hours: float = 1) -> Case:
        past = tuple(PastTrade(symbol=name, side=Side.BUY, traded_at=hours_ago(hours)) for name in bought or ("SPY",))
        summary = make_summary().model_copy(update={"day_trades_remaining": count})
        return sell(day=DAY.model_copy(update={"past_trades": past}), snapshot=make_snapshot(summary=summary))

    @pytest.mark.parametrize(
        ("count", "passed"), [(3, True), (1, True), (0, False), (-2, False), (-1, True), (None, True)]
    )
    def test_a_day_trade_needs_one_that_remains(self, count: int | None, *, passed: bool) -> None:
        check = day_trades(self.remaining(count))
        assert check.passed is passed
        assert ("0 day trades remain" in check.why) is not passed

    def test_a_count_that_is_not_reported_or_not_limited_is_said_to_be_so(self) -> None:
        assert day_trades(self.remaining(None)).actual == "not reported"
        assert day_trades(self.remaining(-1)).actual == "unrestricted"

    def test_a_purchase_after_a_sale_and_another_spelling_count(self) -> None:
        past = (PastTrade(symbol="BRK.B", side=Side.SELL, traded_at=hours_ago(1)),)
        case = replace(self.remaining(0), trade=trade("BRK B", Side.BUY, 1))
        assert day_trades(replace(case, day=DAY.model_copy(update={"past_trades": past}))).passed is False

    def test_the_same_side_and_other_symbols_are_no_day_trades(self) -> None:
        case = self.remaining(0)
        assert day_trades(replace(case, trade=trade("SPY", Side.BUY, 1))).actual == "exempt"
        assert day_trades(replace(case, trade=trade("VTI", Side.SELL, 1))).actual == "exempt"

    def test_a_protective_exit_is_held_to_it_too(self) -> None:
        """One day trade too many can freeze the account for ninety days, exits and all."""
        case = self.remaining(0)
        assert day_trades(replace(case, trade=trade("SPY", Side.SELL, 1, protective=True))).passed is False

    def test_the_day_is_that_of_new_york_and_ends_at_its_midnight(self) -> None:
        """Noon in New York is 17:00 UTC, so the day began 12 hours ago, not 17."""
        assert day_trades(self.remaining(0, hours=12)).passed is False
        assert day_trades(self.remaining(0, hours=12 + 1 / 3600)).passed
        assert day_trades(self.remaining(0, hours=-1 / 3600)).passed is False

    def test_a_day_trade_earlier_in_the_batch_uses_one_up(self) -> None:
        case = self.remaining(1, "SPY", "VTI")
        other = (terms("VTI", Side.SELL, 1),)
        assert day_trades(replace(case, batch=other)).passed is False
        assert day_trades(replace(case, batch=(terms("AAPL", Side.SELL, 1),))).passed
        two_left = self.remaining(2, "SPY", "VTI")
        assert day_trades(replace(two_left, batch=other)).passed
