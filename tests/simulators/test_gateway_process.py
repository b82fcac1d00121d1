"""The simulated Gateway in a process of its own, commanded over its control port."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from ib_async import RequestError, Stock

from tests.simulators.gateway.remote import RunningGateway, gateway_process
from tests.simulators.ib_async_client import CLIENT, talking, until


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    home: Path = tmp_path_factory.mktemp("gateway")
    with gateway_process(home, "--as-of", "2026-06-15", "--version", "157", "--shown", "U1234567") as started:
        yield started


async def test_what_a_client_did_is_told_to_another_process(running: RunningGateway) -> None:
    control = running.control
    held = int(control.positions()["SPY"])
    async with talking(running) as talk:
        assert talk.ib.managedAccounts() == [running.account] == ["U1234567"]
        assert talk.ib.client.serverVersion() == 157
        before = len(control.requests())
        ticker = await talk.snapshot()
        trade = talk.buy(2, ticker.ask, "over there")
        await until(lambda: trade.orderStatus.status == "Filled")
    (order,) = [row for row in control.orders() if row["order_ref"] == "over there"]
    assert (order["status"], order["filled"], order["side"]) == ("Filled", "2", "BUY")
    assert (order["client_id"], order["perm_id"]) == (CLIENT, trade.order.permId)
    assert int(control.positions()["SPY"]) == held + 2
    assert [row["id"] for row in control.requests(before)] == [1, 3]


async def test_faults_are_set_from_another_process(running: RunningGateway) -> None:
    control = running.control
    assert control.set_faults(what_if="hangs", unknown_symbols=["KO"])["unknown_symbols"] == ["KO"]
    async with talking(running) as talk:
        with pytest.raises(TimeoutError):
            await talk.preview(1, 500, 0.2)
        with pytest.raises(RequestError, match="200"):
            await talk.ib.reqContractDetailsAsync(Stock("KO", "SMART", "USD"))
        assert control.set_faults(what_if=None, unknown_symbols=[])["what_if"] is None
        assert Decimal((await talk.preview(1, 500)).initMarginAfter) > 0


async def test_its_troubles_are_commanded_from_another_process(running: RunningGateway) -> None:
    control = running.control
    async with talking(running) as talk:
        control.do("announce", code=1100)
        await until(lambda: 1100 in talk.codes)
        control.do("drop")
        await until(lambda: not talk.ib.isConnected())
    before = await _next_id(running)
    control.do("restart", down_for=0.01)
    assert await _next_id(running) > before
    placed = control.do("by_hand", symbol="KO", side="BUY", quantity=1, limit="1.00", client_id=9, order_id=5)
    control.do("tick")
    assert (placed["status"], placed["client_id"], placed["order_id"]) == ("Submitted", 9, 5)


async def _next_id(running: RunningGateway) -> int:
    async with talking(running) as talk:
        return int(talk.ib.client.getReqId())


def test_a_command_that_makes_no_sense_is_told(running: RunningGateway) -> None:
    for command, arguments in (
        ("dance", {}),
        ("set_faults", {"no_such_fault": True}),
        ("set_faults", {"fill_at_most": "many"}),
        ("announce", {"code": 4711}),
    ):
        with pytest.raises(RuntimeError):
            running.control.do(command, **arguments)
