"""The contract and its rows: names, classes, and the way from the house's facts to the wire and back."""

from __future__ import annotations

import types
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AwareDatetime, ValidationError

from brokers.protocol import OrderRequest
from portfolio.models import (
    Account,
    AccountSummary,
    Bar,
    BrokerOrder,
    CashBalance,
    Contract,
    Execution,
    Fact,
    Feed,
    OrderStatus,
    Position,
    ProfitAndLoss,
    Quote,
    ScanRow,
    Session,
    Side,
    WhatIf,
)
from tools.contract import TOOL_CLASSES, Tool, ToolClass
from tools.rows.account import PositionRow, SummaryRow
from tools.rows.base import Row
from tools.rows.market import SnapshotRow
from tools.rows.orders import OrderRow, PlaceRow, WhatIfRow
from tools.wire import account, market, orders

AnyFact = TypeVar("AnyFact", bound=Fact)

amounts = st.decimals("-1e9", "1e9", places=4, allow_nan=False)
moments = st.integers(0, 2_000_000_000_000).map(lambda ms: datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=ms))
LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    Decimal: amounts,
    AwareDatetime: moments,
    # What cannot be shown is refused, and a remark loses the spaces around it.
    str: st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=12).filter(str.isprintable),
    int: st.integers(1, 10**9),
    bool: st.booleans(),
    Side: st.sampled_from(Side),
    Feed: st.sampled_from(Feed),
    OrderStatus: st.sampled_from(OrderStatus),
    type(None): st.none(),
}


