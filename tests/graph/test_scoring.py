"""Decisions of real runs are kept, and scored by the prices that later runs saw."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.brokers import Market, simulated_broker
from cli.exit_codes import ExitCode
from cli.main import app
from config.home import Home
from graph.record import Outcome
from graph.scoring import days_after
from portfolio.performance.scoring import Fate
from tests.graph.conftest import RunOnce, drain, opened, settings_with
from tests.graph.test_faults import WhatIfSaysNo
from tests.permits import journal_in

FIRST = date(2026, 6, 15)


def test_horizons_are_counted_in_trading_days() -> None:
    """Juneteenth and Independence Day are none."""
    assert days_after(date(2026, 6, 18)) == {1: date(2026, 6, 22), 5: date(2026, 6, 26), 20: date(2026, 7, 20)}
    assert days_after(date(2100, 12, 1)) == {}


async def test_what_was_done_is_scored_by_the_price_of_the_next_trading_day(run_once: RunOnce, home: Home) -> None:
    first = await run_once(day=FIRST)
    second = await run_once(day=date(2026, 6, 16))
    account = first.account or ""
    with journal_in(home.root) as journal:
        scores = journal.decisions.scores(account)
        marks = journal.decisions.marks(date(2026, 6, 16))
    assert first.plan
    assert [(score.decision.symbol, score.horizon) for score in scores] == [(t.symbol, 1) for t in first.plan.trades]
    assert {score.decision.fate for score in scores} == {Fate.EXECUTED}
    for score, order in zip(scores, first.orders, strict=True):
        price, later = order.average_price or Decimal(0), marks[score.decision.conid]
        expected = order.side.sign * order.filled_quantity * (later - price) - (order.commission or 0)
        assert (score.decision.price, score.later, score.effect) == (price, later, expected)
    assert second.run_id not in {score.decision.run_id for score in scores}


async def test_a_day_without_a_run_is_priced_by_the_brokers_history(run_once: RunOnce, home: Home) -> None:
    first = await run_once(day=FIRST)
    await run_once(day=date(2026, 6, 24))
    account = first.account or ""
    with journal_in(home.root) as journal:
        scores = journal.decisions.scores(account)
    assert first.plan
    assert [score.horizon for score in scores] == [1, 5] * len(first.plan.trades)
    broker = simulated_broker(home, Market(as_of=date(2026, 6, 24)))
    for score in scores:
        day = {1: date(2026, 6, 16), 5: date(2026, 6, 23)}[score.horizon]
        bars = await broker.history(score.decision.conid, "1d", "3m")
        assert score.later == next(bar.close for bar in bars if bar.start.date() == day)
    await broker.close()


async def test_what_the_broker_refused_is_kept_and_scored_like_the_rest(run_once: RunOnce, home: Home) -> None:
    """Against not having done it: that it was not done changes nothing about what it would have been worth."""
    first = await run_once(day=FIRST, faulty=WhatIfSaysNo)
    await run_once(day=date(2026, 6, 16))
    with journal_in(home.root) as journal:
        scores = journal.decisions.scores(first.account or "")
    assert first.plan
    assert len(scores) == len(first.plan.trades)
    assert {(score.decision.fate, score.decision.cost) for score in scores} == {(Fate.REJECTED, Decimal("1.00"))}


async def test_a_decision_is_kept_once(run_once: RunOnce, home: Home) -> None:
    record = await run_once(day=FIRST)
    with journal_in(home.root) as journal:
        assert journal.decisions.are_kept(record.run_id)
        assert not journal.decisions.are_kept("another")


async def test_a_run_that_traded_has_its_record_though_the_history_is_damaged(run_once: RunOnce, home: Home) -> None:
    """And those that look at it later are told what is wrong, in a sentence."""
    for day in (FIRST, date(2026, 6, 16), date(2026, 6, 23)):
        await run_once(day=day)
    with closing(sqlite3.connect(home.database)) as database, database:
        database.execute("UPDATE scores SET later = NULL WHERE effect IS NOT NULL")
    record = await run_once(day=date(2026, 6, 24))
    assert record.outcome in (Outcome.TRADED, Outcome.NOTHING_TO_DO)
    assert record.reflection is not None
    assert any(note.startswith("Nothing could be kept or learned of this run") for note in record.notes)
    with journal_in(home.root) as journal:
        assert journal.runs.find(record.run_id) is not None


DAMAGES = [
    "UPDATE observations SET account = '{}'",
    "UPDATE events SET event = 'x'",
    "UPDATE surroundings SET buckets = '[1]'",
    "UPDATE surroundings SET buckets = '{\"a\": [1]}'",
    'UPDATE surroundings SET targets = \'{"SPY": "a"}\'',
    "UPDATE decisions SET decision = '{}'",
    "UPDATE scores SET effect = 'NaN'",
]


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The home of two runs."""
    home = Home(tmp_path_factory.mktemp("two") / "home")
    home.create()

    async def run(day: date) -> None:
        async with opened(home, settings_with(), day) as one:
            await drain(one.start())
            await one.record()

    for day in (FIRST, date(2026, 6, 16)):
        asyncio.run(run(day))
    return home


@pytest.mark.parametrize("damage", DAMAGES)
def test_of_a_damaged_history_it_is_said_that_it_is(two_days: Home, tmp_path: Path, damage: str) -> None:
    copy = Path(shutil.copytree(two_days.root, tmp_path / "copy"))
    with closing(sqlite3.connect(copy / "agent.db")) as database, database:
        database.execute(damage)
    done = CliRunner().invoke(app, ["performance", "--home", str(copy)])
    assert done.exit_code == ExitCode.HALTED, done.exception
    assert "cannot be used" in done.output


def test_looks_of_which_nothing_more_is_known_are_told_all_the_same(two_days: Home, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(two_days.root, tmp_path / "copy"))
    with closing(sqlite3.connect(copy / "agent.db")) as database, database:
        database.execute("DELETE FROM surroundings WHERE observation IN (1, 2)")
    for form in ([], ["--json"], ["--csv"]):
        done = CliRunner().invoke(app, ["performance", "--home", str(copy), *form])
        assert done.exit_code == 0, done.exception
