from __future__ import annotations

from decimal import Decimal

import pytest

from portfolio.exposure import contracts_held, cost_of, free_cash, held_value
from portfolio.models import OrderStatus, Side
from tests.portfolio.cases import CASH, SNAPSHOT, make_snapshot, open_order, position, terms


def test_a_purchase_costs_its_value_and_the_commission() -> None:
    assert cost_of(Decimal(5), Decimal(100)) == Decimal("501.00")


def test_a_holding_counts_at_the_dearer_of_mark_and_price() -> None:
    assert held_value("SPY", Decimal(90), SNAPSHOT) == 30_000
    assert held_value("SPY", Decimal(110), SNAPSHOT) == 33_000
    unpriced = make_snapshot(positions=[position("SPY", 300, None)])
    assert held_value("SPY", Decimal(90), unpriced) == 27_000


def test_the_cash_is_free_where_nothing_waits() -> None:
    assert free_cash(SNAPSHOT) == CASH


def test_a_working_purchase_has_spent_what_it_may_still_take() -> None:
    order = open_order("SPY", Side.BUY, 15, filled_quantity=5, status=OrderStatus.PARTIAL)
    assert free_cash(make_snapshot(open_orders=(order,))) == CASH - Decimal("1001.00")


def test_a_working_sale_is_no_cash_yet() -> None:
    assert free_cash(make_snapshot(open_orders=(open_order("SPY", Side.SELL, 15),))) == CASH


@pytest.mark.parametrize(
    "change",
    [
        {"order_type": "MKT", "limit_price": None},
        {"order_type": "STP"},
        {"limit_price": None},
        {"limit_price": Decimal(-5)},
    ],
)
def test_with_a_working_purchase_of_unknown_price_the_free_cash_is_unknown(change: dict[str, object]) -> None:
    assert free_cash(make_snapshot(open_orders=(open_order("SPY", Side.BUY, 1, **change),))) is None


def test_an_order_that_may_be_out_there_has_spent_its_cash_once() -> None:
    """Its outcome is unknown: the broker's list may show it or not, and it must count exactly once either way."""
    lost = terms("SPY", Side.BUY, 10, client_order_id="lost")
    paid = CASH - Decimal("1001.00")
    assert free_cash(SNAPSHOT, (lost,)) == paid
    shown = make_snapshot(open_orders=(open_order("SPY", Side.BUY, 10, client_order_id="lost"),))
    assert free_cash(shown, (lost,)) == paid
    assert free_cash(SNAPSHOT, (terms("SPY", Side.SELL, 10),)) == CASH


def test_proceeds_of_a_short_sale_are_owed_and_not_free() -> None:
    assert free_cash(make_snapshot(positions=[position("SPY", -30)])) == CASH - 3_000
    assert free_cash(make_snapshot(positions=[position("SPY", -30, None)])) is None


def test_contracts_are_held_or_on_their_way() -> None:
    snapshot = make_snapshot(
        positions=[position("SPY", 1), position("VTI", 0), position("VOO", -1)],
        open_orders=(open_order("AAPL", Side.BUY, 1), open_order("GME", Side.SELL, 1)),
    )
    assert contracts_held(snapshot) == {1, 3, 4}
