"""How fast the rebalancer plans, how close its plans come to the best there are, and what other methods make of it.

Run it as `uv run --group benchmark python -m benchmarks.rebalance`; a quick look is `--sizes 18 50 --seeds 3
--milp-seconds 1`. Everything in the table is measured in that one run, on one core, on accounts that are drawn at
random from their seeds (`portfolios`); the machine is in its caption. Where a cell has two numbers, they are the median
and the worst over the accounts; where it has one, that is the median.

Lines: "18 in 3" are 18 symbols in 3 buckets. Limits say what bounds a plan: "on" is one order of at most 4 % of the
account (or 2000 USD), a turnover of 20 %, 25 % in one symbol and 0.5 % kept in cash; "off" lifts order and turnover;
"none" knows none of them. The methods are no plan at all; `ours`; `MILP`, the whole problem given to a general solver
for some seconds (`oracle`); and other ways from targets to whole shares (`peers`). These are to be compared with `ours`
where its limits are off: they aim at every symbol's share, however small, and pay for it in orders, while ours aims at
the buckets first and at a symbol's share only where it is worth an order.

Columns:

- time: from the account to the plan, all checks of the guard included (`baseline_plan`). Of the MILP and the peers it
  is the time of the solver alone, which MILP and LP do not always stop in time.
- solver: the part of our time that goes into choosing the orders (`solve`), measured again by itself.
- above MILP: how much more our plan costs than the best that the MILP found in its time; below 0, ours is better. The
  cost is what both minimise, see `portfolio.rebalance.problem`; some of it no plan can avoid.
- above bound: the same against what the MILP proved that no plan can be below. The best plan there is lies somewhere
  between the two: a small number proves a plan good, a large one says only that nobody knows.
- found, proved: accounts where the MILP had time to find a plan, and to prove it the best there is, to 0.01 %.
- buckets off, symbols off: distances from targets, all together, in % of the account.
- fees: commissions of all orders.
- orders / ours: orders of a method for each one of ours with limits off, on the same account.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.console import Console

from benchmarks import oracle, peers
from benchmarks.portfolios import BUCKETS, Sample, sample
from benchmarks.table import MILP, OURS, Method, Plan, Result, Results, add_size, empty_table
from config.settings import Settings
from portfolio.costs import commission
from portfolio.drift import drift_after, values_by_ticker
from portfolio.models import ProposedTrade, Side
from portfolio.percent import share_of
from portfolio.rebalance.baseline import Posed, baseline_plan, pose
from portfolio.rebalance.exits import protective_exits
from portfolio.rebalance.optimal import solve
from portfolio.rebalance.problem import Floats, cost

SEEDS, SECONDS = 20, 10.0
WIDTH = 160
"""Characters a line, also where the output is a file."""
WORTH_A_LOOK = 5.0
"""In %: a plan that is further above the MILP's is named on stderr."""

STATISTICS = Path("/proc/self/schedstat")
"""Linux: nanoseconds that this process ran, and that it waited to."""

ZERO = Decimal(0)
Answer = TypeVar("Answer")
Orders = Mapping[str, int]
"""Signed shares, symbol by symbol: above 0 bought, below 0 sold."""


def main() -> None:
    chosen = _arguments()
    if sys.platform == "linux":
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    table = empty_table(chosen.seeds, chosen.milp_seconds)
    for symbols in chosen.sizes:
        started = time.monotonic()
        _measure(symbols, 0, 0.0)  # whatever is slow only the first time
        found = [_measure(symbols, seed, chosen.milp_seconds) for seed in range(chosen.seeds)]
        add_size(table, f"{symbols} in {BUCKETS[symbols]}", found)
        _tell(f"{symbols} symbols took {time.monotonic() - started:.0f} s")
    Console(width=WIDTH).print(table)
    if waited := _waited():
        _tell(f"Other work had the core for {waited:.0%} of the time, so the times are too long.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rebalance", description="Benchmark of the rebalancer.")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"accounts of each size, {SEEDS} by default")
    parser.add_argument(
        "--sizes", type=int, nargs="+", choices=BUCKETS, default=list(BUCKETS), help="symbols of an account"
    )
    parser.add_argument(
        "--milp-seconds", type=float, default=SECONDS, help=f"time for one MILP, {SECONDS:g} by default"
    )
    return parser.parse_args()


