"""The broker contract over TWS, which is a simulated Gateway here, at the oldest and the newest version spoken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from brokers.protocol import Broker
from brokers.simulated import open_simulated
from brokers.tws import Address, open_tws
from tests.contracts.broker_contract import BrokerContract, MarketUnderTest
from tests.simulators.gateway import gateway


@pytest.mark.parametrize("version", [pytest.param(157, marks=pytest.mark.slow), 178], scope="class")
class TestTwsBroker(BrokerContract):
    @pytest.fixture
    async def broker(self, tmp_path: Path, version: int) -> AsyncIterator[Broker]:
        books = open_simulated(tmp_path / "books", as_of=date(2026, 3, 3))
        async with gateway(books, version=version) as served:
            broker = open_tws(Address(port=served.port), tmp_path / "history")
            yield broker
            await broker.close()
        await books.close()

    @pytest.fixture
    def market(self) -> MarketUnderTest:
        return MarketUnderTest(symbol="SPY", unknown_symbol="NOSUCH", unaffordable=Decimal(1_000))
