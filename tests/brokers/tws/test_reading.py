"""What TWS writes, read without a connection: numbers, hours, pacing, and orders put together from their parts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ib_async import Contract, Execution, Fill, Order, Trade
from ib_async import OrderStatus as TwsStatus
from ib_async.objects import CommissionReport

from brokers.errors import Terminal
from brokers.tws.books import Books
from brokers.tws.history import Pace
from brokers.tws.hours import session_at
from brokers.tws.numbers import number, price
from brokers.tws.words import SUBSCRIBE, led, sentence
from portfolio.models import OrderStatus, Side

SPY = Contract(conId=756733, symbol="SPY", secType="STK", currency="USD")
NOW = datetime(2026, 6, 15, 19, 55, tzinfo=UTC)


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("1.7976931348623157E308", None),
        (1.7976931348623157e308, None),
        ("1.797693134862315e+308", None),
        ("", None),
        ("nan", None),
        (float("inf"), None),
        ("soon", None),
        (None, None),
        ("-12.50", Decimal("-12.50")),
        (6.0, Decimal(6)),
        (0.1, Decimal("0.1")),
        ("40000", Decimal(40000)),
    ],
)
def test_a_number_is_read_or_is_none(told: Any, read: Decimal | None) -> None:
    assert number(told) == read
    if isinstance(told, float) and read is not None:
        assert str(number(told)) == str(read)


@given(st.decimals("-1e9", "1e9", places=4, allow_nan=False))
def test_an_amount_survives_its_way_through_a_float(amount: Decimal) -> None:
    assert number(float(amount)) == amount


@pytest.mark.parametrize("told", [-1.0, 0.0, float("nan"), 1.7976931348623157e308])
def test_no_price_is_no_price_however_it_is_written(told: float) -> None:
    assert price(told) is None


def test_hours_are_those_of_the_exchange_whatever_the_zone_is_called() -> None:
    """ "EST" is by the book a zone without summer time; TWS means New York by it."""
    hours = "20260614:CLOSED;20260615:0930-20260615:1600;20260616:0930-20260616:1300"
    for zone in ("US/Eastern", "EST", "EST5EDT", "EST (Eastern Standard Time)"):
        session = session_at(NOW, hours, zone, "SPY")
        assert session.is_open
        assert session.closes_at == datetime(2026, 6, 15, 20, tzinfo=UTC)
        after = session_at(datetime(2026, 6, 15, 20, tzinfo=UTC), hours, zone, "SPY")
        assert not after.is_open
        assert after.opens_at == datetime(2026, 6, 16, 13, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "zone"),
    [("", "US/Eastern"), ("20260615:0930", "US/Eastern"), ("tomorrow", "UTC"), ("20260614:CLOSED", "UTC"),
     ("20260615:0930-20260615:1600", "Middle/Earth"), ("20260615:0930-20260615:1600", "../../etc/passwd")],
)  # fmt: skip
def test_hours_that_cannot_be_read_are_no_hours(hours: str, zone: str) -> None:
    with pytest.raises(Terminal, match="SPY"):
        session_at(NOW, hours, zone, "SPY")


@given(st.lists(st.floats(0, 30), max_size=200))
def test_no_ten_minutes_see_more_requests_than_are_permitted(gaps: list[float]) -> None:
    pace, now, sent = Pace(most=5, seconds=60), 0.0, list[float]()
    for gap in gaps:
        now += gap
        now += pace.wait(now)
        assert pace.wait(now) <= 1e-6
        pace.sent(now)
        sent.append(now)
    for place, at in enumerate(sent[5:]):
        assert at - sent[place] >= 60 - 1e-6


def a_trade(status: str, *, filled: float = 0, perm_id: int = 7, quantity: float = 5, ref: str = "mine") -> Trade:
    order = Order(
        permId=perm_id,
        orderId=3,
        clientId=17,
        action="BUY",
        totalQuantity=quantity,
        orderType="LMT",
        lmtPrice=500.1,
        account="DU1",
        orderRef=ref,
    )
    return Trade(SPY, order, TwsStatus(status=status, filled=filled, avgFillPrice=500.0 if filled else 0.0), [], [])


def a_fill(shares: float, *, name: str = "0000e0d5.1.01.01", perm_id: int = 7, fee: float | None = 1.0) -> Fill:
    done = Execution(
        execId=name, acctNumber="DU1", side="BOT", shares=shares, price=500.0, permId=perm_id, orderRef="mine", time=NOW
    )
    report = CommissionReport() if fee is None else CommissionReport(execId=name, commission=fee, currency="USD")
    return Fill(SPY, done, report, NOW)


@pytest.mark.parametrize(
    ("word", "filled", "status"),
    [
        ("PendingSubmit", 0, OrderStatus.SUBMITTED),
        ("PreSubmitted", 0, OrderStatus.SUBMITTED),
        ("Submitted", 2, OrderStatus.PARTIAL),
        ("PendingCancel", 0, OrderStatus.SUBMITTED),
        ("Submitted", 5, OrderStatus.FILLED),
        ("Filled", 5, OrderStatus.FILLED),
        ("Cancelled", 2, OrderStatus.CANCELLED),
        ("ApiCancelled", 0, OrderStatus.CANCELLED),
        ("Inactive", 0, OrderStatus.UNKNOWN),
        ("ValidationError", 0, OrderStatus.UNKNOWN),
        ("Something new", 0, OrderStatus.UNKNOWN),
    ],
)
def test_a_status_is_read_from_the_word_and_what_filled(word: str, filled: float, status: OrderStatus) -> None:
    (order,) = Books((a_trade(word, filled=filled),), (), ()).sent_as("DU1", "mine")
    assert order.status is status
    assert order.filled_quantity == filled
    assert order.side is Side.BUY


@pytest.mark.parametrize(("filled", "status"), [(0, OrderStatus.REJECTED), (2, OrderStatus.CANCELLED)])
def test_an_inactive_order_is_refused_once_it_is_over(filled: float, status: OrderStatus) -> None:
    (order,) = Books((), (a_trade("Inactive", filled=filled),), ()).sent_as("DU1", "mine")
    assert order.status is status


def test_an_order_that_is_told_of_twice_is_one_order() -> None:
    trade = a_trade("Submitted")
    assert len(Books((trade, trade), (), ()).working("DU1")) == 1


def test_executions_know_more_than_a_status_that_lags_behind() -> None:
    (order,) = Books((a_trade("Submitted"),), (), (a_fill(2),)).sent_as("DU1", "mine")
    assert (order.status, order.filled_quantity, order.average_price) == (OrderStatus.PARTIAL, Decimal(2), Decimal(500))
    assert order.commission == 1


def test_a_commission_is_only_told_whole() -> None:
    whole = (a_fill(2), a_fill(3, name="0000e0d5.1.02.01", fee=1.0))
    (order,) = Books((), (a_trade("Filled", filled=5),), whole).sent_as("DU1", "mine")
    assert order.commission == 2
    for fills in (whole[:1], (whole[0], a_fill(3, name="0000e0d5.1.02.01", fee=None)), ()):
        (order,) = Books((), (a_trade("Filled", filled=5),), fills).sent_as("DU1", "mine")
        assert (order.status, order.filled_quantity, order.commission) == (OrderStatus.FILLED, Decimal(5), None)


def test_a_corrected_fill_counts_once() -> None:
    first, corrected = a_fill(5), a_fill(4, name="0000e0d5.1.01.02")
    (only,) = Books((), (), (first, corrected)).executions("DU1")
    assert only.quantity == 4


def test_an_order_that_ended_meanwhile_is_told_of_as_ended() -> None:
    books = Books((a_trade("Submitted"),), (a_trade("Cancelled"),), ())
    (order,) = books.sent_as("DU1", "mine")
    assert order.status is OrderStatus.CANCELLED
    assert books.known_as("DU1", "7") == order


def test_orders_that_have_no_lasting_id_yet_are_told_apart() -> None:
    first, second = a_trade("PendingSubmit", perm_id=0), a_trade("PendingSubmit", perm_id=0)
    second = replace(second, order=replace(second.order, orderId=4))
    books = Books((first, second), (), (a_fill(1, perm_id=0),))
    assert [order.order_id for order in books.working("DU1")] == ["17:3", "17:4"]
    assert [order.filled_quantity for order in books.working("DU1")] == [0, 0]
    assert len(books.sent_as("DU1", "mine")) == 2
    assert books.trade("DU1", "17:4") is second


@pytest.mark.parametrize("action", ["SSHORT", "SLONG"])
def test_what_somebody_sells_short_is_a_sale_and_hides_no_other_order(action: str) -> None:
    theirs = a_trade("Submitted", perm_id=8, ref="theirs")
    theirs = replace(theirs, order=replace(theirs.order, action=action))
    books = Books((a_trade("Submitted"), theirs), (), ())
    assert [order.side for order in books.working("DU1")] == [Side.BUY, Side.SELL]


def test_an_order_of_no_known_side_is_named_and_costs_none_of_ours() -> None:
    theirs = a_trade("Submitted", perm_id=8, ref="theirs")
    theirs = replace(theirs, order=replace(theirs.order, action="HOLD"))
    books = Books((a_trade("Submitted"), theirs), (), ())
    with pytest.raises(Terminal, match=r"'HOLD' 5 SPY \(8\).*nothing was traded"):
        books.working("DU1")
    assert [order.order_id for order in books.sent_as("DU1", "mine")] == ["7"]


def test_executions_of_another_account_are_not_ours_whatever_their_order() -> None:
    """The shape of an advisor's allocation: one lasting id over several accounts."""
    theirs = a_fill(3, name="0000e0d5.2.01.01")
    theirs = theirs._replace(execution=replace(theirs.execution, acctNumber="DU2"))
    books = Books((), (a_trade("Cancelled"),), (a_fill(1), theirs))
    (order,) = books.sent_as("DU1", "mine")
    assert (order.status, order.filled_quantity) == (OrderStatus.CANCELLED, Decimal(1))


