"""Runs of the real compiled graph over the real MCP server and the simulated broker, or a faulty twin of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Any

import pytest

from brokers.protocol import Broker
from cli.brokers import Market, simulated_broker
from cli.wiring import Start, Timing, run_over
from config.home import Home
from config.load import load_settings
from config.settings import Settings
from graph.events import ApprovalWanted
from graph.record import Approval, RunRecord
from graph.runner import Run
from tools.account import utc_now
from tools.server import build_server

TRADING_DAY = date(2026, 6, 15)

Faulty = Callable[[Broker], Broker]
RunOnce = Callable[..., Awaitable[RunRecord]]


def settings_with(**changes: Any) -> Settings:
    return load_settings(file=None, environ={}, overrides=changes)


def hurried() -> Timing:
    """Time that passes as always, and faster where a run waits."""
    ahead = timedelta(0)

    async def pause(seconds: float) -> None:
        nonlocal ahead
        ahead += timedelta(seconds=seconds)
        await asyncio.sleep(0)

    return Timing(clock=lambda: utc_now() + ahead, pause=pause)


@asynccontextmanager
async def opened(
    home: Home, settings: Settings, day: date, faulty: Faulty | None = None, start: Start | None = None
) -> AsyncIterator[Run]:
    simulated = simulated_broker(home, Market(as_of=day))
    broker: Broker = faulty(simulated) if faulty else simulated
    try:
        async with run_over(build_server(broker), settings, home, start or Start(timing=hurried())) as run:
            yield run
    finally:
        await broker.close()


async def drain(events: AsyncIterator[Any]) -> bool:
    """Let the run go on until it ends or asks; whether it asks."""
    return bool([event async for event in events if isinstance(event, ApprovalWanted)])


@pytest.fixture
def run_once(home: Home) -> RunOnce:
    """Run the graph once in this test's home, with `changes` to the settings, and give the record."""

    async def run(
        *, day: date = TRADING_DAY, faulty: Faulty | None = None, answer: Approval | None = None, **changes: Any
    ) -> RunRecord:
        async with opened(home, settings_with(**changes), day, faulty) as one:
            asked = await drain(one.start())
            if asked and answer:
                await drain(one.resume(answer))
            return await one.record()

    return run
