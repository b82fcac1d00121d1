"""A simulated Gateway on a Monday afternoon, and an ib_async that talks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest

from brokers.simulated import SimulatedBroker, open_simulated
from portfolio.models import Quote
from tests.simulators.gateway import Gateway, gateway
from tests.simulators.ib_async_client import SPY, Talk, talking

MONDAY = date(2026, 6, 15)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[SimulatedBroker]:
    opened = open_simulated(tmp_path, as_of=MONDAY)
    yield opened
    await opened.close()


@pytest.fixture
def version() -> int:
    return 178


@pytest.fixture
async def served(broker: SimulatedBroker, version: int) -> AsyncIterator[Gateway]:
    async with gateway(broker, version=version, beat=0) as running:
        yield running


@pytest.fixture
async def talk(served: Gateway) -> AsyncIterator[Talk]:
    async with talking(served) as begun:
        yield begun


@pytest.fixture
async def quote(broker: SimulatedBroker) -> Quote:
    contract = await broker.find_contract(SPY)
    (shown,) = await broker.quotes([contract.conid])
    return shown
