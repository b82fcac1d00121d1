from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from config.settings import Settings
from portfolio.limits import PastTrade, TradingDay
from portfolio.models import PortfolioSnapshot, Side
from portfolio.rebalance import baseline_plan
from portfolio.rebalance.exits import protective_exits
from tests.portfolio.cases import (
    CORE,
    DAY,
    GROWTH,
    SNAPSHOT,
    contract,
    hours_ago,
    make_settings,
    make_snapshot,
    open_order,
    position,
    quote,
)

STOPPED = Decimal(80)
"""20 % below the cost of 100, where Core stops."""
TAKES_PROFIT = make_settings(trading_rules=(CORE.model_copy(update={"take_profit": 30.0}), GROWTH))
"""Core is to be 60 % in three symbols, 20 % each; its band is 5 points, so a symbol's part of it is 1.67 points."""


def account(shares: int, price: Decimal, **changes: Any) -> PortfolioSnapshot:
    """100,000 USD, so many shares of SPY among them at that price."""
    held = position("SPY", shares, price).model_copy(update=changes.pop("held", {}))
    known = {"positions": [held], "cash": 100_000 - shares * price, "quotes": {"SPY": quote("SPY", price)}}
    return make_snapshot(**{**known, **changes})


def exits(snapshot: PortfolioSnapshot, settings: Settings | None = None, **day: Any) -> list[tuple[str, int]]:
    found = protective_exits(snapshot, settings or make_settings(), DAY.model_copy(update=day)).trades
    assert all(trade.protective and trade.side is Side.SELL for trade in found)
    return [(trade.symbol, trade.quantity) for trade in found]


def test_exactly_at_its_stop_loss_a_position_is_sold_out_and_a_cent_above_it_kept() -> None:
    assert exits(account(100, STOPPED)) == [("SPY", 100)]
    assert exits(account(100, STOPPED + Decimal("0.01"))) == []


def test_a_loss_that_only_the_mark_or_only_the_quote_knows_of_sells_nothing() -> None:
    """The portfolio page may lag by hours: the quote says that the position is 1 % down."""
    for mark, quoted in ((STOPPED, Decimal(99)), (Decimal(99), STOPPED)):
        snapshot = account(100, mark, quotes={"SPY": quote("SPY", quoted)})
        found = protective_exits(snapshot, make_settings(), DAY)
        assert (found.trades, found.unfinished) == ((), ())
        assert (
            "-20.0 % from its average cost by one of its mark and its quote, and -1.0 % by the other" in found.notes[0]
        )
        plan = baseline_plan(snapshot, make_settings(), DAY)
        assert plan.trades
        assert "SPY" not in {trade.symbol for trade in plan.trades}


def test_a_winner_is_trimmed_by_the_lower_of_its_mark_and_its_quote() -> None:
    """At 135 USD by the mark 51 shares could go, at 130 USD by the quote 46."""
    for mark, quoted, trades in (("135", "130", [("SPY", 46)]), ("130", "135", [("SPY", 46)]), ("135", "129.99", [])):
        snapshot = account(200, Decimal(mark), quotes={"SPY": quote("SPY", Decimal(quoted))})
        assert exits(snapshot, TAKES_PROFIT) == trades


def test_a_larger_exit_is_sold_in_slices_and_says_so() -> None:
    """An order is never worth more than max_trade_value, 10,000 USD."""
    found = protective_exits(account(200, STOPPED), make_settings(), DAY)
    assert [trade.quantity for trade in found.trades] == [125]
    assert "125 of 200 shares are sold now, and the rest in later runs if it is still due" in found.notes[0]
    assert found.unfinished == ("SPY",)


def test_an_exit_that_is_made_whole_is_finished_and_one_that_cannot_be_made_is_not() -> None:
    assert protective_exits(account(100, STOPPED), make_settings(), DAY).unfinished == ()
    unquoted = account(100, STOPPED).model_copy(update={"quotes": {}})
    assert protective_exits(unquoted, make_settings(), DAY).unfinished == ("SPY",)
    none_left = DAY.model_copy(update={"orders_sent": 20})
    assert protective_exits(account(100, STOPPED), make_settings(), none_left).unfinished == ("SPY",)


