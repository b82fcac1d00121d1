"""What is made of what was observed of a server, without one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tools.fingerprint import Reading, fingerprint
from tools.looks import Look
from tools.offer import Offer, OfferedTool
from tools.rows.account import LedgerRow, PnlRow
from tools.rows.market import SnapshotRow

NOTHING = Offer("", "", ())


def seen(about: str, offer: Offer = NOTHING, looked: Look | None = None, reading: Reading | None = None) -> bool | None:
    (trait,) = [one for one in fingerprint(offer, looked or Look(), reading or Reading()) if one.about == about]
    return trait.seen


def snapshot(**row: Any) -> Look:
    return Look(snapshot=SnapshotRow(conid=1, **row))


def test_what_nobody_looked_at_is_neither_there_nor_not() -> None:
    for about in ("what-if", "positions", "summary", "contracts", "exchanges", "ledger", "previous close", "sides"):
        assert seen(about) is None


def test_every_line_says_what_is_done_about_it() -> None:
    traits = fingerprint(NOTHING, Look(), Reading())
    assert all(trait.what and trait.so for trait in traits)
    assert {trait.fault for trait in traits if trait.fault} == set(range(1, 11))
    assert len({trait.about for trait in traits}) == len(traits)


@pytest.mark.parametrize(("hint", "form", "bare"), [(True, True, False), (False, True, True), (True, False, True)])
def test_one_tool_that_says_nothing_is_enough(hint: bool, form: bool, bare: bool) -> None:  # noqa: FBT001
    tools = tuple(OfferedTool(name, {}, is_annotated=hint, has_form=form) for name in ("get_pnl", "their_own"))
    assert (seen("annotations", Offer("", "", tools)) or seen("form", Offer("", "", tools))) is bare


def test_a_client_order_id_must_be_a_parameter_of_an_order() -> None:
    """That a reading tool takes one helps nobody."""
    for name, lacks in (("get_order_status", True), ("place_order", False)):
        offer = Offer("", "", (OfferedTool(name, {"client_order_id": {}}, is_annotated=True, has_form=True),))
        assert seen("receipts", offer) is lacks


@pytest.mark.parametrize(
    ("rows", "silent"), [((), False), ((PnlRow(),), True), ((PnlRow(), PnlRow(dpl=Decimal(0))), False)]
)
def test_rows_of_nothing_are_told_from_no_rows_and_from_zeros(rows: tuple[PnlRow, ...], silent: bool) -> None:  # noqa: FBT001
    assert seen("profit and loss", looked=Look(profit=rows)) is silent


def test_a_ledger_of_nothing_is_seen() -> None:
    assert seen("ledger", looked=Look(ledger=(LedgerRow(),))) is True


@pytest.mark.parametrize(
    ("close", "odd"),
    [("99", False), ("50", False), ("200", False), ("-1234.56", True), ("49", True), ("201", True), (None, True)],
)
def test_a_previous_close_is_near_the_last_price_or_none(close: str | None, odd: bool) -> None:  # noqa: FBT001
    assert seen("previous close", looked=snapshot(last_price="100", close=close)) is odd


def test_an_empty_snapshot_says_nothing_of_its_close_or_its_time() -> None:
    assert seen("previous close", looked=snapshot()) is None
    assert seen("quote times", looked=snapshot()) is None


def test_prices_that_are_empty_for_a_reason_are_no_fault() -> None:
    told = Look(first=SnapshotRow(conid=1, note="no subscription"))
    assert (seen("first prices", looked=told), seen("first prices", looked=Look(first=SnapshotRow(conid=1)))) == (
        False,
        True,
    )
