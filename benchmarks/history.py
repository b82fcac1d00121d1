"""How long a run takes to save, to recall and to look back, with ten runs behind it and with ten thousand.

Run it as `uv run python -m benchmarks.history`; `--sizes 10 1000 --times 3` is a quick look. One real run of the
shipped graph over the simulated broker is the model of all others, which the shipped classes write down with other
days, prices and orders: five runs a session, of which the first buys and sells a share and has another purchase
refused, and all look at the account and learn. So 10,000 runs are eight years. Everything in the table is measured in
that one run, on copies of those files, the median of several; the run that is saved is the first of the next session
and gives six scores, whatever the size. The files are in memory where the system has such a place, since the time that
a disk takes tells nothing of the length of a history.

Columns, in milliseconds, and beside them the ratio to the first line:

- start: the journal and the memory, opened.
- recall: the lessons that go into a prompt.
- save: all that a run writes down: both looks, two orders from their plan to their end, the decisions and prices, the
  scores that are due, what it learned, and the record.
- save, disk: the same in the folder for temporary files, where each of its commits waits for the disk.
- performance: everything that `smart-agent performance` reads and reckons, and its screen, drawn at 80 columns.
- MB: the journal on disk.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import io
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore
from rich import box
from rich.console import Console
from rich.table import Table

from brokers.session import ExchangeCalendar
from brokers.simulated import open_simulated
from cli.performance_screen import screen
from cli.wiring import Start, context_over, run_in
from config.home import Home
from config.load import load_settings
from graph.events import StepFinished
from graph.history import keep_look
from graph.journal import Journal
from graph.learn.by_rules import OF_THE_DAY
from graph.learn.learn import learn
from graph.memory import in_play, lessons_of, open_memory, relevant
from graph.record import RunRecord
from graph.retrospect import retrospect
from graph.scoring import keep_and_score, prices_of
from graph.state import Context, State
from portfolio.costs import to_cents
from portfolio.models import (
    ApprovedOrder,
    OrderRecord,
    OrderStatus,
    OrderTerms,
    PortfolioSnapshot,
    Position,
    ProposedTrade,
    Side,
    TradePlan,
    Verdict,
)
from portfolio.rebalance import SOURCE
from tools.server import build_server

SIZES, TIMES = (10, 1_000, 10_000), 7
COLUMNS = ("start", "recall", "save", "performance", "save, disk")
WIDTH = 120
"""Characters a line, also where the output is a file."""
SCREEN = 80

DAY, FIRST_DAY, LAST_DAY = date(2026, 6, 15), date(2018, 1, 2), date(2030, 12, 31)
SETTINGS = load_settings(file=None, environ={}, overrides={"think_mode": "rules"})
NEW_YORK = ZoneInfo("America/New_York")
A_SESSION = 5
"""Runs."""
SPARSE, FAR_BACK = 10, 20
"""So many runs come first that are alone in their session, spread so that all scores are due at the 20th already."""
MEMORY = Path("/dev/shm")  # noqa: S108  (a file system in memory)
"""Where nothing waits for a disk, on Linux; elsewhere all files are in the folder for temporary ones."""
MOVES = Decimal("0.02")
COMMISSION = Decimal(1)


@dataclass(frozen=True)
class Sample:
    """A real run: what its last step knew, and its record."""

    state: State
    record: RunRecord

    @property
    def account_id(self) -> str:
        return self.state["snapshot"].account.account_id


@dataclass
class Made:
    """A run that is to be kept: what it saw, and did in its orders, if it was its turn to trade."""

    state: State
    record: RunRecord
    terms: tuple[OrderTerms, ...]

    @property
    def at(self) -> datetime:
        return self.state["snapshot"].as_of


@dataclass
class Account:
    """What the runs that are made up find: shares and cash that their own orders change, and prices that wander."""

    sample: Sample
    days: list[date]
    made: int = 0
    cash: Decimal = field(init=False)
    shares: dict[str, Decimal] = field(init=False)
    prices: dict[str, Decimal] = field(init=False)
    chance: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311  (to be the same every time)

    def __post_init__(self) -> None:
        snapshot = self.sample.state["snapshot_after"]
        self.cash = snapshot.summary.total_cash
        self.shares = {held.symbol: held.quantity for held in snapshot.positions}
        self.prices = {symbol: quote.last or Decimal(1) for symbol, quote in snapshot.quotes.items()}

    def next_run(self) -> Made:
        """The next run of the session, or the first of the next one."""
        place, turn = _place(self.made)
        return self._run(self.days[place], turn)

    def next_session(self) -> Made:
        """The first run of the session after the last."""
        return self._run(self.days[_place(self.made - 1)[0] + 1], 0)

    def _run(self, day: date, turn: int) -> Made:
        self.made += 1
        self._move()
        at = datetime(day.year, day.month, day.day, 10 + turn, 30, tzinfo=NEW_YORK).astimezone(UTC)
        run_id, before = f"{at:%Y%m%d-%H%M%S}-{self.made:06x}", self._snapshot(at)
        trades = self._trades() if turn == 0 else ()
        terms = tuple(self._terms(run_id, number, trade) for number, trade in enumerate(trades))
        orders = tuple(map(self._fill, terms))
        known = self.sample.state
        passed = tuple(
            known["verdicts"][0].model_copy(
                update={
                    **one.model_dump(include={"client_order_id", "symbol", "side", "quantity", "limit_price"}),
                    "judged_at": at,
                }
            )
            for one in terms
        )
        verdicts = (*passed, *map(self._refused, passed[:1]))
        state: State = {
            "run_id": run_id,
            "started_at": at,
            "snapshot": before,
            "snapshot_after": self._snapshot(at + timedelta(minutes=2)),
            "plan": TradePlan(source=SOURCE, trades=trades, summary="Every bucket is within 5 points of its target."),
            "verdicts": verdicts,
            "orders": orders,
        }
        record = self.sample.record.model_copy(
            update={
                "run_id": run_id,
                "started_at": at,
                "finished_at": at,
                "as_of": at,
                "plan": state["plan"],
                "verdicts": verdicts,
                "orders": orders,
            }
        )
        return Made(state, record, terms)

    def _refused(self, like: Verdict) -> Verdict:
        """A purchase of some symbol that fails on some rule."""
        fails = self.chance.choice([check.rule for check in like.checks if check.rule not in OF_THE_DAY])
        checks = tuple(
            check.model_copy(update={"passed": False, "why": "as the benchmark has it"})
            if check.rule == fails
            else check
            for check in like.checks
        )
        symbol = self.chance.choice(sorted(self.prices))
        other = {"client_order_id": f"{like.client_order_id}-no", "symbol": symbol, "side": Side.BUY}
        return like.model_copy(update={**other, "checks": checks, "passed": False})

    def _move(self) -> None:
        """By up to 2 % up or down, and back towards where a price began."""
        for symbol, quote in self.sample.state["snapshot_after"].quotes.items():
            home = quote.last or Decimal(1)
            pull = Decimal(str(self.chance.uniform(-1, 1))) - (self.prices[symbol] / home - 1)
            self.prices[symbol] = to_cents(self.prices[symbol] * (1 + MOVES * pull))

    def _trades(self) -> tuple[ProposedTrade, ...]:
        bought, sold = self.chance.sample(sorted(symbol for symbol, held in self.shares.items() if held > 1), 2)
        return tuple(
            ProposedTrade(symbol=symbol, side=side, quantity=1, reason="a bucket is off its target")
            for symbol, side in ((sold, Side.SELL), (bought, Side.BUY))
        )

    def _terms(self, run_id: str, number: int, trade: ProposedTrade) -> OrderTerms:
        return OrderTerms(
            client_order_id=f"{run_id}-{number}",
            account_id=self.sample.account_id,
            conid=self.sample.state["snapshot"].contracts[trade.symbol].conid,
            symbol=trade.symbol,
            side=trade.side,
            quantity=trade.quantity,
            limit_price=self.prices[trade.symbol],
        )

    def _fill(self, terms: OrderTerms) -> OrderRecord:
        self.shares[terms.symbol] += terms.side.sign * terms.quantity
        self.cash -= terms.side.sign * terms.value + COMMISSION
        return _record(terms, OrderStatus.FILLED)

    def _snapshot(self, at: datetime) -> PortfolioSnapshot:
        known = self.sample.state["snapshot_after"]
        positions = tuple(map(self._position, known.positions))
        invested = sum((held.market_value or Decimal(0) for held in positions), Decimal(0))
        total = {"net_liquidation": self.cash + invested, "total_cash": self.cash, "gross_position_value": invested}
        return known.model_copy(
            update={
                "summary": known.summary.model_copy(update=total),
                "positions": positions,
                "quotes": {
                    symbol: quote.model_copy(update=dict.fromkeys(("bid", "ask", "last"), self.prices[symbol]))
                    for symbol, quote in known.quotes.items()
                },
                "session": known.session.model_copy(update={"now": at}),
            }
        )

    def _position(self, held: Position) -> Position:
        shares, price = self.shares[held.symbol], self.prices[held.symbol]
        return held.model_copy(update={"quantity": shares, "market_price": price, "market_value": shares * price})


@dataclass(frozen=True)
class Kept:
    """So many runs of the account, in a home."""

    size: int
    account: Account
    home: Home


def _place(number: int) -> tuple[int, int]:
    """Which session the run of that number is in, and which run of it it is."""
    if number < SPARSE:
        return (number + FAR_BACK - SPARSE if number else 0), 0
    session, turn = divmod(number - SPARSE, A_SESSION)
    return FAR_BACK + session, turn


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description="Benchmark of a long history.")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="runs that are kept (default: %(default)s)")
    parser.add_argument("--times", type=int, default=TIMES, help="measurements of each kind (default: %(default)s)")
    chosen = parser.parse_args()
    Console(width=WIDTH).print(asyncio.run(measured(sorted(chosen.sizes), chosen.times)))


async def measured(sizes: Sequence[int], times: int) -> Table:
    """Make up runs until there are as many as each of `sizes`, in rising order, and measure these in turn."""
    async with _one_real_run() as (sample, context):
        account = Account(sample, ExchangeCalendar().sessions(FIRST_DAY, LAST_DAY))
        with ExitStack() as stack:
            growing, kept = stack.enter_context(_home(MEMORY)), []
            for size in sizes:
                await _fill(account, size, growing, context)
                kept.append(Kept(size, deepcopy(account), _copied(growing, stack.enter_context(_home(MEMORY)))))
            # What the imports left is not looked through for garbage: the command alone imports a fraction of it.
            gc.collect()
            gc.freeze()
            # In turn, so that whatever else the machine does slows all of them; the first round warms it up.
            rounds = [[await _row(one, context) for one in kept] for _ in range(times + 1)][1:]
            gc.unfreeze()
            return _table(kept, rounds)


def _table(kept: Sequence[Kept], rounds: Sequence[Sequence[Sequence[float]]]) -> Table:
    """`rounds` are seconds, by round, size and column."""
    table = Table(title=f"With so many runs kept, median of {len(rounds)}", box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column("runs", justify="right")
    for name in COLUMNS:
        table.add_column(f"{name}\nms", justify="right", no_wrap=True)
        table.add_column("ratio", justify="right", no_wrap=True)
    table.add_column("MB", justify="right", no_wrap=True)
    rows = [[statistics.median(column) for column in zip(*one, strict=True)] for one in zip(*rounds, strict=True)]
    for one, row in zip(kept, rows, strict=True):
        pairs = [(f"{1000 * now:,.1f}", f"{now / first:.2f}") for now, first in zip(row, rows[0], strict=True)]
        megabytes = one.home.database.stat().st_size / 1e6
        table.add_row(f"{one.size:,}", *(cell for pair in pairs for cell in pair), f"{megabytes:,.1f}")
    return table


@asynccontextmanager
async def _one_real_run() -> AsyncIterator[tuple[Sample, Context]]:
    """What it was, and its handles."""
    with _home() as home:
        broker = open_simulated(home.simulated, as_of=DAY)
        async with context_over(build_server(broker), SETTINGS, home, Start()) as context:
            async with run_in(context, home, Start()) as run:
                ends = [event async for event in run.start() if isinstance(event, StepFinished)]
                record = await run.record()
            yield Sample(ends[-1].state, record), context
        await broker.close()


@contextmanager
def _home(within: Path | None = None) -> Iterator[Home]:
    with tempfile.TemporaryDirectory(dir=within if within and within.is_dir() else None) as folder:
        home = Home(Path(folder))
        home.create()
        yield home


async def _fill(account: Account, size: int, home: Home, context: Context) -> None:
    """Keep runs until there are `size`."""
    with closing(Journal(home.database)) as journal:
        async with open_memory(home.memory) as store:
            while account.made < size:
                made = account.next_run()
                await _save(made, replace(context, journal=journal), store)
                if account.made == 1:
                    # As the runs of another account would, or scores of those days would wait for the broker's history.
                    for day in account.days[1 : FAR_BACK - SPARSE + 1]:
                        journal.decisions.mark(day, prices_of(made.state["snapshot"]))


async def _row(kept: Kept, context: Context) -> list[float]:
    """Seconds of each of the `COLUMNS`."""
    in_memory, on_disk = await _once(kept, context, MEMORY), await _once(kept, context, None)
    return [*in_memory, on_disk[COLUMNS.index("save")]]


def _copied(kept: Home, home: Home) -> Home:
    """`home` with the files of `kept`."""
    for file in (kept.database, kept.memory):
        shutil.copy(file, home.root / file.name)
    return home


async def _once(kept: Kept, context: Context, within: Path | None) -> list[float]:
    """Seconds of each of the `COLUMNS` but the last, on a copy that is thrown away."""
    made, account_id = deepcopy(kept.account).next_session(), kept.account.sample.account_id
    with _home(within) as empty:
        home = _copied(kept.home, empty)
        times = [time.perf_counter()]
        with closing(Journal(home.database)) as journal:
            async with open_memory(home.memory) as store:
                times.append(time.perf_counter())
                await _recall(made, store)
                times.append(time.perf_counter())
                await _save(made, replace(context, journal=journal), store)
                times.append(time.perf_counter())
                _look_back(journal, account_id)
                times.append(time.perf_counter())
    return [after - before for before, after in pairwise(times)]


async def _recall(made: Made, store: BaseStore) -> None:
    """What THINK is told of earlier runs."""
    snapshot = made.state["snapshot"]
    lessons = await lessons_of(store, snapshot.account.account_id)
    relevant(lessons, in_play(snapshot, made.state["plan"], SETTINGS), snapshot.as_of)


async def _save(made: Made, context: Context, store: BaseStore) -> None:
    """Everything that a run writes down, in the order that it does."""
    state, orders, settings = made.state, context.journal.orders, context.settings
    run_id, before = state["run_id"], state["snapshot"]
    keep_look(before, settings, run_id, context.journal)
    context.trading_day(before)
    planned = zip(made.terms, state["plan"].trades, strict=True)
    wanted = [(terms.client_order_id, trade) for terms, trade in planned]
    orders.plan(run_id, before.account.account_id, wanted, made.at)
    passed = [verdict for verdict in state["verdicts"] if verdict.passed]
    for terms, verdict, order in zip(made.terms, passed, state["orders"], strict=True):
        approved = ApprovedOrder(
            terms=terms, evidence=verdict.evidence, approved_at=made.at, expires_at=made.at + timedelta(minutes=5)
        )
        orders.approve(verdict, approved, run_id, before)
        orders.burn(approved, made.at)
        orders.settle(_record(terms, OrderStatus.SUBMITTED), made.at)
        orders.settle(order, made.at)
    if state["orders"]:
        keep_look(state["snapshot_after"], settings, run_id, context.journal)
    await learn(state, await keep_and_score(state, context), Runtime(context=context, store=store))
    context.journal.runs.save(made.record)


def _record(terms: OrderTerms, status: OrderStatus) -> OrderRecord:
    """Filled at its limit, or not yet."""
    is_filled = status is OrderStatus.FILLED
    return OrderRecord(
        **terms.model_dump(include={"client_order_id", "symbol", "side", "quantity", "limit_price"}),
        broker_order_id=terms.client_order_id,
        status=status,
        filled_quantity=Decimal(terms.quantity) if is_filled else Decimal(0),
        average_price=terms.limit_price if is_filled else None,
        commission=COMMISSION if is_filled else None,
    )


def _look_back(journal: Journal, account_id: str) -> None:
    told = retrospect(journal, account_id)
    console = Console(file=io.StringIO(), width=SCREEN)
    for part in screen(told, SCREEN) if told else ():
        console.print(part)


if __name__ == "__main__":
    main()
