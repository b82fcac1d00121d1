"""Average cost, by hand-worked examples, and the identity that every screen of gains rests on."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio.models import Side
from portfolio.performance import Books, Holding, Payment, PaymentKind, Split, Trade

AT = datetime(2026, 6, 15, 20, tzinfo=UTC)


def bought(quantity: str, price: str, commission: str = "1", symbol: str = "SPY") -> Trade:
    return Trade(
        at=AT, symbol=symbol, side=Side.BUY, quantity=Decimal(quantity), price=Decimal(price),
        commission=Decimal(commission),
    )  # fmt: skip


def sold(quantity: str, price: str, commission: str = "1", symbol: str = "SPY") -> Trade:
    return bought(quantity, price, commission, symbol).model_copy(update={"side": Side.SELL})


def paid(amount: str, kind: PaymentKind) -> Payment:
    return Payment(at=AT, amount=Decimal(amount), kind=kind)


EMPTY = Books(cash=Decimal(10_000))


def test_several_lots_are_held_at_their_average_and_a_part_is_sold_at_it() -> None:
    """10 at 100 + 1 and 30 at 110 + 1 cost 4,302, which is 107.55 each; 20 sold at 120 - 1 bring 2,399 for 2,151."""
    books = EMPTY.after(bought("10", "100"), bought("30", "110"))
    assert books.held("SPY") == Holding(quantity=Decimal(40), cost=Decimal(4302))
    assert books.held("SPY").average_cost == Decimal("107.55")
    books = books.after(sold("20", "120"))
    assert books.realised == {"SPY": Decimal(248)}
    assert books.held("SPY") == Holding(quantity=Decimal(20), cost=Decimal(2151))
    assert books.cash == 10_000 - 1001 - 3301 + 2399
    assert books.commissions == 3
    assert books.held("SPY").unrealised(Decimal(115)) == 149


def test_partial_fills_of_one_order_come_to_the_same_as_one() -> None:
    parts = EMPTY.after(bought("10", "100"), sold("4", "105", "0.40"), sold("6", "105", "0.60"))
    whole = EMPTY.after(bought("10", "100"), sold("10", "105", "1.00"))
    assert parts == whole
    assert parts.realised_total == 48


def test_a_sale_to_nothing_and_a_re_entry_begin_anew() -> None:
    books = EMPTY.after(bought("3", "100"), sold("3", "90"))
    assert books.held("SPY") == Holding()
    assert books.realised_total == -32
    books = books.after(bought("2", "80"))
    assert books.held("SPY").average_cost == Decimal("80.5")
    assert books.realised_total == -32


def test_a_third_of_a_cost_that_has_no_end_leaves_the_rest_and_loses_nothing() -> None:
    books = EMPTY.after(bought("3", "100", "0.01"), sold("1", "100", "0"))
    assert books.held("SPY").cost + Decimal(100) - books.realised_total == Decimal("300.01")


def test_a_split_changes_shares_and_no_cost() -> None:
    books = EMPTY.after(bought("4", "200"), Split(at=AT, symbol="SPY", ratio=Decimal(10)))
    assert books.held("SPY") == Holding(quantity=Decimal(40), cost=Decimal(801))
    assert books.after(sold("40", "20.50")).realised_total == 820 - 1 - 801


def test_a_dividend_is_a_gain_and_a_deposit_is_none() -> None:
    books = EMPTY.after(paid("12.34", PaymentKind.DIVIDEND), paid("500", PaymentKind.DEPOSIT))
    assert (books.income, books.flows, books.cash) == (Decimal("12.34"), Decimal(500), Decimal("10512.34"))


def test_a_short_position_gains_when_it_is_bought_back_for_less() -> None:
    """5 sold at 100 - 1 bring 499; bought back at 90 + 1 they cost 451."""
    short = EMPTY.after(sold("5", "100"))
    assert short.held("SPY") == Holding(quantity=Decimal(-5), cost=Decimal(-499))
    assert short.held("SPY").unrealised(Decimal(90)) == 49
    assert short.after(bought("5", "90")).realised_total == 48


def test_a_trade_through_zero_closes_and_opens_at_one_price() -> None:
    books = EMPTY.after(bought("5", "100", "0"), sold("8", "110", "8"))
    assert books.realised_total == 5 * 110 - 5 - 500
    assert books.held("SPY") == Holding(quantity=Decimal(-3), cost=Decimal(-(330 - 3)))


def test_a_holding_without_a_price_is_not_worth_nothing() -> None:
    with pytest.raises(KeyError, match="SPY"):
        EMPTY.after(bought("1", "100")).value({})


shares = st.integers(1, 500).map(Decimal)
prices = st.decimals("0.01", 2000, places=4)
symbols = st.sampled_from(["SPY", "KO", "BND"])
trades = st.builds(
    Trade, at=st.just(AT), symbol=symbols, side=st.sampled_from(Side), quantity=shares, price=prices,
    commission=st.decimals(0, 10, places=2),
)  # fmt: skip
splits = st.builds(
    Split, at=st.just(AT), symbol=symbols, ratio=st.sampled_from([Decimal(2), Decimal("0.1"), Decimal(4)])
)
payments = st.builds(
    Payment, at=st.just(AT), amount=st.decimals(-5000, 5000, places=2), kind=st.sampled_from(PaymentKind)
)


@given(
    events=st.lists(trades | splits | payments, max_size=30),
    marks=st.fixed_dictionaries(dict.fromkeys(("SPY", "KO", "BND"), prices)),
)
def test_the_parts_of_a_gain_sum_to_the_change_of_value(
    events: list[Trade | Split | Payment], marks: dict[str, Decimal]
) -> None:
    """Realised, unrealised, income and the investor's own money: to the last digit, not to a cent."""
    books = EMPTY.after(*events)
    parts = books.realised_total + books.unrealised(marks) + books.income + books.flows
    assert books.value(marks) - EMPTY.cash == parts


@given(events=st.lists(trades, max_size=20))
def test_what_is_held_is_what_was_bought_less_what_was_sold(events: list[Trade]) -> None:
    books = EMPTY.after(*events)
    for symbol in ("SPY", "KO", "BND"):
        assert books.held(symbol).quantity == sum(
            one.side.sign * one.quantity for one in events if one.symbol == symbol
        )
        assert books.held(symbol).quantity != 0 or books.held(symbol).cost == 0
