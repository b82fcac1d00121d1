"""The chat's tools that look into what was kept: runs, orders, lessons. Nothing is asked of the broker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from langgraph.store.base import BaseStore
from pydantic import Field

from config.rules import ticker
from graph.journal import Journal
from graph.memory import lessons_of
from graph.record import RunRecord
from graph.retrospect import retrospect
from graph.think.analysis import opinion
from graph.think.answer import Symbol
from graph.think.reading import Nothing
from graph.think.sheets import Column, Sheet, facts
from graph.think.study import Arguments, ModelTool, NoSuchThing
from portfolio.models import OrderRecord, ProposedTrade, Verdict
from portfolio.performance.benchmarks import Benchmark

MOST_DAYS = 3660
DOLLARS = 2
Days = Annotated[int, Field(ge=1, le=MOST_DAYS)]


@dataclass(frozen=True)
class Records:
    """What is kept of one account; `account_id` is None where no run has looked at any. `now` in UTC."""

    journal: Journal
    store: BaseStore
    account_id: str | None
    now: datetime

    @property
    def account(self) -> str:
        """The account's id; raises `NoSuchThing` where there is none."""
        if self.account_id is None:
            raise NoSuchThing("no run has looked at the account yet, so nothing is kept of it")
        return self.account_id

    @property
    def moment(self) -> str:
        """Up to when the records go."""
        last = self.journal.history.last_look(self.account_id) if self.account_id else None
        return f"records up to {last:%Y-%m-%d %H:%M} UTC" if last else "records, which are empty"

    def runs(self, days: int) -> list[RunRecord]:
        """Those begun in the last so many days, the newest first; raises `NoSuchThing` where there are none."""
        found = self.journal.runs.latest(self.account, self.now - timedelta(days=days))
        if not found:
            raise NoSuchThing(f"there was no run in the last {days} days")
        return found


class Lately(Arguments):
    days: Days = 14


class OfSymbol(Arguments):
    symbol: Symbol
    days: Days = 60


class OneRun(Arguments):
    run: Annotated[str, Field(max_length=60)]


class Stretch(Arguments):
    days: Days | None = None


async def recent_runs(asked: Lately, records: Records) -> tuple[Sheet, ...]:
    columns = (Column("when"), Column("outcome"), Column("planned"), Column("filled"), Column("message", ours=True))
    rows = tuple(
        (run.run_id, (_when(run), run.outcome, _planned(run), _filled(run), run.message))
        for run in records.runs(asked.days)
    )
    return (Sheet(columns, rows, key="run"),)


async def why_traded(asked: OfSymbol, records: Records) -> tuple[Sheet, ...]:
    wanted = ticker(asked.symbol)
    columns = (Column("when"), Column("wanted"), Column("reason", ours=True), Column("became", ours=True))
    rows = tuple(
        (run.run_id, (_when(run), want, reason, became))
        for run in records.runs(asked.days)
        for want, reason, became in _told_of(wanted, run)
    )
    if not rows:
        raise NoSuchThing(f"no run of the last {asked.days} days wanted to trade {wanted}")
    return (Sheet(columns, rows, key="run"),)


async def explain_run(asked: OneRun, records: Records) -> tuple[Sheet, ...]:
    run = records.journal.runs.find(asked.run)
    if run is None or run.account not in (None, records.account_id):
        raise NoSuchThing(f"there is no run {asked.run}; recent_runs lists them")
    columns = (Column("wanted"), Column("reason", ours=True), Column("guard", ours=True), Column("became", ours=True))
    trades = run.plan.trades if run.plan else ()
    rows = tuple(
        (ticker(one.symbol), (_want(one), one.reason, _guarded(one, run), _became(one, run))) for one in trades
    )
    after = (run.reflection.drift_before, run.reflection.drift_after) if run.reflection else ({}, {})
    drift = Sheet(
        (Column("drift_before", "points", 2), Column("drift_after", "points", 2)),
        tuple((name, (value, after[1].get(name))) for name, value in after[0].items()),
        key="bucket",
    )
    said = run.plan.summary if run.plan else ""
    words = (f"{_when(run)}, {run.outcome}: {run.message}", *([f"plan: {said}"] if said else ()))
    return Sheet(columns, rows, words=words), *([drift] if drift.rows else ())


