"""The rebalancing problem as one mixed-integer program, for a general solver: what the best plan would have cost.

It is written from the statement of the problem alone and shares no code with the rebalancer but `Problem` itself. It
uses the HiGHS inside of scipy, which is another build than the rebalancer's. A symbol has whole shares bought and sold,
an order of each side or none, a commission, and what it is off its share; a bucket what it is off target, and how much
of that is beyond its band.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, sparse

from portfolio.costs import MAXIMUM_SHARE_OF_VALUE, MINIMUM, PER_SHARE
from portfolio.rebalance.problem import (
    BEYOND_BAND,
    HALF_CENT,
    OFF_BUCKET,
    OFF_SHARE,
    SHORTFALL,
    Floats,
    Problem,
    Side,
    cost,
    within_limits,
)

AGREEMENT = 0.01
"""How far, as a part of it, the program's cost of its plan may be from the cost that the rebalancer gives it."""
ROUNDING = 1e-3
"""In %: what the solver's bound may be off."""

OF_A_SYMBOL = ("bought", "sold", "buys", "sells", "buy_fee", "sell_fee", "off_share")
OF_A_BUCKET = ("off_bucket", "beyond_band")
SINGLE = ("shortfall", "any_buy")


class OracleError(RuntimeError):
    """The oracle is wrong, so nothing can be measured by it."""


@dataclass(frozen=True)
class Answer:
    """What the solver made of it: the best `choice` it found and its cost, None if none; and the least any could cost.

    `is_proved` says that it found no better one because there is none.
    """

    choice: Floats | None
    cost: float | None
    bound: float
    is_proved: bool


def best(problem: Problem, seconds: float) -> Answer:
    """The cheapest choice, as far as the solver gets in so many seconds; its plan and its cost are checked."""
    program = _Program(problem)
    found = program.solve(seconds)
    bound = 0.0 if found.mip_dual_bound is None else float(found.mip_dual_bound)
    if found.x is None:
        return Answer(None, None, bound, is_proved=False)
    choice = np.rint(program.part(found.x, "bought")) - np.rint(program.part(found.x, "sold"))
    costs = float(cost(problem, choice[None, :])[0])
    if not _is_possible(problem, choice):
        raise OracleError("the plan of the mixed-integer program breaks a limit")
    # A plan from which the solver was cut off may cost less than it says, if it had not come to tighten it.
    is_proved = found.status == 0
    if not -AGREEMENT * costs <= found.fun - costs <= (AGREEMENT * costs if is_proved else np.inf):
        raise OracleError(f"the mixed-integer program says {found.fun} USD for a plan that costs {costs} USD")
    return Answer(choice, costs, bound, is_proved)


def _is_possible(of: Problem, choice: Floats) -> bool:
    bought, sold = np.maximum(choice, 0), np.maximum(-choice, 0)
    orders = all(
        ((shares == 0) | ((shares >= side.least) & (shares <= side.most))).all()
        for shares, side in ((bought, of.buy), (sold, of.sell))
    )
    return orders and within_limits(of, choice)


