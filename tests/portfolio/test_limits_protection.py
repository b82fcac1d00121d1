from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from portfolio.limits import Case
from portfolio.limits.protection import protective_exit
from portfolio.models import Side
from tests.portfolio.cases import (
    CORE,
    GROWTH,
    PRICE,
    make_case,
    make_settings,
    make_snapshot,
    position,
    quote,
    sell,
    trade,
)

RULE_STOPS_AT = Decimal(80)  # 20 % below the cost of 100


def exit_at(price: Decimal | None, quoted: Decimal | None = None, **changes: object) -> Case:
    """The exit of a position at that mark; the quote is the same unless it is given."""
    held, quotes = position("SPY", 10, price, **changes), {"SPY": quote("SPY", quoted or price or PRICE)}
    return sell(protective=True, snapshot=make_snapshot(positions=[held], quotes=quotes))


def test_a_position_exactly_at_its_stop_loss_may_be_sold_out_and_a_cent_above_it_not() -> None:
    assert protective_exit(exit_at(RULE_STOPS_AT)).passed
    assert protective_exit(exit_at(Decimal(1))).passed
    above = protective_exit(exit_at(RULE_STOPS_AT + Decimal("0.01")))
    assert above.passed is False
    assert (above.limit, above.actual) == ("-20.0", "-19.99")


def test_a_trade_that_claims_nothing_is_exempt() -> None:
    assert protective_exit(sell()).actual == "exempt"


def test_a_purchase_is_never_protective() -> None:
    """The word lifts risk_threshold, max_portfolio_change and the cooldown: no plan may lift them with it."""
    case = make_case(
        trade("SPY", Side.BUY, 5, protective=True),
        snapshot=make_snapshot(positions=[position("SPY", 10, Decimal(1))]),
    )
    assert protective_exit(case).passed is False


@pytest.mark.parametrize("symbol", ["AAPL", "GME"])
def test_without_a_stop_loss_in_a_rule_no_sale_is_protective(symbol: str) -> None:
    snapshot = make_snapshot(positions=[position(symbol, 10, Decimal(1))])
    assert protective_exit(sell(symbol, protective=True, snapshot=snapshot)).passed is False


def test_without_one_position_that_has_a_price_and_a_cost_it_is_not_evaluated() -> None:
    nothing = sell(protective=True, snapshot=make_snapshot(positions=[]))
    twice = sell(protective=True, snapshot=make_snapshot(positions=[position("SPY", 5, Decimal(1))] * 2))
    unpriced = exit_at(None)
    for case in (nothing, twice, unpriced, exit_at(Decimal(1), average_cost=0), exit_at(Decimal(1), average_cost=-5)):
        assert protective_exit(case).passed is None


TAKES_PROFIT = make_settings(trading_rules=(CORE.model_copy(update={"take_profit": 30.0}), GROWTH))
"""Core is to be 60 % in three symbols: 20,000 USD each of the 100,000."""


def trim(quantity: int, price: Decimal = Decimal(130), quoted: Decimal | None = None) -> Case:
    held, quotes = [position("SPY", 200, price)], {"SPY": quote("SPY", quoted or price)}
    snapshot = make_snapshot(positions=held, cash=100_000 - 200 * price, quotes=quotes)
    return sell("SPY", quantity, protective=True, snapshot=snapshot, settings=TAKES_PROFIT)


def test_a_position_at_its_take_profit_may_be_trimmed_to_its_share_and_not_a_share_further() -> None:
    """26,000 USD are held and 20,000 USD are its share: 46 shares of 130 USD."""
    assert protective_exit(trim(46)).passed
    beyond = protective_exit(trim(47))
    assert beyond.passed is False
    assert "110.00 USD below its share of Core" in beyond.why


def test_a_cent_below_its_take_profit_nothing_may_be_trimmed() -> None:
    below = protective_exit(trim(1, Decimal("129.99")))
    assert below.passed is False
    assert below.limit == "-20.0 or 30.0"


def test_an_exit_is_due_by_the_mark_and_by_the_quote_or_not_at_all() -> None:
    """Either may be old: a whole position must not be sold for a loss that the market does not know of."""
    for mark, quoted in ((RULE_STOPS_AT, Decimal("80.01")), (Decimal("80.01"), RULE_STOPS_AT)):
        stop = protective_exit(exit_at(mark, quoted))
        assert stop.passed is False
        assert stop.actual == "-20.00 to -19.99"
    assert protective_exit(exit_at(RULE_STOPS_AT, Decimal(79))).passed
    for mark, quoted in ((Decimal(130), Decimal("129.99")), (Decimal("129.99"), Decimal(130))):
        assert protective_exit(trim(1, mark, quoted)).passed is False


def test_a_trim_leaves_the_position_its_share_at_the_lower_price() -> None:
    """At 131 USD by the mark 47 shares could go, at 130 USD by the quote 46."""
    assert protective_exit(trim(46, Decimal(131), Decimal(130))).passed
    assert protective_exit(trim(47, Decimal(131), Decimal(130))).passed is False


def test_where_no_trade_is_told_the_bid_is_the_quotes_price_and_without_it_nothing_is_proven() -> None:
    held = [position("SPY", 10, RULE_STOPS_AT)]
    for changes, passed in (({}, True), ({"bid": Decimal(81)}, False), ({"bid": None}, None), ({"bid": 0}, None)):
        quotes = {"SPY": quote("SPY", RULE_STOPS_AT, last=None, **changes)}
        case = sell(protective=True, snapshot=make_snapshot(positions=held, quotes=quotes))
        assert protective_exit(case).passed is passed
    bare = exit_at(RULE_STOPS_AT)
    unquoted = replace(bare, snapshot=bare.snapshot.model_copy(update={"quotes": {}}))
    assert protective_exit(unquoted).passed is None


def test_a_take_profit_does_not_excuse_a_sale_that_only_a_stop_loss_would() -> None:
    no_stop = CORE.model_copy(update={"stop_loss": None, "take_profit": 30.0})
    fallen = make_snapshot(positions=[position("SPY", 10, Decimal(1))])
    case = sell(protective=True, snapshot=fallen, settings=make_settings(trading_rules=(no_stop, GROWTH)))
    assert protective_exit(case).passed is False