def test_an_execution_that_cannot_be_read_costs_itself_and_no_order_that_works() -> None:
    """Its order can still be found and cancelled; one that is over with it is not known to be what it seems."""
    odd = a_fill(float("nan"))
    working = Books((a_trade("Submitted"),), (), (odd,))
    assert [order.status for order in working.working("DU1")] == [OrderStatus.SUBMITTED]
    (over,) = Books((), (a_trade("Cancelled"),), (odd,)).sent_as("DU1", "mine")
    assert (over.status, over.message) == (OrderStatus.UNKNOWN, "1 of its executions cannot be read")
    with pytest.raises(Terminal, match=r"an execution of SPY that cannot be read"):
        working.executions("DU1")


def test_orders_of_another_account_or_id_are_not_ours() -> None:
    other = a_trade("Submitted", perm_id=8, ref="theirs")
    elsewhere = a_trade("Submitted", perm_id=9)
    elsewhere = replace(elsewhere, order=replace(elsewhere.order, account="DU2"))
    books = Books((a_trade("Submitted"), other, elsewhere), (), ())
    assert [order.order_id for order in books.sent_as("DU1", "mine")] == ["7"]
    assert [order.order_id for order in books.working("DU1")] == ["7", "8"]
    assert books.known_as("DU1", "9") is None


def test_what_tws_says_is_one_short_line_whatever_is_in_it() -> None:
    said = sentence(201, "no\0 \x1b[31m[red]good[/]<br>reason\n" + "a" * 100_000)
    assert said.isprintable()
    assert len(said) < 600
    assert said.endswith("(201)")
    assert led(201, "Order rejected - reason:no<br>funds.") == "201: Order rejected - reason:no funds"


def test_no_market_data_is_told_in_the_same_words_for_each_symbol() -> None:
    """So that a screen can show them once, with what to do about it."""
    said = {sentence(354, f"Requested market data is not subscribed.{name} S/TOP/ALL") for name in ("SPY", "KO")}
    assert said == {f"IB sends no prices, live or delayed (354): {SUBSCRIBE}"}


def test_a_read_only_api_is_told_apart_from_other_mistakes() -> None:
    assert "Read-Only API" in sentence(321, "Error validating request: The API interface is in Read-Only mode.")
    assert "Read-Only API" not in sentence(321, "Error validating request: no such account.")