async def performance(asked: Stretch, records: Records) -> tuple[Sheet, ...]:
    since = records.now - timedelta(days=asked.days) if asked.days else None
    told = retrospect(records.journal, records.account, since)
    if told is None:
        raise NoSuchThing("no run has looked at the account yet")
    report, compared = told.report, told.benchmarks
    amounts = ("began_with", "ended_with", "paid_in", "gained", "realised", "unrealised", "income", "commissions")
    sheet = facts(
        [
            *((name, getattr(report, name), "USD") for name in amounts),
            ("time_weighted_return", report.time_weighted_return, "%"),
            ("doing_nothing", _returned(compared.doing_nothing), "%"),
            ("target_mix_daily", _returned(compared.target_mix), "%"),
            ("deepest_fall", report.deepest_fall, "%"),
            ("orders_filled", told.ends.filled, ""),
        ]
    )
    stretch = Sheet(words=(f"from {report.since:%Y-%m-%d %H:%M} to {report.until:%Y-%m-%d %H:%M} UTC",))
    columns = tuple(Column(name, "USD", DOLLARS) for name in ("gained", "realised", "unrealised", "value"))
    rows = tuple((one.symbol, (one.gained, one.realised, one.unrealised, one.value)) for one in report.lines)
    return stretch, sheet, Sheet(columns, rows)


async def lessons(_asked: Nothing, records: Records) -> tuple[Sheet, ...]:
    kept = await lessons_of(records.store, records.account)
    tight = records.journal.tightenings.by_lesson(records.account, records.now)
    if not kept:
        return (Sheet(words=("nothing is remembered",)),)
    columns = (Column("about"), Column("lesson", ours=True), Column("runs"), Column("last_seen"), Column("effect"))
    rows = tuple(
        (one.id, (one.about, one.statement, one.times, f"{one.seen_at:%Y-%m-%d}", _effect(tight.get(one.id, ()))))
        for one in sorted(kept, key=lambda one: -one.weight)
    )
    return (Sheet(columns, rows, key="lesson"),)


async def status(_asked: Nothing, records: Records) -> tuple[Sheet, ...]:
    journal = records.journal
    halt = journal.halts.current()
    said = [f"trading is halted: {halt.why}" if halt else "trading is not halted"]
    said += [
        f"run {one.run_id} waits for approval until {one.expires_at:%Y-%m-%d %H:%M} UTC: "
        + ", ".join(f"{order.side} {order.quantity} {order.symbol}" for order in one.orders)
        for one in journal.questions.open()
    ]
    said += [
        f"order {one.client_order_id} ({one.side} {one.quantity} {one.symbol}) is {one.state}"
        for one in journal.orders.unsettled()
    ]
    return (Sheet(words=tuple(said)),)


def _when(run: RunRecord) -> str:
    return f"{run.as_of or run.started_at:%Y-%m-%d %H:%M} UTC"


def _planned(run: RunRecord) -> int:
    return len(run.plan.trades) if run.plan else 0


def _filled(run: RunRecord) -> int:
    return sum(order.filled_quantity > 0 for order in run.orders)


def _told_of(wanted: str, run: RunRecord) -> Iterator[tuple[str, str, str]]:
    """What a run wanted of that symbol, why, and what became of it."""
    for trade in run.plan.trades if run.plan else ():
        if ticker(trade.symbol) == wanted:
            yield _want(trade), trade.reason, f"{_guarded(trade, run)}; {_became(trade, run)}"
    for one in run.plan.deviations if run.plan else ():
        if ticker(one.symbol) == wanted:
            yield one.what, one.why, "the model's deviation from the rules' plan"


def _want(trade: ProposedTrade) -> str:
    return f"{trade.side} {trade.quantity}{', protective exit' if trade.protective else ''}"


def _guarded(trade: ProposedTrade, run: RunRecord) -> str:
    judged: list[Verdict] = [one for one in run.verdicts if (ticker(one.symbol), one.side) == trade.is_as[:2]]
    return f"the guard: {opinion(judged[-1])}" if judged else "the guard did not judge it"


def _became(trade: ProposedTrade, run: RunRecord) -> str:
    orders: list[OrderRecord] = [one for one in run.orders if (ticker(one.symbol), one.side) == trade.is_as[:2]]
    if not orders:
        return "not sent"
    return ", ".join(
        f"{one.status}, {one.filled_quantity:f} filled" + (f" at {one.average_price}" if one.average_price else "")
        for one in orders
    )


def _returned(benchmark: Benchmark | None) -> float | None:
    return benchmark.time_weighted_return if benchmark else None


def _effect(tightenings: Any) -> str:
    return "; ".join(one.in_words for one in tightenings) or "a note; no limit is changed"


RECORD_TOOLS = (
    ModelTool("recent_runs", "What the agent's last runs did.", Lately, recent_runs),
    ModelTool("why_traded", "Every trade wanted in a symbol: reason, guard's verdict, fill.", OfSymbol, why_traded),
    ModelTool("explain_run", "One run: its trades, reasons, verdicts, fills, drift.", OneRun, explain_run),
    ModelTool("performance", "Gains of the last days, or of all time.", Stretch, performance),
    ModelTool("lessons", "What the agent has learned.", Nothing, lessons),
    ModelTool("status", "Halts, runs that wait for approval, orders without an end.", Nothing, status),
)
