from __future__ import annotations

from decimal import Decimal

import pytest

from portfolio.limits import Case
from portfolio.limits.protection import protective_exit
from portfolio.models import Side
from tests.portfolio.cases import make_case, make_snapshot, position, sell, trade

RULE_STOPS_AT = Decimal(80)  # 20 % below the cost of 100


def exit_at(price: Decimal | None, **changes: object) -> Case:
    return sell(protective=True, snapshot=make_snapshot(positions=[position("SPY", 10, price, **changes)]))


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