def test_an_exit_is_not_bound_by_the_limits_of_discretionary_orders() -> None:
    settings = make_settings(risk_threshold=100, max_portfolio_change=0.1)
    assert exits(account(100, STOPPED), settings) == [("SPY", 100)]


def test_what_was_bought_an_hour_ago_is_sold_all_the_same() -> None:
    past = (PastTrade(symbol="SPY", side=Side.BUY, traded_at=hours_ago(1)),)
    assert exits(account(100, STOPPED), past_trades=past) == [("SPY", 100)]


def bought_today(snapshot: PortfolioSnapshot, remaining: int | None) -> tuple[PortfolioSnapshot, TradingDay]:
    summary = snapshot.summary.model_copy(update={"day_trades_remaining": remaining})
    past = PastTrade(symbol="SPY", side=Side.BUY, traded_at=hours_ago(1))
    return snapshot.model_copy(update={"summary": summary}), DAY.model_copy(update={"past_trades": (past,)})


def test_an_exit_that_would_be_a_day_trade_too_many_is_told() -> None:
    snapshot, day = bought_today(account(100, STOPPED), remaining=0)
    found = protective_exits(snapshot, make_settings(), day)
    assert found.trades == ()
    assert "0 day trades remain" in found.notes[0]
    assert protective_exits(bought_today(account(100, STOPPED), remaining=1)[0], make_settings(), day).trades


@pytest.mark.parametrize(("remaining", "sells"), [(0, False), (1, True), (-1, True), (None, True)])
def test_no_plan_holds_a_day_trade_that_the_guard_would_refuse(remaining: int | None, *, sells: bool) -> None:
    """SPY is far above its share, and without a cooldown nothing else keeps it from being sold."""
    snapshot, day = bought_today(account(700, Decimal(100)), remaining)
    plan = baseline_plan(snapshot, make_settings(reversal_cooldown_hours=0), day)
    assert any(wanted.symbol == "SPY" for wanted in plan.trades) is sells


def test_of_a_fractional_holding_the_whole_shares_are_sold() -> None:
    held = {"quantity": Decimal("10.75"), "market_value": Decimal(860)}
    assert exits(account(10, STOPPED, held=held)) == [("SPY", 10)]
    crumbs = {"quantity": Decimal("0.75"), "market_value": Decimal(60)}
    assert exits(account(1, STOPPED, held=crumbs)) == []


def test_a_short_position_is_never_sold() -> None:
    assert exits(account(-100, STOPPED)) == []


def test_at_its_take_profit_a_position_is_trimmed_to_its_share() -> None:
    """200 shares of 130 USD are 26,000, its share is 20,000: 46 shares can go."""
    assert exits(account(200, Decimal(130)), TAKES_PROFIT) == [("SPY", 46)]
    assert exits(account(200, Decimal("129.99")), TAKES_PROFIT) == []


def test_a_winner_is_not_shaved_every_morning() -> None:
    """It is trimmed once it has outgrown its share by its part of the band: 21,666.67 USD."""
    assert exits(account(166, Decimal(130)), TAKES_PROFIT) == []
    assert exits(account(167, Decimal(130)), TAKES_PROFIT) == [("SPY", 13)]


def test_weights_say_how_far_a_winner_is_trimmed() -> None:
    """Half of Core is to be SPY: 30,000 of the 39,000 USD stay."""
    weighted = CORE.model_copy(update={"take_profit": 30.0, "weights": {"SPY": 2.0, "VTI": 1.0, "VOO": 1.0}})
    assert exits(account(300, Decimal(130)), make_settings(trading_rules=(weighted, GROWTH))) == [("SPY", 69)]


