"""The few orders that bring the account closest to its targets: a mixed-integer program, solved in milliseconds.

Choose whole shares x_i = b_i - s_i, at limit prices a_i (buy) and z_i (sell), last price m_i, to minimise, in USD,

    .02 Σ_b |G_b + Σ_{i in b} m_i x_i| + .002 Σ_i |g_i + m_i x_i| + Σ_i c(x_i) + F·#{x_i != 0}

and .005 Σ_b of what is beyond a bucket's band (G, g: bucket and symbol above target; c(n) = min(max(1, .005 n), 1 % of
value)), subject to 0 or l_i <= b_i <= u_i and the same for s_i (the limits of one order, the position cap, what is
held), Σ traded value <= turnover, cash after all of it >= min_cash if anything is bought, and at most so many orders
and new positions.

Only B + 4 rows bind the symbols together. With each symbol's orders replaced by their convex hull, the program is
linear, is solved in milliseconds, and a basic solution leaves at most B + 4 symbols undecided (`relaxation`). Rounded
down, it is led by single moves, all priced at once in array arithmetic, to where none helps, and the best such plan
then by chains of moves among the symbols that matter (`search`). The guard's own rules, in exact decimals, have the
last word: a plan they refuse gives way to the next best, at last to the greedy one, or to none. No clock and no
chance: the same input, the same plan.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portfolio.rebalance.market import LARGEST
from portfolio.rebalance.problem import Floats, Problem, cost, within_limits
from portfolio.rebalance.relaxation import solutions
from portfolio.rebalance.search import PAIR, Search, allowed

DESCENT_EFFORT = 4_000_000
"""Points priced by single moves, a bound that only hostile problems meet."""
DEEP_EFFORT = 150_000
"""Points priced by chains: some 15 ms of one core."""
IMPROVED = 3
"""Ends of descents that pairs of moves are tried on; longer chains are kept for the best of them."""
LONGEST_CHAIN = 5
SHORTLIST = 30
"""Symbols that chains are made of: those traded, then those furthest off their share."""


def is_sane(of: Problem) -> bool:
    """Whether the solver can be trusted with these numbers: it solves nonsense without complaint."""
    arrays = (of.gap, of.last, of.bucket_gap, of.buy.price, of.buy.most, of.sell.price, of.sell.most)
    amounts = (of.budget.cash, of.budget.turnover)
    return bool(
        all(np.all(np.abs(values) <= LARGEST) for values in (*arrays, amounts))
        and all(np.all(prices > 0) for prices in (of.last, of.buy.price, of.sell.price))
    )


@dataclass(frozen=True)
class Found:
    """Signed whole shares a symbol, cheapest choice first; greedy ones alone if the relaxation `failed`."""

    choices: list[Floats]
    failed: bool


def solve(of: Problem) -> Found:
    """The choices worth offering to the guard's rules; every one is within the limits, as far as floats can tell."""
    search = Search(of, DESCENT_EFFORT)
    greedy = search.descend(np.zeros(of.size))
    starts = [_rounded(of, solution) for solution in solutions(of)]
    ends = _by_cost(of, [greedy, *(search.descend(start) for start in starts)])
    effort = DEEP_EFFORT
    improved: list[Floats] = []
    for end in ends[:IMPROVED]:
        better, effort = _improved(of, end, effort, PAIR)
        improved.append(better)
    best, _ = _improved(of, _by_cost(of, improved)[0], effort, LONGEST_CHAIN)
    return Found(_by_cost(of, [best, *improved, *ends]), failed=not starts)


def _by_cost(of: Problem, found: list[Floats]) -> list[Floats]:
    """`found` without its doubles, cheapest first."""
    distinct = np.unique(np.stack(found), axis=0)
    return list(distinct[np.argsort(cost(of, distinct), kind="stable")])


def _rounded(of: Problem, solution: Floats) -> Floats:
    """Whole shares, rounded towards none; where that still breaks a limit, without the smallest orders."""
    choice = np.trunc(solution + np.sign(solution) * 1e-9)
    choice = np.where(allowed(of, choice) == choice, choice, 0.0)
    while not within_limits(of, choice):
        bought = np.maximum(choice, 0) * of.buy.price
        value = bought if bought.any() else -np.minimum(choice, 0) * of.sell.price
        choice[np.argmin(np.where(value > 0, value, np.inf))] = 0.0
    return choice


def _improved(of: Problem, choice: Floats, effort: int, longest: int) -> tuple[Floats, int]:
    """`choice` after chains of up to `longest` moves in the symbols that matter, and the effort that is left."""
    if effort <= 0:
        return choice, effort
    off_share = np.abs(of.gap + of.last * choice)
    kept = np.sort(np.lexsort((-off_share, choice == 0))[:SHORTLIST])
    search = Search(of.around(choice, kept), effort)
    better = choice.copy()
    better[kept] = search.improve(choice[kept], longest)
    return better, search.effort
