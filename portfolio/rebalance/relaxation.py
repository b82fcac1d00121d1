"""The rebalancing problem without whole shares: a linear program that tells where to look.

What an order costs is convex but for its fixed cost, so of each symbol only a few orders can be best at given prices of
cash, turnover and the like: the smallest, the largest, and those at a kink. They are the columns, and a symbol may mix
them as long as its weights add up to at most one. That is the convex hull of its orders, the tightest relaxation there
is while symbols are looked at one by one (Dantzig and Wolfe, "Decomposition principle for linear programs", 1960).
Beyond these sums there are one row a bucket and one each for cash, turnover, orders and new positions; a basic solution
therefore has at most so many fractional symbols, however many there are, and takes milliseconds.

Two more programs settle which symbols are ordered, and leave open how much: those whose weights pass one half, and
those with any weight. All solutions are hints for the search.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import highspy
import numpy as np

from portfolio.costs import MINIMUM, PER_SHARE
from portfolio.rebalance.problem import BEYOND_BAND, OFF_BUCKET, OFF_SHARE, SHORTFALL, Floats, Problem, fee

NOTHING = 1e-6
"""A weight below this is what rounding left of none."""
ITERATIONS_A_COLUMN = 20
"""Simplex steps after which a solution is given up: a bound in work, not in seconds, so that it is the same
everywhere."""


def solutions(of: Problem) -> Iterator[Floats]:
    """Signed shares, in fractions: three solutions, fewer where the solver gives up, none if at once."""
    first = _Program(of, is_settled=False).solve()
    if first is None:
        return
    yield first.shares
    for least in (1 / 2, NOTHING):
        nothing, kept = np.zeros(of.size), np.flatnonzero(first.weights > least)
        settled = _Program(of.around(nothing, kept), is_settled=True).solve() if len(kept) else None
        if settled is not None:
            nothing[kept] = settled.shares
            yield nothing


@dataclass(frozen=True)
class _Solution:
    """Signed shares and the sum of the weights of each symbol."""

    shares: Floats
    weights: Floats


class _Program:
    """The linear program of one problem, in which every symbol is ordered if that `is_settled`."""

    def __init__(self, problem: Problem, *, is_settled: bool) -> None:
        self._problem, self._is_settled = problem, is_settled
        points = np.sort(_points(problem), axis=0)
        is_new = points != 0
        is_new[1:] &= points[1:] != points[:-1]
        kept, self._symbol = np.nonzero(is_new)
        self._shares = points[kept, self._symbol]

    def solve(self) -> _Solution | None:
        """None where the solver gives up, or there is no solution at all."""
        solver = highspy.Highs()  # type: ignore[no-untyped-call]
        options: dict[str, bool | int | str] = {
            "output_flag": False,
            "threads": 1,
            "solver": "simplex",
            "presolve": "off",
            "simplex_iteration_limit": ITERATIONS_A_COLUMN * (self._slacks + len(self._shares)),
        }
        for option, value in options.items():
            solver.setOptionValue(option, value)
        solver.passModel(self._matrix())
        solver.run()
        if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        weights = np.array(solver.getSolution().col_value)[self._slacks :]
        return _Solution(self._by_symbol(weights * self._shares), self._by_symbol(weights))

    def _by_symbol(self, amounts: Floats) -> Floats:
        sums: Floats = np.bincount(self._symbol, amounts, minlength=self._problem.size).astype(np.float64)
        return sums

    @property
    def _slacks(self) -> int:
        """Columns before those of orders: each bucket above and below target, within its band and beyond; cash."""
        return 4 * len(self._problem.bucket_gap) + 1

    def _matrix(self) -> highspy.HighsLp:
        """The matrix by hand, in compressed columns: through a modelling layer it takes longer than to solve."""
        of, symbol, buckets = self._problem, self._symbol, len(self._problem.bucket_gap)
        bought, sold = np.maximum(self._shares, 0), np.maximum(-self._shares, 0)
        paid, received = bought * of.buy.price[symbol], sold * of.sell.price[symbol]
        fees, moved = fee(bought + sold, paid + received), self._shares * of.last[symbol]
        gap, one = of.gap[symbol], np.ones(len(symbol))
        columns = [moved, received - paid - fees, paid + received, one, (bought > 0) & of.is_new[symbol], one]
        rows = [of.bucket[symbol], *(np.full(len(symbol), buckets + row) for row in range(4))]
        rows.append(buckets + 4 + symbol)
        off_share = OFF_SHARE * (np.abs(gap + moved) - np.abs(gap))
        far, infinite = OFF_BUCKET + BEYOND_BAND, highspy.kHighsInf
        return _linear_program(
            cost=np.concatenate(
                [np.tile([OFF_BUCKET, OFF_BUCKET, far, far], buckets), [SHORTFALL], off_share + fees + of.order_penalty]
            ),
            upper=np.concatenate(
                [np.tile([of.band, of.band, infinite, infinite], buckets), np.full(1 + len(symbol), infinite)]
            ),
            row_lower=np.concatenate(
                [-of.bucket_gap, [-of.budget.cash], np.full(3, -infinite), np.full(of.size, float(self._is_settled))]
            ),
            row_upper=np.concatenate(
                [
                    -of.bucket_gap,
                    [infinite, of.budget.turnover, of.budget.orders, of.budget.places],
                    np.ones(of.size),
                ]
            ),
            entries=[1] * self._slacks + [len(columns)] * len(symbol),
            rows=np.concatenate([np.repeat(np.arange(buckets), 4), [buckets], np.column_stack(rows).ravel()]),
            values=np.concatenate([np.tile([-1.0, 1.0, -1.0, 1.0], buckets), [1.0], np.column_stack(columns).ravel()]),
        )


def _points(of: Problem) -> Floats:
    """Signed shares of orders that may be best: an array of points by symbols, with 0 where there is no such order."""
    whole_share = -of.gap / of.last
    points: list[Floats] = []
    for sign, side in ((1, of.buy), (-1, of.sell)):
        to_share = np.maximum(sign * whole_share, 0)
        dearer = np.full(of.size, float(MINIMUM / PER_SHARE))
        wanted = (side.least, np.floor(to_share), np.ceil(to_share), dearer, side.most)
        points += [sign * np.clip(shares, side.least, side.most) for shares in wanted]
    return np.stack(points)


def _linear_program(
    *,
    cost: Floats,
    upper: Floats,
    row_lower: Floats,
    row_upper: Floats,
    entries: list[int],
    rows: Floats,
    values: Floats,
) -> highspy.HighsLp:
    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = len(cost), len(row_lower)
    program.col_cost_, program.col_lower_, program.col_upper_ = cost, np.zeros(len(cost)), upper
    program.row_lower_, program.row_upper_ = row_lower, row_upper
    program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    program.a_matrix_.start_ = np.concatenate([[0], np.cumsum(entries)]).astype(np.int32)
    program.a_matrix_.index_ = rows.astype(np.int32)
    program.a_matrix_.value_ = values
    return program
