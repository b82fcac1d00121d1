from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.simulated.accounting import Holding, Working, book_fill, summary_of, worst_margin
from brokers.simulated.opening import NET_LIQUIDATION, SYMBOLS, opening_portfolio
from portfolio.costs import commission, to_cents
from portfolio.models import Side

FLAT = Holding(Decimal(0), Decimal(0))

cents = st.decimals(Decimal("0.01"), Decimal(5_000), places=2)
shares = st.integers(1, 5_000).map(Decimal)
fills = st.lists(st.tuples(st.sampled_from(Side), shares, cents), min_size=1, max_size=30)


@given(fills)
def test_a_fill_moves_value_between_cash_and_shares_and_costs_its_commission(
    trades: list[tuple[Side, Decimal, Decimal]],
) -> None:
    """Money neither appears nor disappears: at the price of the fill, only the commission is lost."""
    held = FLAT
    for side, quantity, price in trades:
        paid = commission(quantity, price)
        booking = book_fill(held, side, quantity, price, paid)
        moved = (booking.holding.quantity - held.quantity) * price
        assert moved + booking.cash_change == -paid
        held = booking.holding


@given(fills, cents)
def test_realised_and_unrealised_profit_are_all_the_profit(
    trades: list[tuple[Side, Decimal, Decimal]], last: Decimal
) -> None:
    held, cash, realized = FLAT, Decimal(0), Decimal(0)
    for side, quantity, price in trades:
        booking = book_fill(held, side, quantity, price, commission(quantity, price))
        held, cash, realized = booking.holding, cash + booking.cash_change, realized + booking.realized
    unrealized = held.quantity * (last - held.average_cost)
    assert realized + unrealized == pytest.approx(cash + held.quantity * last, abs=Decimal("0.01"))


def test_commission_belongs_to_the_cost_of_a_purchase() -> None:
    bought = book_fill(FLAT, Side.BUY, Decimal(10), Decimal(50), Decimal(1)).holding
    assert bought == Holding(Decimal(10), Decimal("50.1"))


def test_a_sale_leaves_the_average_cost_alone_and_realises_its_gain() -> None:
    booking = book_fill(Holding(Decimal(10), Decimal("50.1")), Side.SELL, Decimal(4), Decimal(60), Decimal(1))
    assert booking.holding == Holding(Decimal(6), Decimal("50.1"))
    assert booking.realized == 4 * Decimal("9.9") - 1


def test_selling_through_zero_opens_a_short_position_at_the_new_price() -> None:
    booking = book_fill(Holding(Decimal(4), Decimal(50)), Side.SELL, Decimal(10), Decimal(60), Decimal(1))
    assert booking.holding == Holding(Decimal(-6), Decimal("59.9"))
    assert booking.realized == 40 - Decimal("0.4")


def test_a_short_position_owes_its_value() -> None:
    summary = summary_of("DU1", Decimal(10_000), [Decimal(6_000), Decimal(-4_000)])
    assert summary.net_liquidation == 12_000
    assert summary.gross_position_value == 10_000
    assert summary.initial_margin == 5_000
    assert summary.maintenance_margin == 1_500 + 1_200
    assert summary.available_funds == 7_000


def test_working_orders_count_by_the_side_that_needs_more_margin() -> None:
    held, marks = {"SPY": Decimal(10)}, {"SPY": Decimal(100)}
    buy = Working("SPY", Side.BUY, Decimal(5))
    sell = Working("SPY", Side.SELL, Decimal(30))
    assert worst_margin(held, marks, []) == 500
    assert worst_margin(held, marks, [buy]) == 750
    assert worst_margin(held, marks, [sell]) == 1_000
    assert worst_margin(held, marks, [buy, sell]) == 1_000


@given(st.dictionaries(st.sampled_from(SYMBOLS), st.decimals(Decimal("0.05"), Decimal(4_000), places=4)))
def test_the_opening_portfolio_is_worth_50000_whatever_the_prices(prices: dict[str, Decimal]) -> None:
    cash, holdings = opening_portfolio(prices)
    invested = sum(to_cents(held.quantity * prices[symbol]) for symbol, held in holdings.items())
    assert cash + invested == NET_LIQUIDATION
    assert cash >= Decimal("4999.9")
    for symbol, held in holdings.items():
        assert held.quantity == held.quantity.to_integral_value() > 0
        assert held.average_cost * Decimal("0.94") < prices[symbol]
    if set(prices) == set(SYMBOLS):
        assert cash < 5_000 + min(prices.values()) + 1
