"""Decisions of real runs are kept, and scored by the prices that later runs saw."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from cli.brokers import Market, simulated_broker
from config.home import Home
from graph.scoring import days_after
from portfolio.performance.scoring import Fate
from tests.graph.conftest import RunOnce
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
