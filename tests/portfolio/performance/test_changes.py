"""What happened between two looks at an account is told apart, and always adds up to what is there now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio.models import Side
from portfolio.performance import Books, Holding, Payment, PaymentKind, Split, Trade
from portfolio.performance.changes import Observed, explained

THEN = datetime(2026, 6, 15, 20, tzinfo=UTC)
NOW = THEN + timedelta(days=1)


def observed(cash: float, at: datetime = NOW, **held: tuple[float, float]) -> Observed:
    """`held` by symbol: shares and price."""
    return Observed(
        at=at,
        cash=Decimal(str(cash)),
        shares={name: Decimal(str(shares)) for name, (shares, _) in held.items()},
        prices={name: Decimal(str(price)) for name, (_, price) in held.items()},
    )


def trade(side: Side, quantity: int, price: float, commission: int = 1, symbol: str = "SPY") -> Trade:
    return Trade(
        at=NOW, symbol=symbol, side=side, quantity=Decimal(quantity), price=Decimal(str(price)),
        commission=Decimal(commission),
    )  # fmt: skip


BEFORE = observed(5_000, THEN, SPY=(10, 500), KO=(50, 60))


def test_where_only_our_trades_happened_nothing_is_made_up() -> None:
    bought = trade(Side.BUY, 2, 505)
    now = observed(5_000 - 1_011, SPY=(12, 510), KO=(50, 61))
    assert explained(BEFORE, now, [bought]) == (bought,)
    assert explained(BEFORE, observed(5_000, SPY=(10, 510), KO=(50, 61)), []) == ()


def test_a_deposit_between_two_runs_is_told_by_its_size() -> None:
    (came,) = explained(BEFORE, observed(7_000, SPY=(10, 510), KO=(50, 61)), [])
    assert came == Payment(at=NOW, amount=Decimal(2_000), kind=PaymentKind.DEPOSIT)
    (went,) = explained(BEFORE, observed(4_000, SPY=(10, 510), KO=(50, 61)), [])
    assert went == Payment(at=NOW, amount=Decimal(-1_000), kind=PaymentKind.WITHDRAWAL)


def test_a_dividend_and_a_fee_are_told_by_theirs() -> None:
    (came,) = explained(BEFORE, observed(5_023.5, SPY=(10, 510), KO=(50, 61)), [])
    assert came == Payment(at=NOW, amount=Decimal("23.5"), kind=PaymentKind.DIVIDEND)
    (went,) = explained(BEFORE, observed(4_999, SPY=(10, 510), KO=(50, 61)), [])
    assert went == Payment(at=NOW, amount=Decimal(-1), kind=PaymentKind.FEE)


def test_a_split_is_a_jump_of_shares_and_price_against_each_other() -> None:
    assert explained(BEFORE, observed(5_000, SPY=(40, 126), KO=(50, 61)), []) == (
        Split(at=NOW, symbol="SPY", ratio=Decimal(4)),
    )


def test_a_reverse_split_pays_a_fraction_of_a_share_out() -> None:
    split, paid = explained(
        observed(5_000, THEN, SPY=(10, 500), XY=(55, 2)), observed(5_010, SPY=(10, 500), XY=(5, 20)), []
    )
    assert split == Split(at=NOW, symbol="XY", ratio=Decimal(5) / 55)
    assert paid == Payment(at=NOW, amount=Decimal(10), kind=PaymentKind.DIVIDEND)


def test_a_split_before_a_trade_of_ours_is_found_beside_it() -> None:
    sold = trade(Side.SELL, 5, 126)
    now = observed(5_000 + 629, SPY=(35, 126), KO=(50, 61))
    assert explained(BEFORE, now, [sold]) == (Split(at=NOW, symbol="SPY", ratio=Decimal(4)), sold)


def test_what_the_investor_trades_himself_is_a_trade_at_the_price_that_the_cash_tells() -> None:
    (other,) = explained(BEFORE, observed(5_000 - 1_023, SPY=(12, 510), KO=(50, 61)), [])
    assert other == Trade(at=NOW, symbol="SPY", side=Side.BUY, quantity=Decimal(2), price=Decimal("511.5"))


def test_shares_that_come_without_cash_are_a_deposit_of_their_value() -> None:
    other, came = explained(BEFORE, observed(5_000, SPY=(20, 510), KO=(50, 61)), [])
    assert isinstance(other, Trade)
    assert other.cash == -5_100
    assert came == Payment(at=NOW, amount=Decimal(5_100), kind=PaymentKind.DEPOSIT)


def test_doubling_what_is_held_at_the_same_price_is_no_split() -> None:
    events = explained(BEFORE, observed(5_000 - 5_100, SPY=(20, 510), KO=(50, 61)), [])
    assert [type(event) for event in events] == [Trade]


@pytest.mark.parametrize("symbol", ["SPY", "NEW"])
def test_a_symbol_without_a_price_costs_no_crash(symbol: str) -> None:
    now = observed(5_000, SPY=(10, 500), KO=(50, 61)).model_copy(
        update={"shares": {"SPY": Decimal(10), "KO": Decimal(50), symbol: Decimal(3)}, "prices": {}}
    )
    explained(BEFORE, now, [])


held = st.dictionaries(
    st.sampled_from(["SPY", "KO", "BND"]), st.tuples(st.integers(0, 200), st.decimals(1, 900, places=2)), max_size=3
)


@given(
    before=held, now=held, cash=st.tuples(st.integers(-500, 50_000), st.integers(-500, 50_000)),
    ours=st.lists(st.builds(trade, st.sampled_from(Side), st.integers(1, 20), st.integers(1, 900)), max_size=3),
)  # fmt: skip
def test_whatever_is_found_it_leads_from_the_one_to_the_other(
    before: dict[str, tuple[int, Decimal]],
    now: dict[str, tuple[int, Decimal]],
    cash: tuple[int, int],
    ours: list[Trade],
) -> None:
    """Where each holding has a price, cash and shares come out exactly; a cent of cash may stay unexplained."""
    prices = {name: price for name, (_, price) in (before | now).items()} | {one.symbol: one.price for one in ours}

    def seen(at: datetime, amount: int, shares: dict[str, tuple[int, Decimal]]) -> Observed:
        quantities = {name: Decimal(quantity) for name, (quantity, _) in shares.items()}
        return Observed(at=at, cash=Decimal(amount), shares=quantities, prices=prices)

    first, last = seen(THEN, cash[0], before), seen(NOW, cash[1], now)
    books = Books(
        cash=first.cash,
        holdings={name: Holding(quantity=shares, cost=shares * prices[name]) for name, shares in first.shares.items()},
    ).after(*explained(first, last, ours))
    assert abs(books.cash - last.cash) < Decimal("0.011")
    for name in prices:
        assert abs(books.held(name).quantity - last.shares.get(name, Decimal(0))) < Decimal("1e-20")
