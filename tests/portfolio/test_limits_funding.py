from __future__ import annotations

from decimal import Decimal
from typing import Any

from portfolio.limits import why_unfunded
from portfolio.models import OrderRecord, OrderStatus, Side
from tests.portfolio.cases import DAY, PRICE, SETTINGS, SNAPSHOT, approved, make_snapshot, open_order

SALE = approved("SPY", Side.SELL, 50)
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


def why(shares: int, *orders: OrderRecord, **changes: Any) -> str | None:
    known = {"snapshot": SNAPSHOT, "settings": SETTINGS, "day": DAY}
    return why_unfunded(approved("VTI", Side.BUY, shares), **{**known, **changes}, done=orders)


def test_a_purchase_may_spend_what_a_filled_sale_brought_and_not_a_share_more() -> None:
    assert why(139, done()) is None
    told = why(140, done())
    assert told is not None
    assert "14,999.00 USD of cash are there, and 1,000.00 USD must be left" in told


def test_a_sale_that_did_not_fill_pays_for_nothing() -> None:
    """Else an order that was counted on would have to be paid with borrowed money."""
    assert why(89) is None
    assert why(90) is not None
    nothing = {"filled_quantity": Decimal(0), "average_price": None, "commission": None}
    assert why(90, done(status=OrderStatus.CANCELLED, **nothing)) is not None
    assert why(90, done(status=OrderStatus.UNKNOWN, **nothing)) is not None


def test_a_sale_that_filled_in_part_pays_for_that_part() -> None:
    half = done(status=OrderStatus.CANCELLED, filled_quantity=Decimal(25))
    assert why(114, half) is None
    assert why(115, half) is not None


def test_purchases_made_before_have_spent_their_cash() -> None:
    bought = done(approved("AAPL", Side.BUY, 50))
    assert why(39, bought) is None
    assert why(40, bought) is not None


def test_a_commission_the_broker_has_not_told_yet_is_estimated() -> None:
    tight = done(filled_quantity=Decimal(1000), quantity=1000, average_price=Decimal("1.005"), commission=None)
    assert why(99, tight) is None
    assert why(100, tight) is not None


def test_without_a_price_for_what_is_owed_nothing_is_bought() -> None:
    market = open_order("VTI", Side.BUY, 1, order_type="MKT", limit_price=None)
    assert why(1, snapshot=make_snapshot(open_orders=(market,))) is not None
