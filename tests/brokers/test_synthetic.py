from __future__ import annotations

import math
import statistics
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.session import ExchangeCalendar
from brokers.simulated.market import DayBar, conids_of
from brokers.simulated.synthetic import SyntheticMarket
from brokers.simulated.universe import universe

STRATEGY_SYMBOLS = (
    "SPY",
    "VTI",
    "VOO",
    "QQQ",
    "IWM",
    "BND",
    "ARKK",
    "JNJ",
    "PG",
    "KO",
    "T",
    "VZ",
    "PFE",
    "XOM",
    "TSLA",
    "NVDA",
    "AMZN",
    "GOOGL",
    "MSFT",
    "AAPL",
    "PLTR",
    "AMD",
    "CRM",
)
CALENDAR = ExchangeCalendar()
MARKET = SyntheticMarket(CALENDAR)

days = st.dates(date(1990, 2, 1), date(2040, 12, 31))


def returns(symbol: str) -> list[float]:
    closes = [float(bar.close) for bar in MARKET.bars(symbol, date(2020, 12, 31), 2_500)]
    return [math.log(after / before) for before, after in pairwise(closes)]


@settings(deadline=None, max_examples=40)
@given(symbol=st.sampled_from(STRATEGY_SYMBOLS), day=days, later=st.integers(0, 5_000))
def test_a_longer_history_does_not_change_its_past(symbol: str, day: date, later: int) -> None:
    """Tomorrow's run must find yesterday's prices where it left them, whatever was asked first."""
    short = SyntheticMarket(CALENDAR).bars(symbol, day, 3)
    until = min(day + timedelta(days=later), date(2040, 12, 31))
    known = {bar.day: bar for bar in SyntheticMarket(CALENDAR).bars(symbol, until, later + 5)}
    assert [known[bar.day] for bar in short] == short


@settings(deadline=None, max_examples=40)
@given(symbol=st.sampled_from(STRATEGY_SYMBOLS), day=days, count=st.integers(1, 60))
def test_bars_are_whole_sound_and_never_after_the_day(symbol: str, day: date, count: int) -> None:
    bars = MARKET.bars(symbol, day, count)
    assert [bar.day for bar in bars] == CALENDAR.sessions(date(1990, 1, 1), day)[-count:]
    for bar in bars:
        assert 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert bar.close == round(bar.close, 2)
        assert bar.volume > 0


def test_the_prices_of_a_day_are_written_in_stone() -> None:
    """Accounts persist between versions: a change of these numbers changes every user's simulated portfolio."""
    closes = [str(MARKET.bars(symbol, date(2026, 11, 20), 1)[0].close) for symbol in ("SPY", "BND", "NVDA")]
    assert closes == ["537.54", "75.38", "168.89"]


def test_another_seed_is_another_market() -> None:
    other = SyntheticMarket(CALENDAR, seed=2)
    assert other.name != MARKET.name
    assert other.bars("SPY", date(2026, 3, 3), 5) != MARKET.bars("SPY", date(2026, 3, 3), 5)


@pytest.mark.parametrize("symbol", STRATEGY_SYMBOLS)
def test_one_share_of_a_strategy_symbol_stays_affordable(symbol: str) -> None:
    closes = [bar.close for bar in MARKET.bars(symbol, date(2040, 12, 31), 20_000)]
    assert len(closes) > 12_000
    assert min(closes) > 2
    assert max(closes) < 1_000


@pytest.mark.parametrize("symbol", ["SPY", "BND", "KO", "NVDA"])
def test_volatility_is_that_of_the_table(symbol: str) -> None:
    assert statistics.stdev(returns(symbol)) * math.sqrt(252) == pytest.approx(universe()[symbol].volatility, rel=0.1)


def test_stocks_move_with_the_market_and_bonds_do_not() -> None:
    spy = returns("SPY")
    assert statistics.correlation(spy, returns("VOO")) > 0.95
    assert 0.4 < statistics.correlation(spy, returns("XOM")) < 0.7
    assert abs(statistics.correlation(spy, returns("BND"))) < 0.2
    assert statistics.correlation(returns("XOM"), returns("CVX")) > statistics.correlation(
        returns("XOM"), returns("KO")
    )


def test_the_first_days_have_the_history_there_is() -> None:
    bars: list[DayBar] = MARKET.bars("SPY", date(1990, 1, 3), 10_000)
    assert [bar.day for bar in bars] == [date(1990, 1, 2), date(1990, 1, 3)]


@given(st.sets(st.text(min_size=1, max_size=6), min_size=1, max_size=200))
def test_contract_ids_are_distinct(symbols: set[str]) -> None:
    conids = conids_of(symbols)
    assert set(conids) == symbols
    assert len(set(conids.values())) == len(symbols)
