from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from brokers.simulated.market import shown_size
from brokers.simulated.matching import filled, match
from portfolio.costs import commission
from portfolio.models import BrokerOrder, OrderStatus, Quote, Side

QUOTE = Quote(
    conid=1,
    symbol="SPY",
    bid=Decimal("99.99"),
    ask=Decimal("100.01"),
    bid_size=Decimal(200),
    ask_size=Decimal(300),
    last=Decimal(100),
)


def order(side: Side, limit: str | None, quantity: int = 10) -> BrokerOrder:
    return BrokerOrder(
        order_id="1",
        client_order_id="a",
        account_id="DU1",
        conid=1,
        symbol="SPY",
        side=side,
        quantity=Decimal(quantity),
        order_type="LMT" if limit else "MKT",
        limit_price=Decimal(limit) if limit else None,
        status=OrderStatus.SUBMITTED,
    )


def test_a_buy_pays_the_ask_and_a_sale_gets_the_bid_however_generous_the_limit() -> None:
    for limit in (None, "100.01", "150.00"):
        bought = match(order(Side.BUY, limit), QUOTE)
        assert bought is not None
        assert bought.price == Decimal("100.01")
    for limit in (None, "99.99", "50.00"):
        sold = match(order(Side.SELL, limit), QUOTE)
        assert sold is not None
        assert sold.price == Decimal("99.99")


def test_a_limit_that_is_not_reached_does_not_fill() -> None:
    assert match(order(Side.BUY, "100.00"), QUOTE) is None
    assert match(order(Side.SELL, "100.00"), QUOTE) is None


def test_without_a_price_or_a_size_on_the_other_side_nothing_fills() -> None:
    assert match(order(Side.BUY, None), QUOTE.model_copy(update={"ask": None})) is None
    assert match(order(Side.BUY, None), QUOTE.model_copy(update={"ask_size": Decimal(0)})) is None


@given(st.integers(1, 5_000))
def test_look_by_look_an_order_pays_the_commission_of_one(quantity: int) -> None:
    """IB charges its minimum once an order, however many fills it takes."""
    working, looks = order(Side.BUY, "100.01", quantity), 0
    while fill := match(working, QUOTE):
        assert 0 < fill.quantity <= 300
        assert fill.commission >= 0
        working, looks = filled(working, fill), looks + 1
        if working.status is OrderStatus.FILLED:
            break
    assert looks == -(-quantity // 300)
    assert working.filled_quantity == quantity
    assert working.commission == commission(Decimal(quantity), Decimal("100.01"))
    assert working.average_price == Decimal("100.01")


@given(st.integers(0, 10**9))
def test_sizes_shown_are_round_lots_that_an_ordinary_order_fits_in(volume: int) -> None:
    size = shown_size(Decimal(volume))
    assert 100 <= size <= 5_000
    assert size % 100 == 0
