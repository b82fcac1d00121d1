"""The simulated broker on real prices, where the file of them lies beside the project; it may not be passed on."""

from __future__ import annotations

import gzip
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from brokers.simulated import open_simulated
from brokers.simulated.replay import ReplayMarket

PRICES = Path(__file__).parents[3] / "shared" / "data" / "prices-to-2020.csv.gz"

pytestmark = pytest.mark.skipif(not PRICES.exists(), reason="the file of real prices is not here")


async def test_the_bottom_of_march_2020_trades_at_its_own_prices(tmp_path: Path) -> None:
    broker = open_simulated(tmp_path, prices=PRICES, as_of=date(2020, 3, 23))
    (account,) = await broker.accounts()
    spy = await broker.find_contract("SPY")
    (quote,) = await broker.quotes([spy.conid])
    session = await broker.session("SPY")
    bars = await broker.history(spy.conid, "1d", "1y")
    summary = await broker.summary(account.account_id)
    await broker.close()
    assert (quote.last, quote.previous_close) == (Decimal("222.95"), Decimal("228.8"))
    assert session.is_open
    assert session.now.isoformat() == "2020-03-23T19:55:00+00:00"
    assert max(bar.close for bar in bars) == Decimal("338.34")
    assert bars[-1].start.date() == date(2020, 3, 20)
    assert summary.net_liquidation == 50_000
    assert 5_000 <= summary.total_cash < 5_040


async def test_the_sunday_before_is_closed(tmp_path: Path) -> None:
    broker = open_simulated(tmp_path, prices=PRICES, as_of=date(2020, 3, 22))
    session = await broker.session("SPY")
    await broker.close()
    assert not session.is_open


def test_every_row_of_the_file_is_sound() -> None:
    market = ReplayMarket(PRICES, None)
    bars = [bar for symbol in market.symbols() for bar in market.bars(symbol, market.last_day, 100_000)]
    assert len(bars) == gzip.decompress(PRICES.read_bytes()).count(b"\n") - 1
    assert all(bar.low <= bar.open <= bar.high and bar.low <= bar.close <= bar.high for bar in bars)
