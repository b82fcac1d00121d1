"""The first account a newcomer sees, and the clock it is seen by."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from brokers.errors import Terminal
from brokers.simulated import MarketError, open_simulated, opening
from portfolio.costs import to_cents

BROAD, GROWTH = {"SPY", "VTI", "VOO", "QQQ", "IWM"}, {"TSLA", "NVDA", "AMZN", "GOOGL", "MSFT", "AAPL"}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("day", [date(1990, 1, 2), date(2008, 10, 10), date(2026, 11, 20), date(2040, 12, 31)])
async def test_a_newcomer_has_50000_in_eight_positions_far_from_target(tmp_path: Path, day: date) -> None:
    broker = open_simulated(tmp_path, as_of=day)
    (account,) = await broker.accounts()
    summary = await broker.summary(account.account_id)
    positions = await broker.positions(account.account_id)
    await broker.close()
    shares = {row.symbol: float(row.market_value or 0) / 500 for row in positions}
    assert account.account_id[:2] == "DU"
    assert account.account_id[2:].isdigit()
    assert len(account.account_id) == 9
    assert str(summary.net_liquidation) == "50000.00"
    assert 5_000 <= summary.total_cash < 5_000 + min(row.market_price or 0 for row in positions)
    assert len(positions) == 8
    assert sum(share for symbol, share in shares.items() if symbol in BROAD) < 65
    assert sum(share for symbol, share in shares.items() if symbol in GROWTH) > 20
    assert all(row.market_price is not None and row.market_price > row.average_cost * 9 / 10 for row in positions)


@pytest.mark.parametrize(
    ("real", "told"),
    [
        ("2026-03-03T15:00", "2026-03-03T15:00"),
        ("2026-03-03T10:00", "2026-03-02T17:00"),
        ("2026-03-03T23:00", "2026-03-03T17:00"),
        ("2026-03-01T15:00", "2026-02-27T17:00"),
    ],
)
async def test_the_clock_is_now_in_market_hours_and_noon_of_the_last_session_otherwise(
    tmp_path: Path, real: str, told: str
) -> None:
    broker = open_simulated(tmp_path, clock=lambda: at(real))
    session = await broker.session("SPY")
    await broker.close()
    assert session.now == at(told)
    assert session.is_open


async def test_tomorrow_sees_other_prices_and_the_same_shares(tmp_path: Path) -> None:
    seen = []
    for day in (2, 3):
        broker = open_simulated(tmp_path, as_of=date(2026, 3, day))
        (account,) = await broker.accounts()
        positions = await broker.positions(account.account_id)
        contract = await broker.find_contract("SPY")
        (quote,) = await broker.quotes([contract.conid])
        seen.append(({row.symbol: row.quantity for row in positions}, quote.last, quote.previous_close))
        await broker.close()
    assert seen[0][0] == seen[1][0]
    assert seen[0][1] == seen[1][2] != seen[1][1]


async def test_symbols_are_found_however_they_are_written_and_only_stocks_are(tmp_path: Path) -> None:
    broker = open_simulated(tmp_path, as_of=date(2026, 3, 3))
    assert (await broker.find_contract(" spy ")).symbol == "SPY"
    for symbol, sec_type in (("SPY", "OPT"), ("", "STK"), ("NOSUCH", "STK")):
        with pytest.raises(Terminal) as refused:
            await broker.find_contract(symbol, sec_type)
        assert refused.value.code == 200
    await broker.close()


@pytest.mark.parametrize(("bar", "period"), [("1min", "1d"), ("1d", "0d"), ("1d", "5"), ("1d", ""), ("1d", "1d1d")])
async def test_history_beyond_daily_bars_is_refused(tmp_path: Path, bar: str, period: str) -> None:
    broker = open_simulated(tmp_path, as_of=date(2026, 3, 3))
    contract = await broker.find_contract("SPY")
    with pytest.raises(Terminal) as refused:
        await broker.history(contract.conid, bar, period)
    await broker.close()
    assert refused.value.code == 162


@pytest.mark.parametrize(("period", "bars"), [("5d", 5), ("2w", 10), ("1y", 250), ("9999y", 9_000)])
async def test_history_reaches_as_far_as_asked(tmp_path: Path, period: str, bars: int) -> None:
    broker = open_simulated(tmp_path, as_of=date(2026, 3, 3))
    contract = await broker.find_contract("SPY")
    history = await broker.history(contract.conid, "1d", period)
    await broker.close()
    assert len(history) == pytest.approx(bars, rel=0.02, abs=1)
    assert history[-1].start == at("2026-03-02")


async def test_scans_rank_the_market_of_the_day(tmp_path: Path) -> None:
    broker = open_simulated(tmp_path, as_of=date(2026, 3, 3))
    gains = [row.change_percent or 0 for row in await broker.scan("TOP_PERC_GAIN", 100)]
    losses = [row.change_percent or 0 for row in await broker.scan("TOP_PERC_LOSE", 5)]
    busiest = await broker.scan("MOST_ACTIVE", 1)
    await broker.close()
    assert len(gains) >= 60
    assert gains == sorted(gains, reverse=True)
    assert losses == sorted(gains)[:5]
    assert busiest[0].symbol == "NVDA"


@pytest.mark.parametrize("day", [date(1800, 1, 1), date(1989, 10, 13), date(1990, 1, 1), date(2150, 1, 1)])
def test_a_day_the_simulated_market_does_not_know_is_refused(tmp_path: Path, day: date) -> None:
    with pytest.raises(MarketError, match=f"{day}: .* known from 1990-01-02 to 2100-12-31; take a day between them"):
        open_simulated(tmp_path, as_of=day)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("day", [date(1990, 1, 2), date(2100, 12, 31)])
async def test_the_first_and_the_last_day_known_can_be_traded_on(tmp_path: Path, day: date) -> None:
    broker = open_simulated(tmp_path, as_of=day)
    session = await broker.session("SPY")
    await broker.close()
    assert session.is_open


@given(st.lists(st.decimals("1e-9", "1e8", allow_nan=False).filter(bool), min_size=8, max_size=8))
@example([Decimal("1e-9")] * 8)
@example([Decimal(1), *[Decimal("1e-9")] * 7])
def test_any_prices_open_a_portfolio_of_50000_at_once(prices: list[Decimal]) -> None:
    """One share at a time, a price of a billionth of a dollar would be bought for ever."""
    known = dict(zip(opening.SYMBOLS, prices, strict=True))
    cash, holdings = opening.opening_portfolio(known)
    invested = sum((to_cents(held.quantity * known[symbol]) for symbol, held in holdings.items()), Decimal(0))
    assert cash + invested == 50_000
    assert Decimal(4_999) < cash <= 5_000 + max(Decimal("0.1"), min(prices))
