"""Whole runs on TWS while something is wrong: what the record says of each order is what the books there say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from brokers.simulated import open_simulated
from brokers.tws import Address, Patience, TwsBroker, open_tws
from cli.wiring import Start, run_over
from config.home import Home
from graph.record import Outcome, RunRecord
from portfolio.models import OrderStatus
from tests.graph.conftest import TRADING_DAY, drain, hurried, settings_with
from tests.simulators.gateway import DropOnPlace, Gateway, NotLoggedIn, WhatIfFault, gateway
from tools.server import build_server

HASTE = Patience(opening=2.0, answer=1.0, quote=5.0, bars=1.0, again=2.0)
PLACE, CANCEL = 3, 4


@pytest.fixture(autouse=True)
def locks_of_this_test(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


@asynccontextmanager
async def at_gateway(folder: Path, **login: Any) -> AsyncIterator[tuple[Gateway, TwsBroker]]:
    books = open_simulated(folder / "books", as_of=TRADING_DAY)
    async with gateway(books, **login) as running:
        broker = open_tws(Address(port=running.port), folder / "history", HASTE)
        yield running, broker
        await broker.close()
    await books.close()


async def run(broker: TwsBroker, home: Home, **changes: Any) -> RunRecord:
    settings = settings_with(broker="tws", fill_timeout_seconds=5, **changes)
    async with run_over(build_server(broker), settings, home, Start(timing=hurried())) as one:
        await drain(one.start())
        return await one.record()


def assert_believed_as_booked(record: RunRecord, running: Gateway) -> None:
    """Nothing is held to be over that may still trade, and nothing to have filled that did not."""
    booked = {order.order_ref: order for order in running.orders()}
    for order in record.orders:
        there = booked.get(order.client_order_id)
        filled = there.filled if there else 0
        match order.status:
            case OrderStatus.FILLED:
                assert filled == order.quantity == order.filled_quantity
            case OrderStatus.CANCELLED | OrderStatus.REJECTED:
                assert there is None or there.status in ("Cancelled", "Inactive")
                assert filled == order.filled_quantity
            case OrderStatus.UNKNOWN:
                assert order.message
            case _:
                assert record.outcome is Outcome.ORDER_UNKNOWN
                assert there is not None
                assert there.status not in ("Cancelled", "Inactive", "Filled")
    sent = [order.order_ref for order in running.orders()]
    assert len(sent) == len(set(sent)), "an order was sent twice"


FAULTS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "every order is rejected": {"reject_orders": True},
    "every id is used already": {"duplicate_ids": True},
    "read only": {"read_only": True},
    "orders are answered with silence": {"silent_requests": {PLACE}},
    "orders are acknowledged late": {"acknowledge_after": 1.0},
    "the connection drops over a booked order": {"drop_on_place": DropOnPlace.BOOKED},
    "the connection drops over a lost order": {"drop_on_place": DropOnPlace.LOST},
    "one share at a time": {"fill_at_most": 1},
    "orders are held": {"hold_orders": True},
    "orders are held and cancels ignored": {"hold_orders": True, "silent_requests": {CANCEL}},
    "a remark on every order": {"tif_by_preset": True},
    "commissions come late": {"commission_late": True},
    "commissions are never told": {"commission_unknown": True},
    "what-ifs hang": {"what_if": WhatIfFault.HANGS},
    "what-ifs are empty": {"what_if": WhatIfFault.EMPTY},
    "what-ifs come twice": {"what_if": WhatIfFault.TWICE},
    "what-ifs are refused": {"what_if": WhatIfFault.INVALID},
    "another login takes the prices": {"competing_session": True},
    "no market data": {"not_subscribed": True},
    "delayed prices": {"delayed_only": True},
    "one symbol has no quote": {"silent_symbols": {"VTI"}},
    "one symbol has no definition": {"unknown_symbols": {"VTI"}},
    "no history": {"no_history": True},
}
QUICK = ("the connection drops over a booked order",)


@pytest.mark.parametrize(
    "fault", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in FAULTS]
)
async def test_a_run_ends_with_a_right_belief_about_each_order(fault: str, home: Home, tmp_path: Path) -> None:
    async with at_gateway(tmp_path) as (running, broker):
        await broker.accounts()
        for name, value in FAULTS[fault].items():
            setattr(running.faults, name, value)
        record = await run(broker, home)
        assert_believed_as_booked(record, running)
        assert record.message
        for name in FAULTS[fault]:
            setattr(running.faults, name, getattr(type(running.faults)(), name))
        again = await run(broker, home)
        assert_believed_as_booked(again, running)
    assert again.outcome in (Outcome.TRADED, Outcome.NOTHING_TO_DO, Outcome.ORDER_UNKNOWN), again.message


ENDS = {
    "nothing": Outcome.TRADED,
    "every order is rejected": Outcome.REFUSED,
    "read only": Outcome.REFUSED,
    "what-ifs hang": Outcome.REFUSED,
    "another login takes the prices": Outcome.DATA_UNFIT,
    "delayed prices": Outcome.TRADED,
    "one symbol has no quote": Outcome.TRADED,
    "one symbol has no definition": Outcome.TRADED,
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", ENDS)
async def test_a_fault_ends_a_run_as_it_must(fault: str, home: Home, tmp_path: Path) -> None:
    async with at_gateway(tmp_path) as (running, broker):
        for name, value in FAULTS[fault].items():
            setattr(running.faults, name, value)
        record = await run(broker, home)
    assert record.outcome is ENDS[fault], record.message


async def test_where_nobody_is_logged_in_nothing_is_sent_and_the_next_step_is_told(home: Home, tmp_path: Path) -> None:
    async with at_gateway(tmp_path) as (running, broker):
        running.faults.not_logged_in = NotLoggedIn.SILENT
        record = await run(broker, home)
        assert record.outcome is Outcome.UNREACHABLE
        assert "Gateway is not logged in" in record.message
        assert running.orders() == []


@pytest.mark.slow
async def test_paper_wanted_and_a_live_account_there_sends_nothing(home: Home, tmp_path: Path) -> None:
    async with at_gateway(tmp_path, shown="U1234567") as (running, broker):
        record = await run(broker, home)
    assert record.orders == ()
    assert running.orders() == []


@pytest.mark.slow
async def test_a_live_account_is_not_traded_on_delayed_prices(home: Home, tmp_path: Path) -> None:
    live = {"paper_trading": False, "live_accounts": ["U1234567"], "live_account_confirmed": "U1234567"}
    async with at_gateway(tmp_path, shown="U1234567") as (running, broker):
        running.faults.delayed_only = True
        refused = await run(broker, home, require_approval="never", **live)
        assert running.orders() == []
        assert refused.outcome is Outcome.DATA_UNFIT
        assert "allow_delayed_data" in refused.message
        allowed = await run(broker, home, require_approval="never", allow_delayed_data=True, **live)
        assert allowed.outcome is Outcome.TRADED, allowed.message
        assert_believed_as_booked(allowed, running)
