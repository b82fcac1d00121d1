"""A year of daily runs on real prices, and what they amount to by another reckoning, done with pandas from the fills.

The year is 2020: a crash that hits stop losses, and a recovery. The clock is set day by day.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from brokers.session import ExchangeCalendar
from cli.brokers import Market, simulated_broker
from cli.prompt import _request
from cli.run_command import RunCommand
from cli.wiring import Start, Timing, run_over
from config.home import Home
from graph.memory import id_of, lessons_of, open_memory
from graph.memory.merging import FORGOTTEN_AFTER, MOST_LESSONS
from graph.record import Lesson, RunRecord
from graph.retrospect import retrospect
from portfolio.models import Side
from portfolio.performance.benchmarks import Benchmarks
from portfolio.performance.scoring import HORIZONS, standings
from tests.graph.conftest import drain, settings_with
from tests.permits import journal_in
from tools.server import build_server

FIRST, LAST = date(2020, 1, 2), date(2020, 12, 31)
LOOK_BACK = "2019-06-01"
CENT = 0.005
# So little that the way to the targets takes more than twenty runs, and day 20 has much to remember.
SETTINGS = settings_with(think_mode="rules", max_portfolio_change=1.0)
PLANNER = settings_with(openai_api_key="sk-test-0123456789", max_portfolio_change=1.0)
ASKED_ON = (20, 60, 120, 180, 250)


@dataclass(frozen=True)
class Year:
    """What the runs left: their records, the lessons there were after each, and what a model would have been told."""

    home: Home
    closes: pd.DataFrame
    records: list[RunRecord]
    lessons: list[tuple[Lesson, ...]]
    prompts: dict[int, dict[str, Any]]

    @property
    def account_id(self) -> str:
        return self.records[0].account or ""


@pytest.mark.slow
async def test_a_year_of_runs_comes_to_what_an_independent_reckoning_says(home: Home, real_prices: Path) -> None:
    year = await lived(home, real_prices)
    looks = looked(year)
    performance_is_as(looks, year)
    scores_are_as(year)
    lessons_are_as(looks, year)
    memory_stays_small(year)


async def lived(home: Home, real_prices: Path) -> Year:
    frame = pd.read_csv(real_prices)
    frame = frame[(frame["date"] >= LOOK_BACK) & frame["symbol"].isin(SETTINGS.symbols)]
    prices = home.root / "prices.csv"
    frame.to_csv(prices, index=False)
    closes = frame.pivot_table(index="date", columns="symbol", values="close")
    records, lessons, asked = [], [], {}
    for number, day in enumerate(ExchangeCalendar().sessions(FIRST, LAST), start=1):
        if number in ASKED_ON:
            asked[number] = await _request(PLANNER, home, RunCommand(prices=str(prices), as_of=str(day)))
        records.append(await run_on(day, home, prices))
        async with open_memory(home.memory) as store:
            lessons.append(await lessons_of(store, records[0].account or ""))
    return Year(home, closes, records, lessons, asked)


async def run_on(day: date, home: Home, prices: Path) -> RunRecord:
    begins = datetime.combine(day, time(19, 30), UTC)
    began = datetime.now(UTC)
    timing = Timing(clock=lambda: begins + (datetime.now(UTC) - began))
    broker = simulated_broker(home, Market(prices=prices, as_of=day))
    try:
        async with run_over(build_server(broker), SETTINGS, home, Start(timing=timing)) as run:
            assert not await drain(run.start())
            return await run.record()
    finally:
        await broker.close()


# --- performance ---------------------------------------------------------------------------------------------------


def fills(year: Year) -> pd.DataFrame:
    """One row an order that filled, in the order they were sent; shares are negative where sold."""
    rows = [
        {
            "run": place,
            "day": f"{record.as_of:%Y-%m-%d}",
            "symbol": order.symbol,
            "shares": order.side.sign * float(order.filled_quantity),
            "price": float(order.average_price or 0),
            "commission": float(order.commission or 0),
        }
        for place, record in enumerate(year.records)
        for order in record.orders
        if order.filled_quantity
    ]
    return pd.DataFrame(rows)


def looked(year: Year) -> pd.DataFrame:
    """The account before and after the orders of each day, from the first day's holdings and the fills."""
    first = year.records[0].snapshot
    assert first is not None
    held = pd.Series({line.symbol: float(line.quantity) for line in first.positions}).reindex(year.closes.columns)
    held, cash, traded = held.fillna(0.0), float(first.cash), fills(year)
    rows = []
    for place, record in enumerate(year.records):
        day = f"{record.as_of:%Y-%m-%d}"
        prices = year.closes.loc[day]
        today = traded[traded["run"] == place]
        rows.append({"run": place, "day": day, **worth(held, prices, cash)})
        if today.empty:
            continue
        held = held.add(today.groupby("symbol")["shares"].sum(), fill_value=0.0)
        cash -= float((today["shares"] * today["price"]).sum() + today["commission"].sum())
        rows.append({"run": place, "day": day, **worth(held, prices, cash)})
    return pd.DataFrame(rows)