def test_a_take_profit_without_a_surplus_sells_nothing() -> None:
    assert exits(account(100, Decimal(190)), TAKES_PROFIT) == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"quotes": {"SPY": quote("SPY", STOPPED, bid=None)}}, "no limit price"),
        ({"quotes": {"SPY": quote("SPY", STOPPED, as_of=hours_ago(5))}}, "age"),
        ({"open_orders": (open_order("SPY", Side.BUY, 1),)}, "another order"),
    ],
)
def test_an_exit_that_is_due_and_cannot_be_made_is_told(changes: dict[str, Any], why: str) -> None:
    """Silence would read like safety."""
    found = protective_exits(account(100, STOPPED, **changes), make_settings(), DAY)
    assert found.trades == ()
    assert "at or below its stop_loss of -20 %; it cannot be sold now" in found.notes[0]
    assert why in found.notes[0]


def test_a_share_worth_more_than_any_order_may_be_is_told() -> None:
    found = protective_exits(
        account(1, STOPPED), make_settings(risk_threshold=10, min_order_value=10, max_trade_value=79), DAY
    )
    assert found.trades == ()
    assert "one share is worth more than max_trade_value" in found.notes[0]


def test_no_more_exits_than_orders_are_left_today_and_the_others_wait() -> None:
    rows = [position("SPY", 10, STOPPED), position("VTI", 10, STOPPED)]
    snapshot = make_snapshot(positions=rows, quotes={row.symbol: quote(row.symbol, STOPPED) for row in rows})
    found = protective_exits(snapshot, make_settings(), DAY.model_copy(update={"orders_sent": 19}))
    assert [trade.symbol for trade in found.trades] == ["SPY"]
    assert found.notes == ("VTI: its exit waits, since max_orders_per_day is reached.",)


@pytest.mark.parametrize("mark", [Decimal(0), Decimal(-1)])
def test_a_mark_that_is_no_price_sells_nothing(mark: Decimal) -> None:
    """Some brokers say 0 or -1 where they have no price."""
    assert exits(account(100, Decimal(100), held={"market_price": mark})) == []


def test_what_is_due_and_cannot_be_sold_is_told_and_not_bought() -> None:
    fraction = [position("SPY", Decimal("0.5"), STOPPED)]
    twice = [position("SPY", 50, STOPPED), position("SPY", 50, STOPPED)]
    for rows, why in ((fraction, "less than one share"), (twice, "2 positions")):
        snapshot = make_snapshot(positions=rows, quotes={"SPY": quote("SPY", STOPPED)})
        found = protective_exits(snapshot, make_settings(), DAY)
        assert found.trades == ()
        assert why in found.notes[0]
        plan = baseline_plan(snapshot, make_settings(), DAY.model_copy(update={"first_net_liquidation": Decimal(1)}))
        assert plan.trades
        assert "SPY" not in {trade.symbol for trade in plan.trades}


def test_a_contract_with_two_names_is_sold_once() -> None:
    held, other = position("SPY", 50, STOPPED), position("VTI", 50, STOPPED, conid=1)
    stopped = {"SPY": quote("SPY", STOPPED), "VTI": quote("VTI", STOPPED, conid=1)}
    for rows in ([held], [held, other]):
        snapshot = make_snapshot(
            positions=rows,
            quotes=stopped,
            contracts={**SNAPSHOT.contracts, "VTI": contract("VTI", conid=1)},
        )
        found = protective_exits(snapshot, make_settings(), DAY)
        assert sum(trade.quantity for trade in found.trades) <= 50
        assert found.symbols == {"SPY", "VTI"}


def test_a_renamed_holding_is_trimmed_like_any_other() -> None:
    weighted = CORE.model_copy(update={"take_profit": 30.0, "weights": {"SPY": 2.0, "VTI": 1.0, "VOO": 1.0}})
    renamed = account(300, Decimal(130), held={"symbol": "SPY OLD"})
    assert exits(renamed, make_settings(trading_rules=(weighted, GROWTH))) == [("SPY", 69)]
