from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from brokers.protocol import Broker
from brokers.simulated import open_simulated
from tests.contracts.broker_contract import BrokerContract, MarketUnderTest


class TestSimulatedBroker(BrokerContract):
    @pytest.fixture
    async def broker(self, tmp_path: Path) -> AsyncIterator[Broker]:
        broker = open_simulated(tmp_path, as_of=date(2026, 3, 3))
        yield broker
        await broker.close()

    @pytest.fixture
    def market(self) -> MarketUnderTest:
        return MarketUnderTest(symbol="SPY", unknown_symbol="NOSUCH", unaffordable=Decimal(1_000))