def worth(held: pd.Series, prices: pd.Series, cash: float) -> dict[str, float]:
    """The value of the account, and the weight of each bucket in %."""
    values = held * prices
    value = cash + float(values.sum())
    return {"value": value, **{rule.name: 100 * values[list(rule.symbols)].sum() / value for rule in SETTINGS.rules}}


def gains(year: Year) -> tuple[pd.Series, pd.Series]:
    """What was realised by symbol, and the cost of what is left, by average cost with commissions in it."""
    first = year.records[0].snapshot
    assert first is not None
    shares = {line.symbol: float(line.quantity) for line in first.positions}
    cost = {line.symbol: float(line.quantity * line.average_cost) for line in first.positions}
    realised: dict[str, float] = {}
    for trade in fills(year).itertuples():
        symbol, paid = str(trade.symbol), trade.shares * trade.price + trade.commission
        if trade.shares < 0:
            released = cost[symbol] * -trade.shares / shares[symbol]
            realised[symbol] = realised.get(symbol, 0.0) - paid - released
            cost[symbol] -= released
        else:
            cost[symbol] = cost.get(symbol, 0.0) + paid
        shares[symbol] = shares.get(symbol, 0.0) + trade.shares
    return pd.Series(realised), pd.Series(cost)


def performance_is_as(looks: pd.DataFrame, year: Year) -> None:
    with journal_in(year.home.root) as journal:
        told_all = retrospect(journal, year.account_id)
    assert told_all is not None
    period, report = told_all.period, told_all.report
    values = looks["value"]
    assert [float(one.value) for one in period.valuations] == pytest.approx(values.tolist(), abs=CENT)
    assert all(one.flow == 0 for one in period.valuations)
    assert [one.event for one in period.entries if one.event.__class__.__name__ != "Trade"] == []
    by_day = looks.groupby("day")["value"].last()
    assert [float(point.value) for point in report.points] == pytest.approx(by_day.tolist(), abs=CENT)
    assert report.time_weighted_return == pytest.approx(100 * (values.iloc[-1] / values.iloc[0] - 1))
    assert report.deepest_fall == pytest.approx(100 * (1 - values / values.cummax()).max())
    realised, cost = gains(year)
    told = {line.symbol: line for line in report.lines}
    assert {symbol: float(line.realised) for symbol, line in told.items() if line.realised} == pytest.approx(
        realised[realised != 0].to_dict(), abs=CENT
    )
    for symbol, line in told.items():
        if line.average_cost is not None:
            assert float(line.average_cost * line.shares) == pytest.approx(cost[symbol], abs=CENT)
    assert float(report.realised) == pytest.approx(realised.sum(), abs=CENT)
    assert float(report.commissions) == pytest.approx(fills(year)["commission"].sum(), abs=CENT)
    benchmarks_are_as(told_all.benchmarks, year)
    traded = fills(year)
    worth_traded = (traded["shares"].abs() * traded["price"]).groupby(traded["shares"] > 0).sum()
    assert told_all.turnover.percent == pytest.approx(100 * worth_traded.min() / by_day.mean(), rel=1e-6)
    for bucket in told_all.buckets:
        rule = next(rule for rule in SETTINGS.rules if rule.name == bucket.name)
        assert bucket.drift == pytest.approx(looks[bucket.name].iloc[-1] - float(rule.target_allocation), abs=1e-4)
    assert report.realised + report.unrealised + report.income == report.gained == report.ended_with - report.began_with


def benchmarks_are_as(told: Benchmarks, year: Year) -> None:
    """What was held at first, and the targets held day by day, both at each day's close."""
    first = year.records[0].snapshot
    assert first is not None
    assert told.doing_nothing is not None
    assert told.target_mix is not None
    days = year.closes.loc[[f"{record.as_of:%Y-%m-%d}" for record in year.records]]
    held = pd.Series({line.symbol: float(line.quantity) for line in first.positions})
    kept = (days[held.index] * held).sum(axis=1) + float(first.cash)
    assert told.doing_nothing.time_weighted_return == pytest.approx(100 * (kept.iloc[-1] / kept.iloc[0] - 1))
    weights = pd.Series({symbol: rule.share_of(symbol) / 100 for rule in SETTINGS.rules for symbol in rule.symbols})
    mixed = (1 + (days[weights.index].pct_change().fillna(0.0) * weights).sum(axis=1)).prod()
    assert told.target_mix.time_weighted_return == pytest.approx(100 * (mixed - 1))


