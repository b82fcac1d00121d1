"""Messages about orders: openOrder, orderStatus, execDetails, commissionReport and completedOrder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from brokers.session import NEW_YORK
from portfolio.models import Side, WhatIf
from tests.simulators.gateway.messages import ZONE, stock
from tests.simulators.gateway.orders import NO_FA_PROFILE, Fill, Order
from tests.simulators.gateway.wire import UNSET, UNSET_ID, Field, Fields

DURATION, POST_TO_ATS, AUTO_CANCEL_PARENT, PEG_FIELDS, PENDING_REVISION = 159, 160, 162, 170, 178
PEG_DEFAULTS: tuple[Field, ...] = ("", 100, "0.02", "", "")
NO_AMOUNTS = (UNSET,) * 9
SMART, VENUE = "SMART", "IEX"
SHAREHOLDER = "Not an insider or substantial shareholder"
TAKEN_OFF = "Order Canceled - reason:"
"""What is said of an order that somebody cancelled."""


@dataclass(frozen=True)
class Preview:
    """The answer to a what-if: margins before, changes and margins after (initial, maintenance, equity), and costs."""

    margins: tuple[Field, ...] = NO_AMOUNTS
    commission: Field = ""
    warning: str = ""


def preview_of(answer: WhatIf) -> Preview:
    pairs = (
        (answer.initial_margin_before, answer.initial_margin_after),
        (answer.maintenance_margin_before, answer.maintenance_margin_after),
        (answer.equity_before, answer.equity_after),
    )
    before = [UNSET if old is None else old for old, _ in pairs]
    after = [UNSET if new is None else new for _, new in pairs]
    change = [UNSET if old is None or new is None else new - old for old, new in pairs]
    commission = UNSET if answer.commission is None else answer.commission
    return Preview((*before, *change, *after), commission, answer.warning or "")


def open_order(version: int, order: Order, preview: Preview | None = None) -> Fields:
    """What is known of `order`, or with `preview` what would become of it."""
    told = preview or Preview()
    return [
        5, order.order_id, *stock(order.conid, order.symbol, SMART, right="?"),
        order.side.value, order.quantity, order.order_type, order.limit or 0, 0, "DAY", "",
        order.account, "", 0, order.order_ref, order.client_id, order.perm_id,
        False, False, 0, "", f"{order.perm_id}.0/{order.account}/100",  # outsideRth to shares allocation
        *_adviser(version), "", "", "", "", "",  # modelCode, goodTillDate, rule80A, percentOffset, settlingFirm
        0, "", -1,  # short sale
        0, "", "", "", "", "", UNSET_ID, False, False, False, "",  # auctionStrategy, box, peg, displaySize to minQty
        3, False, False, "", 0, 0,  # ocaType, eTradeOnly, firmQuoteOnly, nbboPriceCap, parentId, triggerMethod
        "", 0, "None", "", 0, "", "", "", "?", False, 0, "",  # volatility and delta neutral
        False, 0, "", "", "", "",  # continuousUpdate, referencePriceType, trail, basis points
        "", 0, 0, 0, UNSET_ID, UNSET_ID, "", "",  # combo, scale, hedge
        False, "", "IB", False, False, "", False,  # routing, clearing, notHeld, delta neutral, algo, solicited
        preview is not None, "PreSubmitted" if preview else order.status,
        *told.margins, told.commission, "", "", "USD" if preview else "", told.warning,
        False, False, 0,  # randomize, conditions
        "None", UNSET, UNSET, UNSET, UNSET, UNSET, UNSET, 0, "", "", "",  # adjusted order, soft dollars
        0, True, False, False, False,  # cashQty to usePriceMgmtAlgo
        *([""] if version >= DURATION else []),
        *([""] if version >= POST_TO_ATS else []),
        *([False] if version >= AUTO_CANCEL_PARENT else []),
        *(PEG_DEFAULTS if version >= PEG_FIELDS else ()),
    ]  # fmt: skip


def completed_order(version: int, order: Order) -> Fields:
    """It has neither order id nor client id."""
    return [
        101, *stock(order.conid, order.symbol, SMART, right="?"),
        order.side.value, order.quantity, order.order_type, order.limit or 0, 0, "DAY", "",
        order.account, "", 0, order.order_ref, order.perm_id,
        False, False, 0, "",
        *_adviser(version), "", "", 0, "", "",
        0, "", -1,
        "", "", "", "", "", UNSET_ID, False, False, "",
        3, 0,
        "", 0, "None", "", 0, False, 0, "",
        False, 0, "", "",
        "", 0, 0, 0, UNSET_ID, UNSET_ID, "", "",
        "", "IB", False, False, "", False, order.status,
        False, False, 0,
        UNSET, UNSET, 0, True, False, "", order.filled, UNSET_ID, False, SHAREHOLDER, False, False, 0,
        clock(order.ended_at) if order.ended_at else "", _how_it_ended(order),
        *([""] * 5 if version >= PEG_FIELDS else []),
    ]  # fmt: skip


def order_status(order: Order) -> Fields:
    return [
        3, order.order_id, order.status, order.filled, order.remaining, order.average_price, order.perm_id, 0,
        order.last_price, order.client_id, "", 0,
    ]  # fmt: skip


def exec_details(version: int, request: int, order: Order, fill: Fill, *, with_zone: bool = True) -> Fields:
    """An order by hand has the number for none as its order id here, unlike in all other messages."""
    done = fill.execution
    when = clock(done.executed_at) if with_zone else f"{done.executed_at.astimezone(NEW_YORK):%Y%m%d  %H:%M:%S}"
    return [
        11, request, order.order_id or UNSET_ID, *stock(order.conid, order.symbol, VENUE),
        fill.exec_id, when, order.account, VENUE, "BOT" if done.side is Side.BUY else "SLD",
        done.quantity, done.price, order.perm_id, order.client_id, 0, fill.cumulative, fill.average_price,
        order.order_ref, "", "", "", 2, *([False] if version >= PENDING_REVISION else []),
    ]  # fmt: skip


def commission_report(fill: Fill, *, is_known: bool = True) -> Fields:
    """The profit a fill realised is never told here: the broker's executions do not say it."""
    amount: Field = fill.execution.commission if is_known else None
    return [59, 1, fill.exec_id, UNSET if amount is None else amount, "USD", UNSET, UNSET, ""]


def clock(moment: datetime) -> str:
    return f"{moment.astimezone(NEW_YORK):%Y%m%d %H:%M:%S} {ZONE}"


def average(paid: Decimal, shares: Decimal) -> Decimal:
    return round(paid / shares, 8).normalize()


def _how_it_ended(order: Order) -> str:
    if order.status == "Filled":
        return f"Filled Size: {order.filled}"
    if order.reason == TAKEN_OFF:
        return "Cancelled by Trader"
    return f"{'Cancelled' if order.status == 'Cancelled' else 'Rejected'} by System:\n{order.reason}"


def _adviser(version: int) -> Fields:
    return ["", "", "", *([""] if version < NO_FA_PROFILE else [])]
