from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from portfolio.costs import commission
from portfolio.limits import affordable
from portfolio.models import OrderRecord, OrderStatus, Side
from tests.portfolio.cases import DAY, PRICE, SETTINGS, SNAPSHOT, make_snapshot, open_order, terms

SALE = terms("SPY", Side.SELL, 50)
"""Brings 5,000 USD less a dollar; the account has 10,000 and must keep 1,000."""


def done(order: Any = SALE, **changes: Any) -> OrderRecord:
    known = {
        "client_order_id": order.client_order_id,
        "broker_order_id": "1",
        "symbol": order.symbol,
        "side": order.side,
        "quantity": order.quantity,
        "limit_price": order.limit_price,
        "status": OrderStatus.FILLED,
        "filled_quantity": order.quantity,
        "average_price": PRICE,
        "commission": Decimal(1),
    }
    return OrderRecord(**{**known, **changes})


def most(shares: int, *orders: OrderRecord, **changes: Any) -> int:
    known = {"snapshot": SNAPSHOT, "settings": SETTINGS, "day": DAY}
    return affordable(terms("VTI", Side.BUY, shares), **{**known, **changes}, done=orders)


def test_a_purchase_may_spend_what_a_filled_sale_brought_and_not_a_share_more() -> None:
    """14,999 USD are there, 1,000 must be left, and the commission is a dollar."""
    assert most(139, done()) == 139
    assert most(140, done()) == 139
    assert most(10**12, done()) == 139


def test_a_sale_that_did_not_fill_pays_for_nothing() -> None:
    """Else an order that was counted on would have to be paid with borrowed money."""
    assert most(1_000) == 89
    nothing = {"filled_quantity": Decimal(0), "average_price": None, "commission": None}
    assert most(90, done(status=OrderStatus.CANCELLED, **nothing)) == 89
    assert most(90, done(status=OrderStatus.UNKNOWN, **nothing)) == 89


def test_a_sale_that_filled_in_part_pays_for_that_part() -> None:
    assert most(1_000, done(status=OrderStatus.CANCELLED, filled_quantity=Decimal(25))) == 114


def test_purchases_made_before_have_spent_their_cash() -> None:
    assert most(1_000, done(terms("AAPL", Side.BUY, 50))) == 39


def test_a_commission_the_broker_has_not_told_yet_is_estimated() -> None:
    tight = done(filled_quantity=Decimal(1000), quantity=1000, average_price=Decimal("1.005"), commission=None)
    assert most(1_000, tight) == 99


def test_without_a_price_for_what_is_owed_nothing_is_bought() -> None:
    market = open_order("VTI", Side.BUY, 1, order_type="MKT", limit_price=None)
    assert most(1, snapshot=make_snapshot(open_orders=(market,))) == 0


def test_without_cash_to_spare_nothing_is_bought() -> None:
    assert most(5, snapshot=make_snapshot(cash=Decimal(-500))) == 0


@given(
    st.integers(1, 10**6),
    st.decimals("0.01", 5_000, places=2),
    st.decimals(-1_000, 10**6, places=2),
)
def test_what_is_affordable_leaves_min_cash_and_one_share_more_would_not(
    quantity: int, price: Decimal, cash: Decimal
) -> None:
    snapshot = make_snapshot(cash=cash)
    purchase = terms("VTI", Side.BUY, quantity, limit_price=price)
    shares = affordable(purchase, snapshot, SETTINGS, DAY, ())
    least = snapshot.summary.net_liquidation / 100

    def left(count: int) -> Decimal:
        return cash - count * price - (commission(Decimal(count), price) if count else Decimal(0))

    assert 0 <= shares <= quantity
    assert shares == 0 or left(shares) >= least
    assert shares == quantity or left(shares + 1) < least
