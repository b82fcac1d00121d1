"""REFLECT, further: keep what was decided, and score what was decided some trading days ago.

A price is the one that a run saw on that day, else the close of that day from the broker's history.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal

from brokers.errors import BrokerError
from brokers.session import ExchangeCalendar
from graph.decisions import decisions_of
from graph.journal import trading_day
from graph.journal.decisions import Due
from graph.state import Context, State
from portfolio.models import PortfolioSnapshot
from portfolio.performance.scoring import HORIZONS, Score

AHEAD = timedelta(days=45)
"""Holds as many sessions as the longest horizon asks for."""
LOOK_BACK = timedelta(days=60)
"""What could not be scored in so long stays without a score."""
MOST_HISTORIES = 10
"""Contracts whose history one run asks for."""


async def keep_and_score(state: State, context: Context) -> tuple[Score, ...]:
    """Keep this run's decisions and prices, and give the scores that are due by now.

    Raises:
        JournalError: the journal cannot be used.
    """
    snapshot = state.get("snapshot")
    if snapshot is None or not snapshot.fit_to_trade:
        return ()
    today, decisions = trading_day(snapshot.as_of), context.journal.decisions
    if snapshot.session.is_open:
        decisions.mark(today, prices_of(snapshot))
    if not decisions.are_kept(state["run_id"]):
        decisions.keep(decisions_of(state), days_after(today))
    due = decisions.due(snapshot.account.account_id, today, today - LOOK_BACK)
    return await _scored(due, today, context)


def prices_of(snapshot: PortfolioSnapshot) -> dict[int, Decimal]:
    return {quote.conid: quote.last for quote in snapshot.quotes.values() if quote.last and quote.last > 0}


def days_after(day: date) -> dict[int, date]:
    """The sessions so many trading days after `day`, by horizon; none where the calendar ends."""
    try:
        later = ExchangeCalendar().sessions(day + timedelta(days=1), day + AHEAD)
    except ValueError:
        return {}
    return {horizon: later[horizon - 1] for horizon in HORIZONS if horizon <= len(later)}


async def _scored(due: tuple[Due, ...], today: date, context: Context) -> tuple[Score, ...]:
    marks = {day: context.journal.decisions.marks(day) for day in {one.day for one in due}}
    lacking = list(dict.fromkeys(one.decision.conid for one in due if one.decision.conid not in marks[one.day]))
    closes = {conid: await _closes(conid, today, context) for conid in lacking[:MOST_HISTORIES]}
    scores = []
    for one in due:
        conid = one.decision.conid
        later = marks[one.day].get(conid) or closes.get(conid, {}).get(one.day)
        if later:
            ratio = context.journal.history.split_ratio(
                one.decision.account_id, one.decision.symbol, one.decision.decided_at
            )
            scores.append(context.journal.decisions.score(one, later, ratio))
    return tuple(scores)


async def _closes(conid: int, today: date, context: Context) -> Mapping[date, Decimal]:
    """By day, of sessions that are over; none where the history cannot be had.

    A day's bar begins at midnight UTC or at the opening, which is the same day by UTC and not in New York.
    """
    try:
        bars = await context.reader.history(conid, "1d", "3m")
    except BrokerError:
        return {}
    return {day: bar.close for bar in bars if (day := bar.start.date()) < today and bar.close > 0}
