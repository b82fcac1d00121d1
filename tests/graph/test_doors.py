"""The same run through every door to a broker: in memory, over stdio and HTTP, on the simulated broker and on TWS."""

from __future__ import annotations

import shlex
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp.server.fastmcp import FastMCP

from brokers.protocol import Broker
from brokers.simulated import open_simulated
from brokers.tws import Address, open_tws
from cli.wiring import Start, run_over
from config.home import Home
from graph.record import Outcome, RunRecord
from portfolio.models import OrderStatus
from tests.graph.conftest import TRADING_DAY, drain, hurried, settings_with
from tests.simulators.gateway import Gateway, gateway
from tests.simulators.http_server import over_http
from tools.server import build_server

Door = Callable[[Path], AbstractAsyncContextManager[FastMCP[object] | str]]


@asynccontextmanager
async def simulated(folder: Path) -> AsyncIterator[Broker]:
    broker = open_simulated(folder, as_of=TRADING_DAY)
    yield broker
    await broker.close()


@asynccontextmanager
async def at_gateway(folder: Path, version: int = 178) -> AsyncIterator[tuple[Gateway, Broker]]:
    async with simulated(folder / "books") as books, gateway(books, version=version) as running:
        broker = open_tws(Address(port=running.port), folder / "history")
        yield running, broker
        await broker.close()


@asynccontextmanager
async def in_memory(folder: Path) -> AsyncIterator[FastMCP[object] | str]:
    async with simulated(folder) as broker:
        yield build_server(broker)


@asynccontextmanager
async def over_stdio(folder: Path) -> AsyncIterator[FastMCP[object] | str]:
    command = [str(Path(sys.executable).with_name("smart-agent")), "server", "--transport", "stdio"]
    yield f"stdio:{shlex.join([*command, '--home', str(folder), '--as-of', TRADING_DAY.isoformat()])}"


@asynccontextmanager
async def simulated_over_http(folder: Path) -> AsyncIterator[FastMCP[object] | str]:
    async with simulated(folder) as broker, over_http(build_server(broker)) as address:
        yield address


@asynccontextmanager
async def tws_in_memory(folder: Path) -> AsyncIterator[FastMCP[object] | str]:
    async with at_gateway(folder, version=157) as (_, broker):
        yield build_server(broker)


@asynccontextmanager
async def tws_over_http(folder: Path) -> AsyncIterator[FastMCP[object] | str]:
    async with at_gateway(folder) as (_, broker), over_http(build_server(broker)) as address:
        yield address


async def run(server: FastMCP[object] | str, home: Home, **changes: Any) -> RunRecord:
    async with run_over(server, settings_with(**changes), home, Start(timing=hurried())) as one:
        await drain(one.start())
        return await one.record()


@pytest.fixture(autouse=True)
def locks_of_this_test(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The accounts of all simulated brokers have one name, which one process at a time may trade."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


OTHERS = (in_memory, over_stdio, tws_in_memory, tws_over_http)


@pytest.mark.parametrize("door", [simulated_over_http, *(pytest.param(one, marks=pytest.mark.slow) for one in OTHERS)])
async def test_every_door_leads_to_the_same_trades(door: Door, home: Home, tmp_path: Path) -> None:
    async with door(tmp_path / "broker") as server:
        first = await run(server, home)
        second = await run(server, home)
    assert first.outcome is Outcome.TRADED, first.message
    assert first.plan is not None
    assert [(order.side, order.quantity, order.symbol) for order in first.orders] == [
        ("SELL", 6, "NVDA"),
        ("BUY", 2, "VOO"),
        ("BUY", 2, "VTI"),
    ]
    assert {order.status for order in first.orders} == {OrderStatus.FILLED}
    assert all(order.commission == 1 for order in first.orders)
    assert first.reflection is not None
    assert second.snapshot is not None
    assert second.snapshot.net_liquidation == first.reflection.portfolio_value_after
    assert second.outcome is Outcome.TRADED