class _Program:
    """Columns are named groups; every row is a sum of some groups, each times a matrix, between two bounds."""

    def __init__(self, problem: Problem) -> None:
        self._of = problem
        counts = {
            **dict.fromkeys(OF_A_SYMBOL, problem.size),
            **dict.fromkeys(OF_A_BUCKET, len(problem.bucket_gap)),
            **dict.fromkeys(SINGLE, 1),
        }
        ends = np.cumsum(list(counts.values()))
        self._columns = {name: slice(end - counts[name], end) for name, end in zip(counts, ends, strict=True)}
        self._size = int(ends[-1])
        self._rows: list[Any] = []
        self._state_orders("bought", "buys", "buy_fee", problem.buy)
        self._state_orders("sold", "sells", "sell_fee", problem.sell)
        self._state_gaps()
        self._state_budget()

    def part(self, values: Floats, name: str) -> Floats:
        return values[self._columns[name]]

    def solve(self, seconds: float) -> Any:
        of = self._of
        whole = self._all({"bought": 1, "sold": 1, "buys": 1, "sells": 1, "any_buy": 1}, 0)
        most = self._all(
            {"bought": of.buy.most, "sold": of.sell.most, "buys": of.buy.most > 0, "sells": of.sell.most > 0}, np.inf
        )
        most[self._columns["any_buy"]] = 1
        most[self._columns["shortfall"]] = self._missing
        return optimize.milp(
            self._all(
                {
                    "off_bucket": OFF_BUCKET,
                    "beyond_band": BEYOND_BAND,
                    "off_share": OFF_SHARE,
                    "buys": of.order_penalty,
                    "sells": of.order_penalty,
                    "buy_fee": 1,
                    "sell_fee": 1,
                    "shortfall": SHORTFALL,
                },
                0,
            ),
            integrality=whole,
            bounds=optimize.Bounds(0, most),
            constraints=self._rows,
            options={"time_limit": seconds},
        )

    @property
    def _missing(self) -> float:
        """Cash that is short before any order; sales only ever raise it."""
        return max(-self._of.budget.cash, 0.0)

    def _all(self, values: Mapping[str, Any], other: float) -> Floats:
        """One value a column."""
        whole = np.full(self._size, other, dtype=np.float64)
        for name, value in values.items():
            whole[self._columns[name]] = value
        return whole

    def _row(self, groups: Mapping[str, Any], least: Any = -np.inf, most: Any = np.inf) -> None:
        """`least` <= the sum of groups times matrices <= `most`; a vector stands for a diagonal matrix."""
        matrices = {
            name: sparse.diags_array(values) if isinstance(values, np.ndarray) else values
            for name, values in groups.items()
        }
        height = next(iter(matrices.values())).shape[0]
        blocks = [
            matrices.get(name, sparse.csr_array((height, columns.stop - columns.start)))
            for name, columns in self._columns.items()
        ]
        self._rows.append(optimize.LinearConstraint(sparse.hstack(blocks, format="csr"), least, most))

    def _state_orders(self, shares: str, orders: str, fee: str, side: Side) -> None:
        """No shares, or from the least to the most of them; and what they cost in commission."""
        one = np.ones(self._of.size)
        self._row({shares: one, orders: -side.most}, most=0)
        self._row({shares: one, orders: -side.least}, least=0)
        cap = float(MAXIMUM_SHARE_OF_VALUE) * side.price
        is_capped = cap * side.least < float(PER_SHARE) * side.least + HALF_CENT
        least_fee = np.minimum(float(MINIMUM), cap * side.least)
        self._row({fee: one, orders: -least_fee}, least=0)
        rate = np.where(is_capped, np.minimum(cap, float(PER_SHARE)), float(PER_SHARE))
        self._row({fee: one, shares: -rate, orders: np.where(is_capped, 0, -HALF_CENT)}, least=0)

    def _state_gaps(self) -> None:
        """What symbols and buckets are off, whichever way, and what of it is beyond the band."""
        of = self._of
        one, each = np.ones(of.size), np.ones(len(of.bucket_gap))
        member = sparse.csr_array((of.last, (of.bucket, np.arange(of.size))), shape=(len(each), of.size))
        for sign in (1, -1):
            self._row({"off_share": one, "bought": -sign * of.last, "sold": sign * of.last}, least=sign * of.gap)
            self._row({"off_bucket": each, "bought": -sign * member, "sold": sign * member}, least=sign * of.bucket_gap)
            # Without an order all of its gap is left. That is true as it is, but not in fractions of an order.
            order = "buys" if sign < 0 else "sells"
            to_share = np.maximum(sign * of.gap, 0)
            self._row(
                {"off_share": one, "bought": sign * of.last, "sold": -sign * of.last, order: 2 * to_share},
                least=to_share,
            )
        self._row({"beyond_band": each, "off_bucket": -each}, least=-of.band)

    def _state_budget(self) -> None:
        """Turnover, orders, new positions, and cash, of which some may be short only if nothing is bought."""
        of, one = self._of, np.ones(self._of.size)
        total, single = sparse.csr_array(one[None, :]), sparse.csr_array([[1.0]])
        paid, received = sparse.csr_array(of.buy.price[None, :]), sparse.csr_array(of.sell.price[None, :])
        new = sparse.csr_array(of.is_new[None, :].astype(np.float64))
        cash = {"bought": -paid, "sold": received, "buy_fee": -total, "sell_fee": -total, "shortfall": single}
        self._row({"buys": one, "sells": one}, most=1)
        self._row({"bought": paid, "sold": received}, most=of.budget.turnover)
        self._row({"buys": total, "sells": total}, most=of.budget.orders)
        self._row({"buys": new}, most=of.budget.places)
        self._row(cash, least=-of.budget.cash)
        self._row({"any_buy": sparse.csr_array(one[:, None]), "buys": -one}, least=0)
        self._row({"shortfall": single, "any_buy": self._missing * single}, most=self._missing)