def _tell(what: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print(what)


def _waited() -> float:
    """The part of the time in which this process could have run, but did not, since others did; 0 where unknown."""
    if not STATISTICS.exists():
        return 0.0
    ran, waited = (int(nanoseconds) for nanoseconds in STATISTICS.read_text().split()[:2])
    return round(waited / (ran + waited), 2)


def _measure(symbols: int, seed: int, seconds: float) -> Results:
    """Every method on one account."""
    account = sample(symbols, seed)
    results: dict[Method, Result] = {("", "no plan"): Result(_plan(account, {}))}
    for limits, settings in (("on", account.limited), ("off", account.lifted)):
        ours, milp = _against_oracle(account, settings, seconds, f"{symbols} symbols, seed {seed}, limits {limits}")
        results |= {(limits, OURS): ours, (limits, MILP): milp}
    task = peers.task_of(account.snapshot, account.lifted, seconds)
    for name, peer in peers.PEERS.items():
        milliseconds, wanted = _timed(partial(peer, task))
        results["none", name] = Result(_plan(account, peers.orders(wanted, account.snapshot)), milliseconds)
    return results


def _timed(call: Callable[[], Answer]) -> tuple[float, Answer]:
    """How many milliseconds the call takes, and its answer."""
    started = time.perf_counter()
    answer = call()
    return 1000 * (time.perf_counter() - started), answer


def _against_oracle(account: Sample, settings: Settings, seconds: float, which: str) -> tuple[Result, Result]:
    """Our plan and the MILP's."""
    snapshot, day = account.snapshot, account.day
    milliseconds, plan = _timed(lambda: baseline_plan(snapshot, settings, day))
    posed = pose(snapshot, settings, day, protective_exits(snapshot, settings, day))
    solver_milliseconds, found = _timed(lambda: solve(posed.problem))
    orders = {trade.symbol: trade.side.sign * trade.quantity for trade in plan.trades}
    if orders != _orders(posed, found.choices[0]):
        _tell(f"{which}: the plan is not the solver's first choice; {' '.join(plan.notes)}")
    costs = _cost(posed, orders)
    milp_milliseconds, best = _timed(lambda: oracle.best(posed.problem, seconds))
    ours = Result(
        _plan(account, orders), milliseconds, solver_milliseconds, _above(costs, best.cost), _above(costs, best.bound)
    )
    _check(ours, which)
    milp = Result(
        None if best.choice is None else _plan(account, _orders(posed, best.choice)),
        milp_milliseconds,
        above_bound=None if best.cost is None else _above(best.cost, best.bound),
        is_proved=best.is_proved,
    )
    return ours, milp


def _check(ours: Result, which: str) -> None:
    if ours.above_bound is not None and ours.above_bound < -oracle.ROUNDING:
        raise oracle.OracleError(f"{which}: a plan is {-ours.above_bound} % below what any can be")
    if ours.above_best is not None and ours.above_best > WORTH_A_LOOK:
        _tell(f"{which}: our plan costs {ours.above_best:.1f} % more than the MILP's")


def _orders(posed: Posed, choice: Floats) -> Orders:
    pairs = zip(posed.market.tradable, choice, strict=True)
    return {one.symbol: int(shares) for one, shares in pairs if shares}


def _cost(posed: Posed, orders: Orders) -> float:
    choice = np.array([orders.get(one.symbol, 0) for one in posed.market.tradable], dtype=np.float64)
    return float(cost(posed.problem, choice[None, :])[0])


def _above(costs: float, least: float | None) -> float | None:
    """How much `costs` are above `least`, in %."""
    return 100 * (costs / least - 1) if least is not None and least > 0 else None


def _plan(account: Sample, orders: Orders) -> Plan:
    """What these orders would do to the account, at the last price."""
    snapshot, settings = account.snapshot, account.limited
    trades = [
        ProposedTrade(symbol=symbol, side=Side.BUY if shares > 0 else Side.SELL, quantity=abs(shares), reason="")
        for symbol, shares in orders.items()
    ]
    net, values = snapshot.summary.net_liquidation, values_by_ticker(snapshot)
    fees = off = ZERO
    for rule in settings.rules:
        for symbol in rule.symbols:
            price, shares = snapshot.quotes[symbol].last or ZERO, orders.get(symbol, 0)
            fees += commission(Decimal(shares), price)
            off += abs((values.get(symbol) or ZERO) + shares * price - share_of(net, rule.share_of(symbol)))
    return Plan(len(orders), float(fees), drift_after(snapshot, settings, trades).total, float(100 * off / net))


if __name__ == "__main__":
    main()
