"""The rebalancing problem without whole shares and fixed costs: a linear program that tells where to look.

It has one row a bucket and one each for cash, turnover, orders and new positions, however many symbols there are,
since all else is separable: what a symbol is off its share has a kink, so each side of it is two columns, one up to
the kink and one beyond; the same goes for what a bucket is off its target, at the edge of its band. A fixed cost
cannot be linear; it is spread over the shares that are expected to be traded, at first the most that may be, then
those of the last solution (dynamic slope scaling: Kim and Pardalos, "A solution approach to the fixed charge network
flow problem", 1999), each solved from the basis of the one before. Every solution is a hint for the search.
"""

from __future__ import annotations

from collections.abc import Iterator

import highspy
import numpy as np

from portfolio.rebalance.problem import BEYOND_BAND, OFF_BUCKET, OFF_SHARE, SHORTFALL, Floats, Problem, fee

ROUNDS = 6
NOTHING = 1e-6
"""Shares below this are what rounding left of none."""
ITERATIONS_A_COLUMN = 20
"""Simplex steps after which a solution is given up: a bound in work, not in seconds, so that it is the same
everywhere."""


class Relaxation:
    """The linear program of one problem, ready to be solved again with other costs."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._slope = np.concatenate([-problem.last, problem.last, -problem.last, problem.last]) * OFF_SHARE
        self._most = np.concatenate([problem.buy.most, problem.sell.most])
        self._solver = highspy.Highs()  # type: ignore[no-untyped-call]
        options: dict[str, bool | int | str] = {
            "output_flag": False,
            "threads": 1,
            "solver": "simplex",
            "presolve": "off",
            "simplex_iteration_limit": ITERATIONS_A_COLUMN * (4 * problem.size + 4 * len(problem.bucket_gap)),
        }
        for option, value in options.items():
            self._solver.setOptionValue(option, value)
        self._solver.passModel(self._program())

    def solutions(self) -> Iterator[Floats]:
        """Signed shares, in fractions; fewer than `ROUNDS` of them where the solver gives up, none if at once."""
        expected = self._most
        for _ in range(ROUNDS):
            self._solver.run()
            if self._solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
                return
            shares = np.array(self._solver.getSolution().col_value)[-4 * self._problem.size :]
            bought_near, bought_far, sold_near, sold_far = shares.reshape(4, -1)
            bought, sold = bought_near + bought_far, sold_near + sold_far
            yield bought - sold
            traded = np.concatenate([bought, sold])
            least = np.concatenate([self._problem.buy.least, self._problem.sell.least])
            expected = np.where(traded > NOTHING, np.maximum(traded, least), expected)
            columns = np.arange(4 * self._problem.size, dtype=np.int32) + self._slacks
            self._solver.changeColsCost(len(columns), columns, self._slope + self._spread(expected))

    @property
    def _slacks(self) -> int:
        return 4 * len(self._problem.bucket_gap) + 1

    def _spread(self, expected: Floats) -> Floats:
        """Commission and order penalty, a share, if as many are traded as expected."""
        some = np.maximum(expected, 1)
        price = np.concatenate([self._problem.buy.price, self._problem.sell.price])
        fees = fee(some, some * price)
        return self._four((self._problem.order_penalty + fees) / some)

    def _four(self, sides: Floats) -> Floats:
        """An array over both sides of every symbol as one over their two columns each."""
        bought, sold = np.split(sides, 2)
        return np.concatenate([bought, bought, sold, sold])

    def _program(self) -> highspy.HighsLp:
        """The matrix by hand, in compressed columns: through a modelling layer it takes longer than to solve."""
        of, buckets = self._problem, len(self._problem.bucket_gap)
        far, infinite = OFF_BUCKET + BEYOND_BAND, highspy.kHighsInf
        near = np.clip(np.concatenate([-of.gap, of.gap]) / np.tile(of.last, 2), 0, self._most)
        bought_near, sold_near = np.split(near, 2)
        bought_far, sold_far = np.split(self._most - near, 2)
        upper = np.concatenate([bought_near, bought_far, sold_near, sold_far])
        price = self._four(np.concatenate([of.buy.price, of.sell.price]))
        sign = np.repeat([1.0, 1.0, -1.0, -1.0], of.size)
        part_of_order = 1 / np.maximum(self._four(self._most), 1)
        new = np.tile(of.is_new, 4) & (sign > 0)
        coefficients = [sign * np.tile(of.last, 4), -sign * price, price, part_of_order, part_of_order * new]
        rows = [np.tile(of.bucket, 4), *(np.full(4 * of.size, buckets + row) for row in range(4))]
        return _linear_program(
            cost=np.concatenate(
                [
                    np.tile([OFF_BUCKET, OFF_BUCKET, far, far], buckets),
                    [SHORTFALL],
                    self._slope + self._spread(self._most),
                ]
            ),
            upper=np.concatenate([np.tile([of.band, of.band, infinite, infinite], buckets), [infinite], upper]),
            row_lower=np.concatenate([-of.bucket_gap, [-of.budget.cash], np.full(3, -infinite)]),
            row_upper=np.concatenate(
                [-of.bucket_gap, [infinite, of.budget.turnover, of.budget.orders, of.budget.places]]
            ),
            entries=[1] * self._slacks + [5] * (4 * of.size),
            rows=np.concatenate([np.repeat(np.arange(buckets), 4), [buckets], np.column_stack(rows).ravel()]),
            values=np.concatenate(
                [np.tile([-1.0, 1.0, -1.0, 1.0], buckets), [1.0], np.column_stack(coefficients).ravel()]
            ),
        )


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
