"""What else turns targets into whole shares: PyPortfolioOpt's two ways, and rounding.

All of them say how many shares of each symbol to hold, from targets, last prices and the money there is, and know
neither what is held, nor what an order costs, nor any limit. The orders are what is to be held less what is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from cvxpy.reductions.solvers.conic_solvers.highs_conif import HIGHS
from cvxpy.settings import OPTIMAL
from pypfopt import DiscreteAllocation

from config.settings import Settings
from portfolio.models import PortfolioSnapshot
from portfolio.percent import share_of

Shares = Mapping[str, int]


@dataclass(frozen=True)
class Task:
    """Targets in parts of one, prices in USD, the USD to spread, and the `seconds` a solver may take."""

    weights: dict[str, float]
    prices: pd.Series
    money: float
    seconds: float

    @property
    def allocation(self) -> Any:
        return DiscreteAllocation(self.weights, self.prices, total_portfolio_value=self.money)


class _TimedHighs(HIGHS):  # type: ignore[misc]  # the library has no types
    """The solver that comes with PyPortfolioOpt and takes its program; out of time, it gives the best it has found."""

    STATUS_MAP: Mapping[str, str] = {**HIGHS.STATUS_MAP, "kTimeLimit": OPTIMAL}

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def name(self) -> str:
        return "TIMED_HIGHS"

    def solve_via_data(self, data: Any, warm_start: Any, verbose: Any, solver_opts: Any, solver_cache: Any) -> Any:
        options = {**solver_opts, "time_limit": self._seconds}
        return super().solve_via_data(data, warm_start, verbose, options, solver_cache)


def greedy(task: Task) -> Shares:
    shares: Shares = task.allocation.greedy_portfolio()[0]
    return shares


def linear(task: Task) -> Shares:
    shares: Shares = task.allocation.lp_portfolio(solver=_TimedHighs(task.seconds))[0]
    return shares


def rounded(task: Task) -> Shares:
    shares = np.rint(np.array(list(task.weights.values())) * task.money / task.prices.to_numpy())
    return dict(zip(task.weights, shares.astype(int).tolist(), strict=True))


PEERS: Mapping[str, Callable[[Task], Shares]] = {
    "PyPortfolioOpt greedy": greedy,
    "PyPortfolioOpt LP": linear,
    "target and round": rounded,
}


def task_of(snapshot: PortfolioSnapshot, settings: Settings, seconds: float) -> Task:
    """The money to spread is the account's, less `min_cash`."""
    weights = {symbol: rule.share_of(symbol) for rule in settings.rules for symbol in rule.symbols}
    whole, net = sum(weights.values()), snapshot.summary.net_liquidation
    return Task(
        weights={symbol: weight / whole for symbol, weight in weights.items()},
        prices=pd.Series({symbol: float(snapshot.quotes[symbol].last or Decimal("NaN")) for symbol in weights}),
        money=float(net - share_of(net, settings.min_cash)),
        seconds=seconds,
    )


def orders(wanted: Shares, snapshot: PortfolioSnapshot) -> dict[str, int]:
    """Signed shares to trade, symbol by symbol, so that `wanted` is held."""
    held = {position.symbol: int(position.quantity) for position in snapshot.positions}
    changes = {symbol: wanted.get(symbol, 0) - held.get(symbol, 0) for symbol in {**held, **wanted}}
    return {symbol: shares for symbol, shares in changes.items() if shares}