# --- scores --------------------------------------------------------------------------------------------------------


def scored(year: Year) -> pd.DataFrame:
    """What each trade was worth after so many trading days, in USD and in % of its value."""
    days = list(year.closes.index)
    parts = fills(year)
    parts["paid"] = parts["shares"] * parts["price"]
    whole = parts.groupby(["run", "day", "symbol"], as_index=False)[["shares", "paid", "commission"]].sum()
    rows = []
    for trade in whole.itertuples():
        for horizon in HORIZONS:
            later = days.index(trade.day) + horizon
            if later < len(days):
                effect = trade.shares * year.closes[trade.symbol].iloc[later] - trade.paid - trade.commission
                rows.append({"horizon": horizon, "effect": effect, "percent": 100 * effect / abs(trade.paid)})
    return pd.DataFrame(rows)


def scores_are_as(year: Year) -> None:
    with journal_in(year.home.root) as journal:
        told = standings(journal.decisions.scores(year.account_id))
    assert {(source, fate.value) for source, fate, _ in told} == {("rules", "executed")}
    for horizon, group in scored(year).groupby("horizon"):
        (standing,) = (one for (_, _, days), one in told.items() if days == horizon)
        percent = group["percent"]
        assert standing.count == len(group)
        assert standing.helped == (group["effect"] > 0).sum()
        assert float(standing.effect) == pytest.approx(group["effect"].sum(), abs=CENT)
        assert standing.mean == pytest.approx(percent.mean())
        assert standing.worst == pytest.approx(percent.min())
        assert standing.t_value == pytest.approx(percent.mean() / (percent.std(ddof=1) / math.sqrt(len(percent))))


# --- lessons -------------------------------------------------------------------------------------------------------


def lessons_are_as(looks: pd.DataFrame, year: Year) -> None:
    stops_are_learned(year)
    slow_buckets_are_learned(looks, year)


def stops_are_learned(year: Year) -> None:
    """Every sale of the whole holding at a loss beyond its rule's stop_loss, until it is forgotten."""
    last: dict[str, date] = {}
    for place, record in enumerate(year.records):
        assert record.snapshot is not None
        assert record.as_of is not None
        before = {line.symbol: line for line in record.snapshot.positions}
        for order in record.orders:
            rule = SETTINGS.rule_of(order.symbol)
            if order.side is Side.SELL and rule and rule.stop_loss is not None and order.average_price:
                line = before[order.symbol]
                loss = float(100 * (order.average_price / line.average_cost - 1))
                if order.filled_quantity == line.quantity and loss < rule.stop_loss + 0.5:
                    last[order.symbol] = record.as_of.date()
        known = {symbol for symbol, day in last.items() if record.as_of.date() - day < FORGOTTEN_AFTER}
        told = {one.about for one in year.lessons[place] if one.id == id_of(f"stopped {one.about}")}
        assert told == known, record.as_of
    assert len(last) > 3


def slow_buckets_are_learned(looks: pd.DataFrame, year: Year) -> None:
    """After each run that traded: the drift beyond the band over the turnover of a run, be it all for one bucket."""
    seen, left = 0, looks.groupby("run").last()
    for place, record in enumerate(year.records):
        if not record.orders or record.reflection is None:
            continue
        drift = {rule.name: abs(left[rule.name][place] - float(rule.target_allocation)) for rule in SETTINGS.rules}
        gaps = {name: points - SETTINGS.rebalance_threshold for name, points in drift.items()}
        runs = {name: math.ceil(gap / SETTINGS.max_portfolio_change) for name, gap in gaps.items()}
        told = {words for words in record.reflection.lessons_learned if "needs at least" in words}
        why = "more runs to come back into its band, as max_portfolio_change is 1 %."
        assert told == {f"{name} needs at least {count} {why}" for name, count in runs.items() if count > 1}
        seen += len(told)
    assert seen > 20


# --- memory --------------------------------------------------------------------------------------------------------


def memory_stays_small(year: Year) -> None:
    assert max(map(len, year.lessons)) <= MOST_LESSONS
    sizes = {number: len(json.dumps(body)) for number, body in year.prompts.items()}
    assert "as max_portfolio_change is 1 %" in json.dumps(year.prompts[20])
    assert sizes[250] <= sizes[20], sizes
    assert max(sizes.values()) - min(sizes.values()) < 2_000, sizes