def of_type(annotation: Any) -> st.SearchStrategy[Any]:
    if get_origin(annotation) in (Union, types.UnionType):
        return st.one_of(*map(of_type, get_args(annotation)))
    if get_origin(annotation) is Annotated:
        return of_type(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return st.sampled_from(get_args(annotation))
    return LEAVES[annotation]


def any_of(model: type[AnyFact]) -> st.SearchStrategy[AnyFact]:
    return st.builds(model, **{name: of_type(field.annotation) for name, field in model.model_fields.items()})


def over_the_wire(row: Row) -> Any:
    """What a client in another process reads of `row`."""
    return type(row).model_validate_json(row.model_dump_json())


def test_the_contract_names_the_twenty_tools_of_the_existing_server_and_five_extensions() -> None:
    twenty = {
        "find_contract", "get_accounts", "get_portfolio_summary", "get_positions", "get_pnl", "get_ledger",
        "get_market_snapshot", "get_history", "get_order_book", "get_live_orders", "whatif_order", "place_order",
        "cancel_order", "scan_top_gainers", "scan_top_losers", "scan_most_active", "custom_scan", "get_scan_codes",
        "portfolio_health_check", "stock_analysis",
    }  # fmt: skip
    extensions = {
        "find_contracts",
        "get_market_snapshots",
        "get_order_status",
        "get_executions",
        "get_trading_schedule",
    }
    assert set(Tool) == twenty | extensions


def test_only_placing_and_cancelling_are_order_tools_and_every_tool_has_a_class() -> None:
    """A model never holds an ORDER tool, so a tool that slips out of this table would slip into its hands."""
    assert set(TOOL_CLASSES) == set(Tool)
    assert {tool for tool, kind in TOOL_CLASSES.items() if kind is ToolClass.ORDER} == {"place_order", "cancel_order"}


@pytest.mark.parametrize("sent", ["190.50", 190.5, 190])
def test_a_number_is_read_from_text_and_from_json_numbers(sent: object) -> None:
    assert SummaryRow.model_validate({"netliquidation": sent}).netliquidation == Decimal(str(sent))


@pytest.mark.parametrize("garbage", ["40,000", "C222.95", "NaN", "Infinity", "", "1.2.3", True])
def test_a_garbled_number_is_an_error_and_never_a_number(garbage: object) -> None:
    """The existing server sends such figures, and a guess at one of them would be traded on."""
    with pytest.raises(ValidationError):
        SummaryRow.model_validate({"netliquidation": garbage})


@pytest.mark.parametrize(
    ("sent", "count"),
    [(3, 3), (-1, -1), (0, 0), ("3", 3), ("-1", -1), (3.0, 3), (None, None)]
    + [(odd, None) for odd in ({"amount": 3, "value": "3"}, [3], True, 2.5, "many", "", "9" * 5000, float("nan"))],
)
def test_a_count_of_day_trades_that_is_no_count_is_not_reported_and_hides_nothing_else(
    sent: object, count: int | None
) -> None:
    """The existing server may send an object there; the account must still be read."""
    row = SummaryRow.model_validate({"netliquidation": "5", "daytradesremaining": sent})
    assert (row.daytradesremaining, row.netliquidation) == (count, Decimal(5))
    written = SummaryRow(daytradesremaining=count).model_dump(mode="json")
    assert written["daytradesremaining"] == count


@pytest.mark.parametrize("figure", ["150000010001501000", "150000000.00" + "1" * 30])
def test_figures_of_a_what_if_that_are_run_together_reach_the_guard_as_they_are(figure: str) -> None:
    """An account of a million makes numbers beyond any balance; unread, they could not be called what they are."""
    answer = orders.read_whatif(over_the_wire(WhatIfRow.model_validate({"initial": figure, "equity": figure})))
    assert answer.initial_margin_after == answer.equity_after == Decimal(figure)


def test_an_absent_number_stays_absent() -> None:
    assert SummaryRow.model_validate({"netliquidation": None}).netliquidation is None
    assert SummaryRow().model_dump(mode="json")["netliquidation"] is None


def test_numbers_are_written_as_plain_decimal_strings() -> None:
    written = SummaryRow(netliquidation=Decimal("5E+4"), cushion=Decimal("0.0000001")).model_dump(mode="json")
    assert (written["netliquidation"], written["cushion"]) == ("50000", "0.0000001")


def test_keys_of_another_server_are_dropped_and_its_integer_order_ids_become_text() -> None:
    row = OrderRow.model_validate({"orderId": 1234567, "conid": 1, "bgColor": "#000000"})
    assert row.orderId == "1234567"
    assert PlaceRow.model_validate({"order_id": 987, "question": "Really?"}).order_id == "987"


def test_a_row_without_a_needed_fact_is_refused_instead_of_filled_in() -> None:
    with pytest.raises(ValidationError):
        account.read_summary("DU1", SummaryRow(currency="USD", netliquidation=Decimal(1)))
    with pytest.raises(ValidationError):
        account.read_position(PositionRow(conid=1, contractDesc="SPY", acctId="DU1"))


def test_the_currency_of_a_summary_without_one_must_be_given() -> None:
    """50,000 EUR must not be read as 50,000 USD."""
    figures = dict.fromkeys(set(SummaryRow.model_fields) - {"accountcode", "accounttype", "currency"}, 1)
    row = SummaryRow.model_validate(figures)
    assert account.read_summary("DU1", row, currency="EUR").currency == "EUR"
    with pytest.raises(ValidationError):
        account.read_summary("DU1", row)


PAIRS: list[tuple[type[Fact], Callable[[Any], Row], Callable[[Any], Fact]]] = [
    (Account, account.account_row, account.read_account),
    (Position, account.position_row, account.read_position),
    (CashBalance, account.ledger_row, account.read_ledger_line),
    (ProfitAndLoss, lambda pnl: account.pnl_row(pnl, Decimal(1)), account.read_pnl),
    (Contract, market.contract_row, market.read_contract),
    (Quote, market.snapshot_row, market.read_quote),
    (Bar, market.bar_row, market.read_bar),
    (ScanRow, market.scan_row, market.read_scan),
    (Session, lambda session: market.schedule_row("SPY", session), market.read_schedule),
    (Execution, orders.execution_row, orders.read_execution),
]


@pytest.mark.parametrize(("model", "write", "read"), PAIRS, ids=[pair[0].__name__ for pair in PAIRS])
@given(data=st.data())
def test_every_fact_survives_the_wire(
    model: type[Fact], write: Callable[[Any], Row], read: Callable[[Any], Fact], data: st.DataObject
) -> None:
    fact = data.draw(any_of(model))
    assert read(over_the_wire(write(fact))) == fact


@given(any_of(AccountSummary))
def test_a_summary_survives_the_wire(summary: AccountSummary) -> None:
    assert account.read_summary(summary.account_id, over_the_wire(account.summary_row(summary))) == summary


@given(any_of(WhatIf))
def test_a_what_if_survives_the_wire(answer: WhatIf) -> None:
    order = OrderRequest(account_id="DU1", conid=1, side=Side.BUY, quantity=Decimal(2), order_type="MKT")
    assert orders.read_whatif(over_the_wire(orders.whatif_row(order, answer))) == answer


@given(any_of(BrokerOrder), st.decimals("0.0001", "1e6", places=4))
def test_an_order_survives_the_wire_with_its_status(order: BrokerOrder, some: Decimal) -> None:
    fills = {OrderStatus.PARTIAL: some, OrderStatus.SUBMITTED: Decimal(0), OrderStatus.REJECTED: Decimal(0)}
    done = fills.get(order.status, abs(order.filled_quantity))
    kind = orders.ORDER_TYPES.get(order.order_type.upper(), order.order_type)
    fact = order.model_copy(update={"filled_quantity": done, "order_type": kind})
    assert orders.read_order(over_the_wire(orders.order_row(fact))) == fact


@pytest.mark.parametrize(
    ("word", "filled", "status"),
    [
        ("PreSubmitted", 0, OrderStatus.SUBMITTED),
        ("PendingCancel", 3, OrderStatus.PARTIAL),
        ("Submitted", None, OrderStatus.SUBMITTED),
        ("ApiCancelled", 0, OrderStatus.CANCELLED),
        ("Inactive", 0, OrderStatus.REJECTED),
        ("Inactive", 3, OrderStatus.CANCELLED),
        ("WarnState", 0, OrderStatus.UNKNOWN),
        ("", 0, OrderStatus.UNKNOWN),
        (None, None, OrderStatus.UNKNOWN),
    ],
)
def test_ib_words_mean_what_the_filled_quantity_makes_of_them(
    word: str | None, filled: int | None, status: OrderStatus
) -> None:
    """A word nobody knows may be an order that works: it is unknown, never failed."""
    assert orders.read_status(word, None if filled is None else Decimal(filled)) is status


@pytest.mark.parametrize(("word", "kind"), [("Limit", "LMT"), ("MKT", "MKT"), ("STP", "STP"), (None, "")])
def test_an_order_of_any_type_is_read(word: str | None, kind: str) -> None:
    """A person's own stop order must not blind the agent, and must be counted."""
    row = OrderRow(orderId="1", conid=1, symbol="SPY", side="BUY", orderType=word, quantity=Decimal(1), account="DU1")
    assert orders.read_order(row).order_type == kind


def test_a_snapshot_says_how_far_the_price_moved_since_the_previous_close() -> None:
    row = market.snapshot_row(Quote(conid=1, symbol="SPY", last=Decimal(99), previous_close=Decimal(100)))
    assert (row.change, row.change_percent) == (Decimal(-1), Decimal(-1))
    assert market.snapshot_row(Quote(conid=1, symbol="SPY", last=Decimal(99))).change is None
    assert isinstance(over_the_wire(row), SnapshotRow)
