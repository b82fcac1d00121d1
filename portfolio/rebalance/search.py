"""Whole numbers of shares, by local search: from a start, always the best move, until no move helps.

For one symbol, all else held fixed, the cost is piecewise linear in its shares, so the best number is at one of a few
points: none, what fills its bucket or its own share, what a limit leaves, one more or one less. All points of all
symbols are priced in one sweep of array arithmetic. Where no single move helps, pairs are tried: one symbol is moved
off its place, allowed or not, and the best answer of any other is priced for all of these at once; that is how shares
are handed from one symbol to another. Effort is counted in points priced, never in seconds, so the same input gives
the same plan.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portfolio.costs import MINIMUM, PER_SHARE
from portfolio.rebalance.problem import (
    OFF_SHARE,
    SHORTFALL,
    TOLERANCE,
    Floats,
    Problem,
    bucket_sums,
    cost,
    fee,
    off_target,
)

WORTH_A_MOVE = 1e-6
GROUPS = 4


class Search:
    """Local search on one problem; `effort` is how many points it may price in all before it stops where it is."""

    def __init__(self, problem: Problem, effort: int) -> None:
        self._problem = problem
        self.effort = effort

    def descend(self, start: Floats) -> Floats:
        """Single moves from `start`, which must be within the limits, until none helps."""
        choice, now = start, self._cost_of(start)
        while self.effort > 0:
            then, better = self._cheapest_move(choice[None, :])
            if then >= now - WORTH_A_MOVE:
                break
            choice, now = better, then
        return choice

    def improve(self, start: Floats) -> Floats:
        """Pairs of moves, and single ones after each, until neither helps.

        First moves are tried a group at a time, since one that helps is cheaper to find than the best of all.
        """
        choice, group, failed = start, 0, 0
        while self.effort > 0 and failed < GROUPS:
            firsts = self._first_moves(choice)[group % GROUPS :: GROUPS]
            group, failed = group + 1, failed + 1
            then, better = self._cheapest_move(firsts)
            if then < self._cost_of(choice) - WORTH_A_MOVE:
                choice, failed = self.descend(better), 0
        return choice

    def _cost_of(self, choice: Floats) -> float:
        return float(cost(self._problem, choice[None, :])[0])

    def _first_moves(self, choice: Floats) -> Floats:
        """Choices that differ from `choice` in one symbol, whether they keep the limits or not."""
        of = self._problem
        gap = of.bucket_gap + bucket_sums(of, (of.last * choice)[None, :])[0]
        fill_bucket = np.rint(choice - gap[of.bucket] / of.last)
        fill_share = np.trunc(-of.gap / of.last)
        away = np.where(choice > 0, of.buy.most, np.where(choice < 0, -of.sell.most, fill_share))
        points = allowed(of, np.stack([np.zeros_like(choice), choice + 1, choice - 1, away, fill_bucket]))
        point, symbol = np.nonzero(points != choice)
        firsts = np.repeat(choice[None, :], len(symbol), axis=0)
        firsts[np.arange(len(symbol)), symbol] = points[point, symbol]
        return np.unique(firsts, axis=0)

    def _cheapest_move(self, choices: Floats) -> tuple[float, Floats]:
        """The cheapest choice within the limits that is one move from one of `choices`, and its cost; else infinity."""
        if not choices.size:
            return np.inf, choices
        rest = _Rest.of(self._problem, choices)
        points = rest.points()
        self.effort -= points.size
        costs = cost(self._problem, choices)[:, None, None] - rest.gains(points)
        choice, point, symbol = np.unravel_index(np.argmin(costs), costs.shape)
        moved = choices[choice].copy()
        moved[symbol] = points[choice, point, symbol]
        return float(costs[choice, point, symbol]), moved


def allowed(of: Problem, points: Floats) -> Floats:
    """`points`, symbols along the last axis, each made the nearest number of shares an order may have, or none."""
    bought = np.where(of.buy.most > 0, np.clip(points, of.buy.least, np.maximum(of.buy.most, of.buy.least)), 0)
    sold = np.where(of.sell.most > 0, np.clip(-points, of.sell.least, np.maximum(of.sell.most, of.sell.least)), 0)
    allowed: Floats = np.where(points > 0, bought, np.where(points < 0, -sold, 0.0))
    return allowed


@dataclass(frozen=True)
class _Rest:
    """Choices without one symbol at a time: arrays of choices by symbols, what is left for that symbol's order.

    `gap` is how far its bucket is above target, `cash` and `turnover` in USD and `orders` and `places` are what the
    rest leaves; `buys` says whether the rest buys anything.
    """

    problem: Problem
    shares: Floats
    gap: Floats
    cash: Floats
    turnover: Floats
    orders: Floats
    places: Floats
    buys: NDArray[np.bool_]

    @classmethod
    def of(cls, problem: Problem, choices: Floats) -> _Rest:
        bought, sold = np.maximum(choices, 0), np.maximum(-choices, 0)
        paid, received = bought * problem.buy.price, sold * problem.sell.price
        value = paid + received
        spent = paid - received + fee(bought + sold, value)
        moved = problem.last * choices
        gap = problem.bucket_gap + bucket_sums(problem, moved)
        budget = problem.budget

        def left(whole: float, used: Floats) -> Floats:
            without: Floats = whole - used.sum(axis=1, keepdims=True) + used
            return without

        return cls(
            problem=problem,
            shares=choices,
            gap=gap[:, problem.bucket] - moved,
            cash=left(budget.cash, spent),
            turnover=left(budget.turnover, value) + TOLERANCE,
            orders=left(budget.orders, (choices != 0).astype(np.float64)),
            places=left(budget.places, ((choices > 0) & problem.is_new).astype(np.float64)),
            buys=left(0, bought) < 0,
        )

    def points(self) -> Floats:
        """Shares that may be best: an array of choices by points by symbols."""
        of = self.problem
        fill_bucket = -self.gap / of.last
        fill_share = np.broadcast_to(-of.gap / of.last, self.gap.shape)
        price = np.where(fill_bucket > 0, of.buy.price, of.sell.price)
        with_turnover = np.sign(fill_bucket) * np.floor(np.maximum(self.turnover, 0) / price)
        spent = np.floor((self.cash - float(MINIMUM)) / (of.buy.price + float(PER_SHARE)))
        raised = np.floor((self.cash - float(MINIMUM)) / of.sell.price)
        wanted = np.stack(
            [
                np.zeros_like(self.shares),
                np.floor(fill_bucket),
                np.ceil(fill_bucket),
                np.floor(fill_share),
                np.ceil(fill_share),
                with_turnover,
                np.where(self.cash > 0, spent, raised),
                self.shares + 1,
                self.shares - 1,
                np.where(fill_bucket > 0, of.buy.most, -of.sell.most),
            ],
            axis=1,
        )
        return allowed(of, wanted)

    def gains(self, points: Floats) -> Floats:
        """What each of `points` saves against the choice as it is, in USD; minus infinity beyond a limit."""
        orders = _Orders.of(points, self)
        now = _Orders.of(self.shares[:, None, :], self)
        gains: Floats = np.where(orders.within_limits(), now.costs() - orders.costs(), -np.inf)
        return gains


@dataclass(frozen=True)
class _Orders:
    """Orders of so many `shares` beside the rest: arrays of choices by points by symbols."""

    rest: _Rest
    shares: Floats
    value: Floats
    fees: Floats
    cash: Floats

    @classmethod
    def of(cls, shares: Floats, rest: _Rest) -> _Orders:
        of = rest.problem
        paid, received = np.maximum(shares, 0) * of.buy.price, np.maximum(-shares, 0) * of.sell.price
        value = paid + received
        fees = fee(np.abs(shares), value)
        return cls(rest, shares, value, fees, rest.cash[:, None, :] - paid + received - fees)

    def costs(self) -> Floats:
        """The part of the problem's cost that these orders have a hand in."""
        of, rest = self.rest.problem, self.rest
        moved = of.last * self.shares
        costs: Floats = (
            off_target(of, rest.gap[:, None, :] + moved)
            + OFF_SHARE * np.abs(of.gap + moved)
            + self.fees
            + of.order_penalty * (self.shares != 0)
            + SHORTFALL * np.maximum(-self.cash, 0)
        )
        return costs

    def within_limits(self) -> NDArray[np.bool_]:
        of, rest = self.rest.problem, self.rest
        is_buy = self.shares > 0
        within: NDArray[np.bool_] = (
            (self.value <= rest.turnover[:, None, :])
            & ((self.shares != 0) <= rest.orders[:, None, :])
            & ((is_buy & of.is_new) <= rest.places[:, None, :])
            & ((self.cash >= -TOLERANCE) | ~(is_buy | rest.buys[:, None, :]))
        )
        return within
