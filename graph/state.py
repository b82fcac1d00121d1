"""What travels between the nodes (`State`: serialisable facts) and what stays put (`Context`: live handles)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypedDict

from config.settings import Settings
from graph.journal import Journal, JournalError
from graph.record import Approval, Failure, Lesson, Reflection, Thought
from graph.think.mind import Mind
from portfolio.limits import Tightening, TradingDay
from portfolio.models import ApprovedOrder, OrderRecord, OrderTerms, PortfolioSnapshot, TradePlan, Verdict
from tools.account import AccountReader
from tools.desk import OrderDesk


class State(TypedDict, total=False):
    """The facts of one run, in the order the steps add them; this is what a checkpoint holds.

    `wanted` is the plan of a run that is not to think of one: a person is always asked before anything of it is sent.
    """

    run_id: str
    started_at: datetime
    wanted: TradePlan
    snapshot: PortfolioSnapshot
    lessons: tuple[Lesson, ...]
    plan: TradePlan
    thought: Thought
    halted: str
    unresolved: tuple[OrderTerms, ...]
    tightenings: tuple[Tightening, ...]
    verdicts: tuple[Verdict, ...]
    asked: tuple[OrderTerms, ...]
    warnings: tuple[str, ...]
    approval: Approval
    approved: tuple[ApprovedOrder, ...]
    orders: tuple[OrderRecord, ...]
    failure: Failure
    snapshot_after: PortfolioSnapshot
    reflection: Reflection
    notes: tuple[str, ...]


A_DAY = timedelta(days=1)
"""Day trades are asked about however short the cooldown is."""


@dataclass(frozen=True)
class Context:
    """The live handles of one run. `clock` gives the wall time in UTC; `pause` waits that many seconds.

    `alone` says that the broker is served from this very process, so that no request of a dead one can still arrive;
    `claim` makes an account this run's own, or raises `AccountBusy`; `stopping` says whether the run has been asked to
    end. `command` is what it was started with, so that another process can go on with it. `mind` is the language model,
    None where the rules think alone.
    """

    settings: Settings
    reader: AccountReader
    desk: OrderDesk
    journal: Journal
    reflections: Path
    clock: Callable[[], datetime]
    pause: Callable[[float], Awaitable[None]]
    claim: Callable[[str], None]
    alone: bool
    stopping: Callable[[], bool]
    command: dict[str, str | None]
    mind: Mind | None = None

    @property
    def halted(self) -> bool:
        """Whether a person, or an alarm, has halted trading; also where nobody can tell."""
        try:
            return self.journal.halts.current() is not None
        except JournalError:
            return True

    def trading_day(self, snapshot: PortfolioSnapshot) -> TradingDay:
        """What the journal knows of the account of `snapshot` at that moment."""
        lookback = max(timedelta(hours=self.settings.reversal_cooldown_hours), A_DAY)
        return self.journal.trading_day(snapshot.account.account_id, snapshot.as_of, lookback)
