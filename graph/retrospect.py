"""What the runs of a stretch tell of an account, put together from the journal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from graph.journal import Journal
from graph.journal.history import Period
from portfolio.performance import Payment
from portfolio.performance.benchmarks import Benchmarks, benchmarks_of
from portfolio.performance.drifting import Drifting, drifting
from portfolio.performance.execution import Ends, Execution, Helped, helped
from portfolio.performance.report import Report, report_of
from portfolio.performance.turnover import Turnover, turnover_of


@dataclass(frozen=True)
class Retrospect:
    """Everything that the runs of a stretch tell of an account."""

    account: str
    period: Period
    report: Report
    benchmarks: Benchmarks
    turnover: Turnover
    buckets: tuple[Drifting, ...]
    ends: Ends
    execution: Execution
    helped: tuple[Helped, ...]

    @property
    def payments(self) -> list[tuple[int, Payment, bool]]:
        """Each with its number, and whether a person said what it was."""
        entries = [(entry.number, entry.event, entry.confirmed) for entry in self.period.entries]
        return [(number, event, confirmed) for number, event, confirmed in entries if isinstance(event, Payment)]


def retrospect(journal: Journal, account: str, since: datetime | None = None) -> Retrospect | None:
    """What the journal tells of the account from the last look before `since` on; None where there is no look."""
    period = journal.history.period(account, since)
    if period is None:
        return None
    first, last = period.first.seen, period.last.seen
    events = [entry.event for entry in period.entries]
    report = report_of(period.books, first.prices, events, period.valuations, last.prices)
    decisions, scores = journal.decisions.since(account, period.start)
    return Retrospect(
        account=account,
        period=period,
        report=report,
        benchmarks=benchmarks_of(first, period.marked, events),
        turnover=turnover_of(events, report.points),
        buckets=drifting([one.at for one in period.valuations], period.buckets),
        ends=journal.orders.ends(account, period.start),
        execution=Execution.of(decisions),
        helped=helped(scores),
    )
